"""
What customers bought.

Their amounts need no check of their places: each is compared with its price, and prices have one.
"""

from billing.services.books.check import Check

# What is pending waits for its invoice, what has started was paid for, what ended before it
# started was given up with its invoice.
AGREEMENT = (
    Check(
        "subscription_agrees_with_invoice",
        "A subscription waits for its invoice, has started with it, or was given up with it",
        """
        SELECT subscription.id,
               CASE WHEN subscription.status = 'pending'
                    THEN invoice.status IN ('pending', 'failed')
                    WHEN subscription.status IN ('trialing', 'active', 'paused')
                    THEN invoice.status = 'paid'
                    WHEN subscription.status NOT IN ('cancelled', 'expired') THEN FALSE
                    WHEN subscription.started_at IS NULL THEN invoice.status = 'cancelled'
                    ELSE invoice.status IN ('paid', 'refunded') END AS holds
          FROM billing_subscription subscription
          JOIN billing_invoicelineitem line
            ON line.type = 'subscription' AND line.item_id = subscription.id
          JOIN billing_invoice invoice
            ON invoice.id = line.invoice_id AND invoice.reason = 'checkout'
        """,
    ),
    Check(
        "add_on_agrees_with_invoice",
        "An add-on waits for its invoice, has started with it, or was given up with it",
        """
        SELECT add_on.id,
               CASE WHEN add_on.status = 'pending' THEN invoice.status IN ('pending', 'failed')
                    WHEN add_on.status IN ('trialing', 'active', 'paused')
                    THEN invoice.status = 'paid'
                    WHEN add_on.status NOT IN ('cancelled', 'expired') THEN FALSE
                    WHEN add_on.started_at IS NULL THEN invoice.status = 'cancelled'
                    ELSE invoice.status IN ('paid', 'refunded') END AS holds
          FROM billing_addonsubscription add_on
          LEFT JOIN billing_invoice invoice ON invoice.id = add_on.invoice_id
        """,
    ),
    Check(
        "purchase_agrees_with_invoice",
        "A purchase is pending, completed, cancelled or refunded as its invoice is",
        """
        SELECT purchase.id,
               purchase.status = CASE invoice.status WHEN 'pending' THEN 'pending'
                                                     WHEN 'failed' THEN 'pending'
                                                     WHEN 'paid' THEN 'completed'
                                                     WHEN 'cancelled' THEN 'cancelled'
                                                     WHEN 'refunded' THEN 'refunded' END AS holds
          FROM billing_tokenbundlepurchase purchase
          LEFT JOIN billing_invoice invoice ON invoice.id = purchase.invoice_id
        """,
    ),
    Check(
        "purchase_completed_is_credited",
        "A completed purchase is marked as credited with its moment, an unpaid one is not",
        """
        SELECT id,
               CASE WHEN status IN ('pending', 'cancelled')
                    THEN NOT tokens_credited AND completed_at IS NULL
                    WHEN status = 'completed' THEN tokens_credited AND completed_at IS NOT NULL
                    ELSE completed_at IS NOT NULL END AS holds
          FROM billing_tokenbundlepurchase
        """,
    ),
)

