"""How each rule of the books of recurring billing is broken, with the ids of the subscribers."""

from tests.billing.breaking import Break, drop, drop_index, told

BREAKS = [
    Break(
        "subscription_is_in_a_period",
        "it is counted from nothing",
        "lea_subscription",
        "UPDATE billing_subscription SET anchor_at = NULL WHERE id = %(lea_subscription)s",
    ),
    Break(
        "subscription_is_in_a_period",
        "it ends before it begins",
        "sue_subscription",
        "UPDATE billing_subscription SET period_start = expires_at + interval '1 day'"
        " WHERE id = %(sue_subscription)s",
    ),
    Break(
        "trialing_has_end",
        "its trial goes on for ever",
        "uma_subscription",
        "UPDATE billing_subscription SET trial_ends_at = NULL WHERE id = %(uma_subscription)s",
    ),
    Break(
        "renewal_once_per_period",
        "two for one month",
        "tim_subscription",
        drop_index("invoice_renews_period_once")
        + """
        UPDATE billing_invoice SET period_start = '2026-03-15 12:00+00'
         WHERE subscription_id = %(tim_subscription)s AND reason = 'renewal';
        UPDATE billing_invoicelineitem SET period_start = '2026-03-15 12:00+00'
         WHERE item_id = %(tim_subscription)s AND period_start > '2026-03-15 12:00+00';
        """,
    ),
    Break(
        "renewal_line_is_of_its_period",
        "of the day before",
        "max_renewal_subscription_line",
        "UPDATE billing_invoicelineitem SET period_start = period_start - interval '1 day'"
        " WHERE id = %(max_renewal_subscription_line)s",
    ),
    Break(
        "renewals_do_not_overlap",
        "a day is paid for twice",
        "",
        "UPDATE billing_invoicelineitem SET period_end = period_end + interval '1 month'"
        " WHERE item_id = %(tim_subscription)s AND period_end < '2026-04-16'",
    ),
    Break(
        "past_due_has_renewal",
        "nothing is owed",
        "lea_subscription",
        "UPDATE billing_subscription SET past_due_since = now() WHERE id = %(lea_subscription)s",
    ),
    Break(
        "past_due_has_renewal",
        "it has ended",
        "nia_subscription",
        "UPDATE billing_subscription SET grace_until = now() WHERE id = %(nia_subscription)s",
    ),
    Break(
        "attempt_is_of_invoices_customer",
        "of another one",
        "max_attempt",
        "UPDATE billing_paymentattempt SET user_id = %(lea)s WHERE id = %(max_attempt)s",
    ),
    Break(
        "attempt_paid_has_payment",
        "there is none",
        "max_attempt",
        "UPDATE billing_paymentattempt SET outcome = 'paid' WHERE id = %(max_attempt)s",
    ),
    Break(
        "event_of_issued_renewal",
        "not told",
        "lea_renewal",
        "DELETE FROM billing_event WHERE name = 'invoice.issued' AND subject_id = %(lea_renewal)s",
    ),
    Break("event_of_issued_renewal", "twice", "max_renewal", told("invoice.issued", "max_renewal")),
    Break(
        "event_of_paid_renewal",
        "not told",
        "ola_renewal",
        "DELETE FROM billing_event WHERE name = 'subscription.reactivated'",
    ),
    Break(
        "event_of_paid_renewal",
        "twice",
        "lea_renewal",
        """
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (gen_random_uuid(), 'subscription.renewed', %(lea_subscription)s,
                jsonb_build_object('invoice_id', %(lea_renewal)s), now());
        """,
    ),
    Break(
        "credit_balance_is_sum",
        "a dollar more",
        "max_account",
        "UPDATE billing_creditaccount SET balance = balance + 1 WHERE id = %(max_account)s",
    ),
    Break(
        "credit_balance_runs",
        "in the middle it was another one",
        "max_cancellation",
        "UPDATE billing_creditentry SET balance_after = 11 WHERE id = %(max_cancellation)s",
    ),
    Break(
        "credit_sequence_has_no_gap",
        "one was left out",
        "max_used",
        """
        UPDATE billing_creditentry SET sequence = 3 WHERE id = %(max_used)s;
        UPDATE billing_creditaccount SET last_sequence = 3 WHERE id = %(max_account)s;
        """,
    ),
    Break(
        "credit_used_is_on_invoice",
        "of an invoice that does not name it",
        "max_used",
        "DELETE FROM billing_invoicelineitem WHERE type = 'credit' AND user_id = %(max)s;"
        "UPDATE billing_invoice SET subtotal = 34, total_amount = 34 WHERE id = %(max_renewal)s",
    ),
    Break(
        "credit_comes_back",
        "of the renewal that was given up it did not",
        "",
        """
        UPDATE billing_creditentry SET type = 'cancellation'
         WHERE account_id = %(ron_account)s AND type = 'returned'
        """,
    ),
    Break(
        "coupon_counts_redemptions",
        "one that was not",
        "half",
        "UPDATE billing_coupon SET redeemed = redeemed + 1 WHERE id = %(half)s",
    ),
    Break(
        "coupon_counts_redemptions",
        "once more than it may be",
        "half",
        drop("billing_coupon", "coupon_not_redeemed_too_often")
        + "UPDATE billing_coupon SET max_redemptions = 0 WHERE id = %(half)s",
    ),
    Break(
        "redemption_agrees_with_checkout",
        "held, though it was paid",
        "lea_redemption",
        "UPDATE billing_couponredemption SET status = 'held' WHERE id = %(lea_redemption)s",
    ),
    Break(
        "redemption_has_periods_left",
        "it is used up",
        "lea_redemption",
        "UPDATE billing_couponredemption SET status = 'active', periods_left = 0"
        " WHERE id = %(lea_redemption)s",
    ),
    Break(
        "discount_lessens_a_line",
        "of something else",
        "lea_renewal_discount_line",
        "UPDATE billing_invoicelineitem SET item_id = %(nowhere)s"
        " WHERE id = %(lea_renewal_discount_line)s",
    ),
    Break(
        "discount_has_redemption",
        "nobody has redeemed one",
        "lea_renewal_discount_line",
        "DELETE FROM billing_couponredemption; UPDATE billing_coupon SET redeemed = 0",
    ),
]
