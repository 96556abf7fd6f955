"""Tokens, events and their history that break a rule."""

from __future__ import annotations

from tests.billing.breaking import Break, drop, drop_index, movement, told

TOKENS = [
    Break(
        "token_balance_is_sum",
        "one token from nowhere",
        "ann",
        "UPDATE billing_tokenaccount SET balance = balance + 1 WHERE user_id = %(ann)s",
    ),
    Break(
        "token_balance_runs",
        "one token more in between",
        "",
        """
        UPDATE billing_tokentransaction SET balance_after = balance_after + 1
         WHERE account_id = %(ann)s AND sequence = 2
        """,
    ),
    Break(
        "token_sequence_has_no_gap",
        "1, 2, 7",
        "",
        """
        UPDATE billing_tokentransaction SET sequence = 7
         WHERE account_id = %(ann)s AND sequence = 3
        """,
    ),
    Break(
        "token_account_counts",
        "one more than there are",
        "ann",
        "UPDATE billing_tokenaccount SET last_sequence = 4 WHERE user_id = %(ann)s",
    ),
    Break(
        "token_balance_not_negative",
        "more was spent than there was",
        "ann",
        drop("billing_tokenaccount", "token_account_not_negative")
        + drop("billing_tokentransaction", "token_transaction_not_overdrawn")
        + movement(-881, "usage", "'too much'"),
    ),
    Break(
        "purchase_is_credited_once",
        "what was credited was no purchase",
        "gus_purchase",
        """
        UPDATE billing_tokentransaction SET transaction_type = 'usage'
         WHERE reference_id = %(gus_purchase)s::text
        """,
    ),
    Break(
        "purchase_is_credited_once",
        "one token less than was bought",
        "gus_purchase",
        "UPDATE billing_tokenbundlepurchase SET token_amount = 501 WHERE id = %(gus_purchase)s",
    ),
    Break(
        "purchase_is_credited_once",
        "credited twice",
        "ann_purchase",
        drop("billing_tokentransaction", "token_transaction_reference_once")
        + movement(500, "purchase", "%(ann_purchase)s::text"),
    ),
    Break(
        "credit_has_purchase",
        "bought by nothing",
        "new",
        movement(500, "purchase", "'nothing'"),
    ),
    Break(
        "credit_has_purchase",
        "credited before it was paid",
        "new",
        movement(500, "purchase", "%(bob_purchase)s::text"),
    ),
    Break(
        "credit_has_purchase",
        "credited to one another",
        "",
        """
        UPDATE billing_tokentransaction
           SET reference_id = CASE reference_id WHEN %(ann_purchase)s::text
                                                THEN %(gus_purchase)s::text
                                                ELSE %(ann_purchase)s::text END
         WHERE reference_id IN (%(ann_purchase)s::text, %(gus_purchase)s::text)
        """,
    ),
]


def untold(rule: str, event: str, subject: str) -> list[Break]:
    return [
        Break(
            rule,
            "nothing was told",
            subject,
            f"DELETE FROM billing_event WHERE name = '{event}' AND subject_id = %({subject})s",
        )
    ]


def told_twice(rule: str, event: str, subject: str) -> list[Break]:
    return [
        *untold(rule, event, subject),
        Break(rule, "it was told twice", subject, told(event, subject)),
    ]


EVENTS = [
    *told_twice("event_of_checkout", "checkout.completed", "bob_invoice"),
    *told_twice("event_of_paid_invoice", "invoice.paid", "ann_invoice"),
    *told_twice("event_of_started_subscription", "subscription.activated", "ann_subscription"),
    *untold("event_of_cancelled_subscription", "subscription.cancelled", "dora_old_subscription"),
    *untold("event_of_paused_subscription", "subscription.paused", "eve_subscription"),
    *told_twice("event_of_started_add_on", "add_on.activated", "ann_add_on"),
    *told_twice("event_of_credit", "tokens.credited", "gus_invoice"),
    *told_twice("event_of_adjustment", "tokens.adjusted", "fay_gift"),
    Break(
        "event_of_adjustment",
        "fewer tokens were told",
        "fay_gift",
        """
        UPDATE billing_event SET payload = payload || '{"tokens": 99}'
         WHERE subject_id = %(fay_gift)s
        """,
    ),
    Break(
        "event_of_adjustment",
        "of another customer's account",
        "fay_gift",
        "UPDATE billing_event SET user_id = %(ann)s WHERE subject_id = %(fay_gift)s",
    ),
    *untold("event_of_payment", "payment.captured", "ann_payment"),
    *untold("event_of_payment", "payment.unmatched", "stray_payment"),
]


CHANGES = [
    Break(
        "change_agrees_with_invoice",
        "it took effect before it was paid",
        "leo_six",
        """
        UPDATE billing_subscriptionchange
           SET status = 'applied', applied_at = now(), was_amount = 29, was_period = 'monthly'
         WHERE id = %(leo_six)s;
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (gen_random_uuid(), 'subscription.changed', %(leo_subscription)s,
                jsonb_build_object('change_id', %(leo_six)s), now());
        """,
    ),
    Break(
        "change_agrees_with_invoice",
        "its invoice is withdrawn, and it still waits",
        "leo_five",
        drop_index("subscription_change_one_waiting")
        + "UPDATE billing_subscriptionchange SET status = 'pending' WHERE id = %(leo_five)s",
    ),
    Break(
        "invoice_of_change_has_change",
        "there is none",
        "leo_five_invoice",
        "DELETE FROM billing_subscriptionchange WHERE id = %(leo_five)s",
    ),
    Break(
        "change_is_charged",
        "a dollar less than it is",
        "leo_six",
        "UPDATE billing_subscriptionchange SET charge = charge + 1 WHERE id = %(leo_six)s",
    ),
    Break(
        "change_leaves_its_credit",
        "nothing was left",
        "leo_down",
        """
        UPDATE billing_creditentry SET type = 'cancellation' WHERE reference = %(leo_down)s
        """,
    ),
    Break(
        "change_leaves_its_credit",
        "it was given back before it is paid",
        "leo_six",
        """
        UPDATE billing_creditentry SET reference = %(leo_six)s WHERE reference = %(jon)s;
        UPDATE billing_creditentry SET type = 'change' WHERE reference = %(leo_six)s;
        """,
    ),
    Break(
        "event_of_change",
        "it was not told",
        "leo_up",
        "DELETE FROM billing_event WHERE payload->>'change_id' = %(leo_up)s"
        " AND name = 'subscription.changed'",
    ),
]
