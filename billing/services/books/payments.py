"""Money that arrived."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "invoice_paid_has_payment",
        "A paid invoice has one captured payment of its total, a refunded one a refunded payment",
        """
        SELECT invoice.id,
               CASE WHEN payment.count IS NULL
                    THEN invoice.total_amount = 0 AND invoice.payment_method = 'none'
                    ELSE payment.count = 1 AND payment.amount = invoice.total_amount
                         AND payment.currency = invoice.currency END AS holds
          FROM billing_invoice invoice
          LEFT JOIN (SELECT invoice_id, status, count(*), sum(amount) AS amount,
                            min(currency) AS currency
                       FROM billing_payment WHERE invoice_id IS NOT NULL
                      GROUP BY invoice_id, status) payment
                 ON payment.invoice_id = invoice.id
                    AND payment.status =
                        CASE invoice.status WHEN 'paid' THEN 'captured' ELSE 'refunded' END
         WHERE invoice.status IN ('paid', 'refunded')
        """,
    ),
    Check(
        "payment_agrees_with_invoice",
        "The invoice of a captured payment is paid, that of a refunded one refunded",
        """
        SELECT payment.id,
               invoice.status = CASE payment.status WHEN 'captured' THEN 'paid'
                                                    WHEN 'refunded' THEN 'refunded' END
               AND invoice.user_id = payment.user_id AS holds
          FROM billing_payment payment
          LEFT JOIN billing_invoice invoice ON invoice.id = payment.invoice_id
         WHERE payment.status = 'captured'
            OR payment.status <> 'unmatched' AND payment.invoice_id IS NOT NULL
        """,
    ),
    Check(
        "payment_unmatched_has_reason",
        "An unmatched payment has a reason and no invoice",
        """
        SELECT id, unmatched_reason <> '' AND invoice_id IS NULL AS holds
          FROM billing_payment
         WHERE status = 'unmatched'
        """,
    ),
    Check(
        "payment_refunded_has_moment",
        "A refunded payment says when and under which reference, the others do not",
        """
        SELECT id,
               (status = 'refunded') = (refunded_at IS NOT NULL)
               AND (status = 'refunded') = (refund_reference <> '') AS holds
          FROM billing_payment
        """,
    ),
    Check(
        "payment_reference_once",
        "A provider's reference is one payment",
        """
        SELECT min(id::text) AS id, count(*) = 1 AS holds
          FROM billing_payment
         GROUP BY provider, reference
        """,
    ),
    Check(
        "payment_is_positive",
        "A payment is more than zero",
        "SELECT id, amount > 0 AS holds FROM billing_payment",
    ),
    Check(
        "payment_has_currency_places",
        "No payment has more decimal places than its currency",
        """
        SELECT payment.id, payment.amount = round(payment.amount, known.places) AS holds
          FROM billing_payment payment
          LEFT JOIN unnest(%(currencies)s::text[], %(places)s::int[]) AS known (currency, places)
                 ON known.currency = payment.currency
        """,
    ),
)
