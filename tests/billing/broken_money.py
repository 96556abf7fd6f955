"""Numbers of invoices, and payments, that break a rule."""

from __future__ import annotations

from tests.billing.breaking import Break, copied, drop, movement, told

# On the 2nd of March there are the invoices 1, 2 and 3 of series 01.
NUMBERS = [
    Break(
        "invoice_number_is_well_formed",
        "without its zeros",
        "gus_third_invoice",
        "UPDATE billing_invoice SET number = 'INV-20260302-1-3' WHERE id = %(gus_third_invoice)s",
    ),
    Break(
        "invoice_number_is_well_formed",
        "of no series at all",
        "gus_third_invoice",
        """
        UPDATE billing_invoice SET number = '2026/3' WHERE id = %(gus_third_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 2 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "invoice_number_once",
        "the second one again",
        "",
        drop("billing_invoice", "billing_invoice_number_key")
        + """
        UPDATE billing_invoice SET number = 'INV-20260302-01-000002'
         WHERE id = %(gus_third_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 2 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "invoice_has_series",
        "the series is gone",
        "",
        "DELETE FROM billing_invoiceseries WHERE day = '2026-03-02'",
    ),
    Break(
        "invoice_has_series",
        "a number of another series",
        "",
        """
        UPDATE billing_invoice SET number = 'INV-20260302-07-000001'
         WHERE id = %(gus_third_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 2 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "series_has_no_gap",
        "the last number was never used",
        "",
        "UPDATE billing_invoiceseries SET last_number = 4 WHERE day = '2026-03-02'",
    ),
    Break(
        "series_has_no_gap",
        "1, 2, 4 of 3",
        "",
        """
        UPDATE billing_invoice SET number = 'INV-20260302-01-000004'
         WHERE id = %(gus_third_invoice)s
        """,
    ),
    Break(
        "series_has_no_gap",
        "1, 3, 4 of 4",
        "",
        """
        UPDATE billing_invoice SET number = 'INV-20260302-01-000004'
         WHERE id = %(gus_second_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 4 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "series_has_no_gap",
        "0, 2, 3 of 3",
        "",
        "UPDATE billing_invoice SET number = 'INV-20260302-01-000000' WHERE id = %(gus_invoice)s",
    ),
    Break(
        "series_of_day_has_no_gap",
        "series 1 and 3",
        "",
        """
        INSERT INTO billing_invoiceseries (day, series, last_number) VALUES ('2026-03-02', 3, 0)
        """,
    ),
]


PAYMENTS = [
    Break(
        "invoice_paid_has_payment",
        "paid by nothing",
        "ann_invoice",
        "DELETE FROM billing_payment WHERE id = %(ann_payment)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "paid too much",
        "ann_invoice",
        "UPDATE billing_payment SET amount = amount + 1 WHERE id = %(ann_payment)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "paid in another currency",
        "ann_invoice",
        "UPDATE billing_payment SET currency = 'EUR' WHERE id = %(ann_payment)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "paid twice",
        "ann_invoice",
        "DROP INDEX payment_one_per_invoice;"
        + copied("billing_payment", "ann_payment", "reference = 'twice'")
        + told("payment.captured", "new"),
    ),
    Break(
        "invoice_paid_has_payment",
        "zero, and paid by bank",
        "fay_invoice",
        "UPDATE billing_invoice SET payment_method = 'bank' WHERE id = %(fay_invoice)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "refunded, and the payment was not",
        "gus_invoice",
        """
        UPDATE billing_invoice SET status = 'refunded' WHERE id = %(gus_invoice)s;
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (%(new)s, 'invoice.refunded', %(gus_invoice)s,
                '{"tokens_taken_back": 0, "tokens_used_before": 500}', now());
        UPDATE billing_tokenbundlepurchase SET status = 'refunded' WHERE id = %(gus_purchase)s;
        UPDATE billing_payment SET status = 'unmatched', invoice_id = NULL, unmatched_reason = 'x'
         WHERE id = %(gus_payment)s;
        """,
    ),
    Break(
        "payment_refunded_has_moment",
        "refunded under no reference",
        "hal_payment",
        "UPDATE billing_payment SET refund_reference = '' WHERE id = %(hal_payment)s",
    ),
    Break(
        "payment_refunded_has_moment",
        "unmatched, and refunded at a moment",
        "stray_payment",
        drop("billing_payment", "payment_refunded_has_moment")
        + "UPDATE billing_payment SET refunded_at = now() WHERE id = %(stray_payment)s",
    ),
    Break(
        "event_of_refunded_invoice",
        "told twice",
        "hal_invoice",
        told("invoice.refunded", "hal_invoice"),
    ),
    Break(
        "event_of_refunded_payment",
        "told twice",
        "sent_back_payment",
        told("payment.refunded", "sent_back_payment"),
    ),
    Break(
        "event_of_cancelled_invoice",
        "voided, and not told",
        "ida_invoice",
        "DELETE FROM billing_event WHERE name = 'invoice.voided'",
    ),
    Break(
        "event_of_cancelled_invoice",
        "withdrawn, and not told",
        "leo_five_invoice",
        "DELETE FROM billing_event WHERE name = 'invoice.withdrawn'",
    ),
    Break(
        "event_of_cancelled_invoice",
        "told twice",
        "ida_invoice",
        told("invoice.voided", "ida_invoice"),
    ),
    Break(
        "event_of_cancelled_invoice",
        "cancelled by nobody",
        "gus_second_invoice",
        """
        UPDATE billing_invoice SET status = 'cancelled', cancelled_at = now()
         WHERE id = %(gus_second_invoice)s;
        UPDATE billing_tokenbundlepurchase SET status = 'cancelled'
         WHERE id = %(gus_second_purchase)s;
        """,
    ),
    Break(
        "event_of_assigned_payment",
        "not told",
        "dora_payment",
        "DELETE FROM billing_event WHERE name = 'payment.assigned'",
    ),
    Break(
        "event_of_assigned_payment",
        "told twice",
        "dora_payment",
        told("payment.assigned", "dora_payment"),
    ),
    Break(
        "event_of_assigned_payment",
        "told of one that waits",
        "stray_payment",
        told("payment.assigned", "stray_payment"),
    ),
    Break(
        "token_refund_is_told",
        "fewer than went back",
        "hal_invoice",
        """
        UPDATE billing_event SET payload = payload || '{"tokens_taken_back": 379}'
         WHERE name = 'invoice.refunded'
        """,
    ),
    Break(
        "token_refund_is_told",
        "more were used than were bought",
        "hal_invoice",
        """
        UPDATE billing_event SET payload = payload || '{"tokens_used_before": 121}'
         WHERE name = 'invoice.refunded'
        """,
    ),
    Break(
        "token_refund_is_told",
        "in words",
        "hal_invoice",
        """
        UPDATE billing_event SET payload = payload || '{"tokens_taken_back": "all"}'
         WHERE name = 'invoice.refunded'
        """,
    ),
    Break(
        "token_refund_has_purchase",
        "fewer than there were",
        "",
        """
        UPDATE billing_tokentransaction SET amount = -370, balance_after = 10
         WHERE transaction_type = 'refund';
        UPDATE billing_tokenaccount SET balance = 10 WHERE user_id = %(hal)s;
        UPDATE billing_event
           SET payload = payload || '{"tokens_taken_back": 370, "tokens_used_before": 130}'
         WHERE name = 'invoice.refunded';
        """,
    ),
    Break(
        "token_refund_has_purchase",
        "of a purchase that is not refunded",
        "new",
        movement(-500, "refund", "%(ann_purchase)s::text"),
    ),
    Break(
        "token_refund_has_purchase",
        "for nothing",
        "new",
        movement(-5, "refund", "'no purchase'"),
    ),
    Break(
        "payment_agrees_with_invoice",
        "captured for an invoice that is pending",
        "new",
        copied("billing_payment", "ann_payment", "reference = 'x', invoice_id = %(bob_invoice)s")
        + "UPDATE billing_payment SET user_id = %(bob)s WHERE id = %(new)s;"
        + told("payment.captured", "new"),
    ),
    Break(
        "payment_agrees_with_invoice",
        "refunded, and the invoice is paid",
        "new",
        copied(
            "billing_payment",
            "ann_payment",
            "reference = 'x', status = 'refunded', refunded_at = now(), refund_reference = 'x'",
        )
        + told("payment.captured", "new"),
    ),
    Break(
        "payment_agrees_with_invoice",
        "captured for no invoice",
        "stray_payment",
        drop("billing_payment", "payment_captured_has_invoice")
        + "UPDATE billing_payment SET status = 'captured' WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_agrees_with_invoice",
        "of another customer",
        "ann_payment",
        "UPDATE billing_payment SET user_id = %(bob)s WHERE id = %(ann_payment)s",
    ),
    Break(
        "payment_unmatched_has_reason",
        "for no reason",
        "stray_payment",
        drop("billing_payment", "payment_unmatched_has_reason")
        + "UPDATE billing_payment SET unmatched_reason = '' WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_unmatched_has_reason",
        "with an invoice",
        "stray_payment",
        "UPDATE billing_payment SET invoice_id = %(bob_invoice)s WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_reference_once",
        "the same reference again",
        "",
        drop("billing_payment", "payment_reference_once")
        + """
        UPDATE billing_payment
           SET reference = (SELECT reference FROM billing_payment WHERE id = %(ann_payment)s)
         WHERE id = %(stray_payment)s
        """,
    ),
    Break(
        "payment_is_positive",
        "nothing",
        "stray_payment",
        drop("billing_payment", "payment_is_positive")
        + "UPDATE billing_payment SET amount = 0 WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_has_currency_places",
        "half a cent",
        "stray_payment",
        "UPDATE billing_payment SET amount = 1.005 WHERE id = %(stray_payment)s",
    ),
]
