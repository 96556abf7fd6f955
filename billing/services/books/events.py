"""One event per thing that happened."""

from billing.services.books.check import Check


def _told(name: str, what: str, event: str, table: str, *, condition: str, count: str) -> Check:
    return Check(
        name,
        what,
        f"""
        SELECT thing.id, told.count {count} AS holds
          FROM {table} thing
          LEFT JOIN (SELECT subject_id, count(*) FROM billing_event
                      WHERE name = '{event}' GROUP BY subject_id) told
                 ON told.subject_id = thing.id
         WHERE {condition}
        """,  # noqa: S608 - all of it is written below
    )


CHECKS = (
    _told(
        "event_of_checkout",
        "Every invoice of a checkout has one event checkout.completed",
        "checkout.completed",
        "billing_invoice",
        condition="reason = 'checkout'",
        count="= 1",
    ),
    _told(
        "event_of_paid_invoice",
        "Every invoice that was paid has one event invoice.paid",
        "invoice.paid",
        "billing_invoice",
        condition="status IN ('paid', 'refunded')",
        count="= 1",
    ),
    _told(
        "event_of_refunded_invoice",
        "Every refunded invoice has one event invoice.refunded",
        "invoice.refunded",
        "billing_invoice",
        condition="status = 'refunded'",
        count="= 1",
    ),
    Check(
        "event_of_cancelled_invoice",
        "A cancelled invoice was voided, withdrawn or not paid in time, by one event, or given up"
        " with its subscription",
        """
        SELECT invoice.id,
               CASE WHEN told.count IS NOT NULL THEN told.count = 1
                    ELSE subscription.status = 'cancelled' AND subscription.started_at IS NULL
                         AND subscription.cancel_reason <> 'voided' END AS holds
          FROM billing_invoice invoice
          LEFT JOIN billing_subscription subscription
                 ON subscription.id = invoice.subscription_id
          LEFT JOIN (SELECT subject_id, count(*) FROM billing_event
                      WHERE name IN ('invoice.voided', 'invoice.withdrawn', 'invoice.expired')
                      GROUP BY subject_id) told
                 ON told.subject_id = invoice.id
         WHERE invoice.status = 'cancelled'
        """,
    ),
    _told(
        "event_of_refunded_payment",
        "Every unmatched payment that was sent back has one event payment.refunded",
        "payment.refunded",
        "billing_payment",
        condition="status = 'refunded' AND invoice_id IS NULL",
        count="= 1",
    ),
    _told(
        "event_of_started_subscription",
        "Every subscription that has started has one event subscription.activated",
        "subscription.activated",
        "billing_subscription",
        condition="started_at IS NOT NULL",
        count="= 1",
    ),
    _told(
        "event_of_cancelled_subscription",
        "Every cancelled subscription has an event subscription.cancelled",
        "subscription.cancelled",
        "billing_subscription",
        condition="status = 'cancelled'",
        # Cancelled by the customer, and replaced before its time was over.
        count=">= 1",
    ),
    _told(
        "event_of_paused_subscription",
        "Every paused subscription has an event subscription.paused",
        "subscription.paused",
        "billing_subscription",
        condition="status = 'paused'",
        count=">= 1",
    ),
    _told(
        "event_of_started_add_on",
        "Every add-on that has started has one event add_on.activated",
        "add_on.activated",
        "billing_addonsubscription",
        condition="started_at IS NOT NULL",
        count="= 1",
    ),
    _told(
        "event_of_credit",
        "Every invoice whose tokens were credited has one event tokens.credited",
        "tokens.credited",
        "(SELECT invoice_id AS id FROM billing_tokenbundlepurchase"
        " WHERE status IN ('completed', 'refunded') GROUP BY invoice_id)",
        condition="TRUE",
        count="= 1",
    ),
    Check(
        "event_of_adjustment",
        "What staff granted or took has one event tokens.adjusted, of as many tokens",
        # The limit of a day is counted by these events.
        """
        SELECT movement.id,
               told.count = 1 AND told.tokens = movement.amount
               AND told.customer = movement.account_id::text AS holds
          FROM billing_tokentransaction movement
          LEFT JOIN (SELECT subject_id, count(*),
                            sum(CASE WHEN jsonb_typeof(payload->'tokens') = 'number'
                                     THEN (payload->'tokens')::numeric END) AS tokens,
                            min(user_id::text) AS customer
                       FROM billing_event WHERE name = 'tokens.adjusted'
                      GROUP BY subject_id) told
                 ON told.subject_id = movement.id
         WHERE movement.transaction_type IN ('bonus', 'adjustment')
        """,
    ),
    Check(
        "event_of_payment",
        "Every payment has an event payment.captured or payment.unmatched",
        """
        SELECT payment.id, told.subject_id IS NOT NULL AS holds
          FROM billing_payment payment
          LEFT JOIN (SELECT subject_id FROM billing_event
                      WHERE name IN ('payment.captured', 'payment.unmatched')
                      GROUP BY subject_id) told
                 ON told.subject_id = payment.id
        """,
    ),
    Check(
        "event_of_assigned_payment",
        "A payment that was unmatched and paid an invoice has one event payment.assigned",
        """
        SELECT payment.id,
               COALESCE(told.assigned, 0)
               = CASE WHEN told.unmatched > 0 AND payment.invoice_id IS NOT NULL
                           AND payment.status <> 'unmatched' THEN 1 ELSE 0 END AS holds
          FROM billing_payment payment
          LEFT JOIN (SELECT subject_id,
                            count(*) FILTER (WHERE name = 'payment.assigned') AS assigned,
                            count(*) FILTER (WHERE name = 'payment.unmatched') AS unmatched
                       FROM billing_event
                      WHERE name IN ('payment.assigned', 'payment.unmatched')
                      GROUP BY subject_id) told
                 ON told.subject_id = payment.id
        """,
    ),
)
