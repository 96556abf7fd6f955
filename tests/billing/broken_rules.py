"""How each rule of the books is broken, and only that one: SQL with the ids of the customers."""

from __future__ import annotations

from tests.billing.breaking import Break, copied, drop, line, price, told
from tests.billing.broken_money import NUMBERS, PAYMENTS
from tests.billing.broken_states import AGREEMENT, SOLD, STATE
from tests.billing.broken_tokens import CHANGES, EVENTS, TOKENS

CATALOGUE = [
    Break(
        "account_once",
        "the same address in capitals",
        "",
        drop("accounts_user", "user_email_is_lower_case")
        + "UPDATE accounts_user SET email = 'ANN@example.com' WHERE id = %(bob)s",
    ),
    Break(
        "price_not_negative",
        "less than nothing",
        "new",
        drop("catalog_price", "price_not_negative")
        + price("plan_id, currency, amount, valid_from", "%(pro)s, 'EUR', -1, now()"),
    ),
    Break(
        "price_has_currency_places",
        "half a yen",
        "new",
        price("plan_id, currency, amount, valid_from", "%(pro)s, 'JPY', 0.5, now()"),
    ),
    Break(
        "price_has_currency_places",
        "a currency that nobody knows",
        "new",
        price("plan_id, currency, amount, valid_from", "%(pro)s, 'ZZZ', 1, now()"),
    ),
    Break(
        "price_is_of_one_item",
        "of two",
        "new",
        drop("catalog_price", "price_is_of_one_item")
        + price(
            "plan_id, add_on_id, currency, amount, valid_from",
            "%(pro)s, %(support)s, 'EUR', 1, now()",
        ),
    ),
    Break(
        "price_one_at_a_time",
        "a second one while the first stands",
        "new",
        drop("catalog_price", "price_one_at_a_time")
        + price("plan_id, currency, amount, valid_from", "%(pro)s, 'USD', 30, now()"),
    ),
    Break(
        "price_one_at_a_time",
        "one that ends after the next has begun",
        "pro_price",
        drop("catalog_price", "price_one_at_a_time")
        + price(
            "plan_id, currency, amount, valid_from, valid_until",
            "%(pro)s, 'USD', 30, '2019-01-01', '2020-01-02'",
        ),
    ),
]


AMOUNTS = [
    Break(
        "invoice_total_is_sum",
        "tax that is not in the total",
        "bob_invoice",
        drop("billing_invoice", "invoice_total_is_sum")
        + "UPDATE billing_invoice SET tax_amount = 1 WHERE id = %(bob_invoice)s",
    ),
    Break(
        "invoice_subtotal_is_sum",
        "one dollar more than the lines",
        "bob_invoice",
        """
        UPDATE billing_invoice SET subtotal = subtotal + 1, total_amount = total_amount + 1
         WHERE id = %(bob_invoice)s
        """,
    ),
    Break(
        "invoice_not_negative",
        "negative tax",
        "bob_invoice",
        drop("billing_invoice", "invoice_not_negative")
        + """
        UPDATE billing_invoice SET tax_amount = -1, total_amount = total_amount - 1
         WHERE id = %(bob_invoice)s
        """,
    ),
    Break(
        "invoice_has_currency_places",
        "half a cent of tax",
        "bob_invoice",
        """
        UPDATE billing_invoice SET tax_amount = 0.005, total_amount = total_amount + 0.005
         WHERE id = %(bob_invoice)s
        """,
    ),
    Break(
        "invoice_paid_has_moment",
        "pending, and paid at a moment",
        "bob_invoice",
        "UPDATE billing_invoice SET paid_at = now() WHERE id = %(bob_invoice)s",
    ),
    Break(
        "invoice_paid_has_moment",
        "paid at no moment",
        "ann_invoice",
        drop("billing_invoice", "invoice_paid_has_moment")
        + "UPDATE billing_invoice SET paid_at = NULL WHERE id = %(ann_invoice)s",
    ),
    Break(
        "invoice_cancelled_has_moment",
        "cancelled at no moment",
        "ida_invoice",
        drop("billing_invoice", "invoice_cancelled_has_moment")
        + "UPDATE billing_invoice SET cancelled_at = NULL WHERE id = %(ida_invoice)s",
    ),
    Break(
        "invoice_subscription_is_buyers",
        "for another customer's subscription",
        "gus_invoice",
        "UPDATE billing_invoice SET subscription_id = %(ann_subscription)s"
        " WHERE id = %(gus_invoice)s",
    ),
]