STATE = (
    Check(
        "subscription_one_live_per_user",
        "A customer has at most one live subscription",
        """
        SELECT user_id AS id, count(*) = 1 AS holds
          FROM billing_subscription
         WHERE status IN ('trialing', 'active', 'paused')
         GROUP BY user_id
        """,
    ),
    Check(
        "subscription_has_its_moments",
        "A subscription has the moments that its status needs, and no others",
        """
        SELECT id,
               (status = 'paused') = (paused_at IS NOT NULL)
               AND CASE WHEN status = 'pending' THEN started_at IS NULL
                        WHEN status IN ('trialing', 'active', 'paused')
                        THEN started_at IS NOT NULL
                        WHEN status = 'cancelled' AND cancelled_at IS NULL THEN FALSE
                        ELSE started_at IS NULL OR expires_at IS NOT NULL END AS holds
          FROM billing_subscription
        """,
    ),
    Check(
        "add_on_has_its_moments",
        "An add-on has the moments that its status needs, and no others",
        """
        SELECT id,
               CASE WHEN status = 'pending' THEN started_at IS NULL
                    WHEN status IN ('trialing', 'active', 'paused') THEN started_at IS NOT NULL
                    WHEN status = 'cancelled' AND cancelled_at IS NULL THEN FALSE
                    ELSE started_at IS NULL OR expires_at IS NOT NULL END AS holds
          FROM billing_addonsubscription
        """,
    ),
    Check(
        "add_on_is_of_subscription",
        "An add-on has the customer of its subscription, which its invoice names",
        """
        SELECT add_on.id,
               add_on.user_id = subscription.user_id
               AND invoice.subscription_id = add_on.subscription_id AS holds
          FROM billing_addonsubscription add_on
          LEFT JOIN billing_subscription subscription ON subscription.id = add_on.subscription_id
          LEFT JOIN billing_invoice invoice ON invoice.id = add_on.invoice_id
        """,
    ),
    Check(
        "add_on_ends_with_subscription",
        "No add-on outlives its subscription",
        # While the subscription's clock stands, one that was bought or ended at once since is held
        # against the end that the subscription would have had, had it been resumed at that moment.
        """
        SELECT add_on.id,
               subscription.expires_at IS NULL
               OR add_on.expires_at <= subscription.expires_at
                  + GREATEST(CASE WHEN add_on.expires_at = add_on.cancelled_at
                                  THEN add_on.cancelled_at ELSE add_on.started_at
                             END - subscription.paused_at, interval '0') AS holds
          FROM billing_addonsubscription add_on
          LEFT JOIN billing_subscription subscription ON subscription.id = add_on.subscription_id
         WHERE add_on.started_at IS NOT NULL
        """,
    ),
    Check(
        "add_on_runs_with_subscription",
        "An add-on runs and is paused only while its subscription is",
        # One that had lapsed before the pause stays as it is.
        """
        SELECT add_on.id,
               CASE WHEN add_on.status = 'paused' THEN subscription.status = 'paused'
                    WHEN add_on.status NOT IN ('trialing', 'active') THEN TRUE
                    WHEN subscription.status = 'paused'
                    THEN add_on.expires_at <= subscription.paused_at
                    ELSE subscription.started_at IS NOT NULL END AS holds
          FROM billing_addonsubscription add_on
          LEFT JOIN billing_subscription subscription ON subscription.id = add_on.subscription_id
        """,
    ),
)

SOLD = (
    Check(
        "subscription_has_line",
        "A subscription is one line of a checkout's invoice",
        """
        SELECT subscription.id, lines.count = 1 AS holds
          FROM billing_subscription subscription
          LEFT JOIN (SELECT line.item_id, count(*) FROM billing_invoicelineitem line
                       JOIN billing_invoice invoice
                         ON invoice.id = line.invoice_id AND invoice.reason = 'checkout'
                      WHERE line.type = 'subscription' GROUP BY line.item_id) lines
                 ON lines.item_id = subscription.id
        """,
    ),
    Check(
        "purchase_has_line",
        "A purchase is one line of an invoice",
        """
        SELECT purchase.id, lines.count = 1 AS holds
          FROM billing_tokenbundlepurchase purchase
          LEFT JOIN (SELECT item_id, count(*) FROM billing_invoicelineitem
                      WHERE type = 'token_bundle' GROUP BY item_id) lines
                 ON lines.item_id = purchase.id
        """,
    ),
    Check(
        "add_on_has_line",
        "An add-on is one line of a checkout's invoice",
        """
        SELECT add_on.id, lines.count = 1 AS holds
          FROM billing_addonsubscription add_on
          LEFT JOIN (SELECT line.item_id, count(*) FROM billing_invoicelineitem line
                       JOIN billing_invoice invoice
                         ON invoice.id = line.invoice_id AND invoice.reason = 'checkout'
                      WHERE line.type = 'add_on' GROUP BY line.item_id) lines
                 ON lines.item_id = add_on.id
        """,
    ),
    Check(
        "subscription_has_its_price",
        "A subscription's amount and currency are those of a price of its plan",
        """
        SELECT sold.id,
               (price.amount, price.currency, price.plan_id)
               = (sold.amount, sold.currency, sold.plan_id) AS holds
          FROM billing_subscription sold
          LEFT JOIN catalog_price price ON price.id = sold.price_id
        """,
    ),
    Check(
        "purchase_has_its_price",
        "A purchase's amount and currency are those of a price of its bundle",
        """
        SELECT sold.id,
               (price.amount, price.currency, price.bundle_id)
               = (sold.amount, sold.currency, sold.bundle_id) AS holds
          FROM billing_tokenbundlepurchase sold
          LEFT JOIN catalog_price price ON price.id = sold.price_id
        """,
    ),
    Check(
        "add_on_has_its_price",
        "An add-on's amount and currency are those of a price of its kind",
        """
        SELECT sold.id,
               (price.amount, price.currency, price.add_on_id)
               = (sold.amount, sold.currency, sold.add_on_id) AS holds
          FROM billing_addonsubscription sold
          LEFT JOIN catalog_price price ON price.id = sold.price_id
        """,
    ),
)

CHECKS = AGREEMENT + STATE + SOLD
