"""Changes of subscriptions in the middle of their periods."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "change_agrees_with_invoice",
        "A change waits for its invoice, took effect with it, or was given up with it",
        # Where nothing was charged there is no invoice, and nothing to wait for.
        """
        SELECT change.id,
               CASE WHEN change.invoice_id IS NULL THEN change.status = 'applied'
                    WHEN invoice.reason <> 'change'
                         OR invoice.subscription_id <> change.subscription_id
                         OR invoice.currency <> change.currency THEN FALSE
                    WHEN change.status = 'pending' THEN invoice.status IN ('pending', 'failed')
                    WHEN change.status = 'applied' THEN invoice.status IN ('paid', 'refunded')
                    ELSE invoice.status = 'cancelled' END AS holds
          FROM billing_subscriptionchange change
          LEFT JOIN billing_invoice invoice ON invoice.id = change.invoice_id
        """,
    ),
    Check(
        "invoice_of_change_has_change",
        "An invoice of a change is of one",
        """
        SELECT invoice.id, change.id IS NOT NULL AS holds
          FROM billing_invoice invoice
          LEFT JOIN billing_subscriptionchange change ON change.invoice_id = invoice.id
         WHERE invoice.reason = 'change'
        """,
    ),
    Check(
        "change_is_charged",
        "A change is invoiced at its charge less its credit, and never below zero",
        """
        SELECT change.id,
               COALESCE(lines.total, 0) = GREATEST(change.charge - change.credit, 0)
               AND (change.invoice_id IS NOT NULL OR change.charge = 0) AS holds
          FROM billing_subscriptionchange change
          LEFT JOIN (SELECT invoice_id, sum(amount) AS total FROM billing_invoicelineitem
                      WHERE type IN ('subscription', 'add_on', 'discount')
                      GROUP BY invoice_id) lines
                 ON lines.invoice_id = change.invoice_id
        """,
    ),
    Check(
        "change_leaves_its_credit",
        "What a change gave back beyond its charge is in the customer's credit account, once",
        """
        SELECT change.id,
               COALESCE(entry.amount, 0)
               = CASE WHEN change.status = 'applied'
                      THEN GREATEST(change.credit - change.charge, 0) ELSE 0 END
               AND (entry.id IS NULL
                    OR (account.user_id, account.currency) = (change.user_id, change.currency))
               AS holds
          FROM billing_subscriptionchange change
          LEFT JOIN billing_creditentry entry
                 ON entry.type = 'change' AND entry.reference = change.id
          LEFT JOIN billing_creditaccount account ON account.id = entry.account_id
        """,
    ),
    Check(
        "event_of_change",
        "Every change that took effect has one event subscription.changed",
        """
        SELECT change.id, told.count = 1 AS holds
          FROM billing_subscriptionchange change
          LEFT JOIN (SELECT payload->>'change_id' AS change_id, count(*) FROM billing_event
                      WHERE name = 'subscription.changed' GROUP BY 1) told
                 ON told.change_id = change.id::text
         WHERE change.status = 'applied'
        """,
    ),
)
