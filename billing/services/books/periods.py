"""The periods that subscriptions were renewed for, and how they were paid."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "subscription_is_in_a_period",
        "What is live has a period, which never ends before it begins, and what it is counted from",
        """
        SELECT id, anchor_at IS NOT NULL AND period_start IS NOT NULL
                   AND (expires_at IS NULL OR period_start <= expires_at) AS holds
          FROM billing_subscription WHERE status IN ('trialing', 'active', 'paused')
        """,
    ),
    Check(
        "trialing_has_end",
        "What is on trial says until when, and that is the end of its period",
        """
        SELECT id, trial_ends_at IS NOT NULL AND trial_ends_at <= expires_at AS holds
          FROM billing_subscription WHERE status = 'trialing'
        """,
    ),
    Check(
        "renewal_once_per_period",
        "A period is renewed by one invoice that stands",
        """
        SELECT subscription_id AS id, count(*) = 1 AS holds
          FROM billing_invoice
         WHERE reason = 'renewal' AND status <> 'cancelled'
         GROUP BY subscription_id, period_start
        """,
    ),
    Check(
        "renewal_line_is_of_its_period",
        "Each plan and add-on of a renewal is for a period that begins with the invoice's",
        """
        SELECT line.id,
               line.period_start = invoice.period_start
               AND (line.period_end IS NULL OR line.period_start < line.period_end) AS holds
          FROM billing_invoicelineitem line
          JOIN billing_invoice invoice ON invoice.id = line.invoice_id
         WHERE invoice.reason = 'renewal' AND line.type IN ('subscription', 'add_on')
        """,
    ),
    Check(
        "renewals_do_not_overlap",
        "No renewal that stands begins before the one before it ends",
        # Where a change began a new period in the middle of one, the rest of that was given back.
        # Two of the same period are the rule above's.
        """
        SELECT line.id,
               COALESCE(lag(line.period_end) OVER earlier <= line.period_start
                        OR lag(line.period_start) OVER earlier = line.period_start, TRUE) AS holds
          FROM billing_invoicelineitem line
          JOIN billing_invoice invoice ON invoice.id = line.invoice_id
          LEFT JOIN (SELECT DISTINCT subscription_id FROM billing_subscriptionchange
                      WHERE begins_new_period) moved
                 ON moved.subscription_id = invoice.subscription_id
         WHERE invoice.reason = 'renewal' AND invoice.status <> 'cancelled'
           AND line.type = 'subscription' AND moved.subscription_id IS NULL
        WINDOW earlier AS (PARTITION BY line.item_id ORDER BY line.period_start)
        """,
    ),
    Check(
        "past_due_has_renewal",
        "What is past due has a renewal that is to be paid",
        """
        SELECT subscription.id,
               subscription.status IN ('trialing', 'active', 'paused')
               AND open.subscription_id IS NOT NULL AS holds
          FROM billing_subscription subscription
          LEFT JOIN (SELECT DISTINCT subscription_id FROM billing_invoice
                      WHERE reason = 'renewal' AND status IN ('pending', 'failed')) open
                 ON open.subscription_id = subscription.id
         WHERE subscription.past_due_since IS NOT NULL OR subscription.grace_until IS NOT NULL
        """,
    ),
    Check(
        "attempt_is_of_invoices_customer",
        "An attempt to take a payment is of the invoice's customer",
        """
        SELECT attempt.id, attempt.user_id = invoice.user_id AS holds
          FROM billing_paymentattempt attempt
          LEFT JOIN billing_invoice invoice ON invoice.id = attempt.invoice_id
        """,
    ),
    Check(
        "attempt_paid_has_payment",
        "An attempt that was paid has its payment: of its invoice, or kept for finance",
        """
        SELECT attempt.id, payment.invoice_reference IS NOT NULL AS holds
          FROM billing_paymentattempt attempt
          LEFT JOIN (SELECT DISTINCT invoice_reference, provider FROM billing_payment) payment
                 ON payment.invoice_reference = attempt.invoice_id::text
                    AND payment.provider = attempt.provider
         WHERE attempt.outcome = 'paid'
        """,
    ),
    Check(
        "event_of_issued_renewal",
        "Every renewal has one event invoice.issued",
        """
        SELECT invoice.id, told.count = 1 AS holds
          FROM billing_invoice invoice
          LEFT JOIN (SELECT subject_id, count(*) FROM billing_event
                      WHERE name = 'invoice.issued' GROUP BY subject_id) told
                 ON told.subject_id = invoice.id
         WHERE invoice.reason = 'renewal'
        """,
    ),
    Check(
        "event_of_paid_renewal",
        "Every renewal that was paid has one event subscription.renewed or .reactivated",
        """
        SELECT invoice.id, told.count = 1 AS holds
          FROM billing_invoice invoice
          LEFT JOIN (SELECT payload->>'invoice_id' AS invoice_id, count(*) FROM billing_event
                      WHERE name IN ('subscription.renewed', 'subscription.reactivated')
                      GROUP BY 1) told
                 ON told.invoice_id = invoice.id::text
         WHERE invoice.reason = 'renewal' AND invoice.status IN ('paid', 'refunded')
        """,
    ),
)