LINES = [
    Break(
        "invoice_has_lines",
        "for nothing",
        "new",
        copied(
            "billing_invoice",
            "gus_third_invoice",
            "number = 'INV-20260302-01-000004', subtotal = 0, total_amount = 0",
        )
        + "UPDATE billing_invoiceseries SET last_number = 4 WHERE day = '2026-03-02';"
        + told("checkout.completed", "new"),
    ),
    Break(
        "line_amount_is_product",
        "two for the price of one",
        "",
        drop("billing_invoicelineitem", "line_amount_is_product")
        + "UPDATE billing_invoicelineitem SET quantity = 2 WHERE item_id = %(bob_purchase)s",
    ),
    Break(
        "line_has_user_of_invoice",
        "of another customer",
        "",
        "UPDATE billing_invoicelineitem SET user_id = %(ann)s WHERE item_id = %(bob_purchase)s",
    ),
    Break(
        "line_has_currency_places",
        "eight at 3.125 are 25.00",
        "",
        """
        UPDATE billing_invoicelineitem SET quantity = 8, unit_price = 3.125
         WHERE item_id = %(jon_subscription)s AND type = 'setup_fee'
        """,
    ),
    Break(
        "line_pays_for_item",
        "for nothing that there is",
        "new",
        line("token_bundle", "nowhere", "bob_invoice", "bob"),
    ),
    Break(
        "line_pays_for_item",
        "for a subscription that is a purchase",
        "new",
        line("subscription", "bob_purchase", "bob_invoice", "bob"),
    ),
    Break(
        "line_pays_for_item",
        "for another customer's purchase",
        "",
        "UPDATE billing_tokenbundlepurchase SET user_id = %(ann)s WHERE id = %(bob_purchase)s",
    ),
    Break(
        "line_pays_for_item",
        "for what another invoice is for",
        "",
        "UPDATE billing_tokenbundlepurchase SET invoice_id = %(gus_third_invoice)s"
        " WHERE id = %(gus_second_purchase)s",
    ),
    Break(
        "line_of_checkout_has_its_price",
        "of another amount",
        "",
        price(
            "bundle_id, currency, amount, valid_from, valid_until",
            "%(starter)s, 'USD', 11, '2019-01-01', '2020-01-01'",
        )
        + "UPDATE billing_tokenbundlepurchase SET amount = 11, price_id = %(new)s"
        " WHERE id = %(bob_purchase)s",
    ),
    Break(
        "line_pays_for_item",
        "in another currency",
        "",
        price("bundle_id, currency, amount, valid_from", "%(starter)s, 'EUR', 10.50, now()")
        + "UPDATE billing_tokenbundlepurchase SET currency = 'EUR', price_id = %(new)s"
        " WHERE id = %(bob_purchase)s",
    ),
    Break(
        "line_of_checkout_has_its_price",
        "free, though there is no trial",
        "",
        """
        UPDATE billing_subscription SET trial_days = 0 WHERE id = %(kim_subscription)s
        """,
    ),
    Break(
        "line_of_fee_is_of_item",
        "for the setup of something on another invoice",
        "",
        "UPDATE billing_invoicelineitem SET item_id = %(bob_subscription)s"
        " WHERE item_id = %(jon_subscription)s AND type = 'setup_fee'",
    ),
    Break(
        "line_of_credit_was_used",
        "of a credit that was never taken",
        "",
        "UPDATE billing_creditentry SET type = 'change', reference = %(new)s"
        " WHERE type = 'used' AND reference = %(jon_invoice)s",
    ),
]


BREAKS = [
    *CHANGES,
    *CATALOGUE,
    *AMOUNTS,
    *LINES,
    *NUMBERS,
    *PAYMENTS,
    *AGREEMENT,
    *STATE,
    *SOLD,
    *TOKENS,
    *EVENTS,
]
