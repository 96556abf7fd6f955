"""Accounts, and what is for sale."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "account_once",
        "There is one account per e-mail, whatever its case",
        """
        SELECT min(id::text) AS id, count(*) = 1 AS holds
          FROM accounts_user
         GROUP BY lower(email)
        """,
    ),
    Check(
        "price_not_negative",
        "No price is negative",
        "SELECT id, amount >= 0 AS holds FROM catalog_price",
    ),
    Check(
        "price_has_currency_places",
        "No price has more decimal places than its currency",
        """
        SELECT price.id, price.amount = round(price.amount, known.places) AS holds
          FROM catalog_price price
          LEFT JOIN unnest(%(currencies)s::text[], %(places)s::int[]) AS known (currency, places)
                 ON known.currency = price.currency
        """,
    ),
    Check(
        "price_is_of_one_item",
        "A price is of one plan, one bundle or one add-on",
        """
        SELECT id, num_nonnulls(plan_id, bundle_id, add_on_id) = 1 AS holds
          FROM catalog_price
        """,
    ),
    Check(
        "price_one_at_a_time",
        "An item has at most one price in a currency at any moment",
        # One that was taken back ends when it begins: it is never current.
        """
        SELECT id,
               COALESCE(valid_from >= max(COALESCE(valid_until, 'infinity')) OVER before, TRUE)
                   AS holds
          FROM catalog_price
         WHERE valid_until IS NULL OR valid_until <> valid_from
        WINDOW before AS (
                   PARTITION BY COALESCE(plan_id, bundle_id, add_on_id), currency
                       ORDER BY valid_from, id
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        """,
    ),
)
