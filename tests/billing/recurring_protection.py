"""What the database refuses of recurring billing: each trigger's and constraint's name, a write."""

from tests.billing.refused import again


def redemption(change: str) -> str:
    return f"UPDATE billing_couponredemption SET {change} WHERE id = %(lea_redemption)s"


def subscription(change: str) -> str:
    return f"UPDATE billing_subscription SET {change} WHERE id = %(lea_subscription)s"


def wish(change: str) -> str:
    return f"UPDATE billing_subscriptionchange SET {change} WHERE id = %(lea_wish)s"


def entry(amount: int, balance: int, sequence: int = 9, reference: str = "new") -> str:
    return f"""
        INSERT INTO billing_creditentry
               (id, account_id, sequence, type, amount, balance_after, reference, created_at)
        VALUES (%(new)s, %(max_account)s, {sequence}, 'cancellation', {amount}, {balance},
                %({reference})s, now())
    """


TRIGGERS = [
    ("credit_account_is_kept", "DELETE FROM billing_creditaccount WHERE id = %(max_account)s"),
    *[
        (
            "credit_account_has_one_user",
            f"UPDATE billing_creditaccount SET {change} WHERE id = %(max_account)s",
        )
        for change in ("id = %(new)s", "user_id = %(lea)s", "currency = 'EUR'")
    ],
    ("credit_entry_is_kept", "DELETE FROM billing_creditentry WHERE id = %(max_used)s"),
    *[
        (
            "credit_entry_is_kept",
            f"UPDATE billing_creditentry SET {change} WHERE id = %(max_used)s",
        )
        for change in ("amount = amount - 1", "reference = %(new)s", "created_at = now()")
    ],
    (
        "coupon_redemption_is_kept",
        "DELETE FROM billing_couponredemption WHERE id = %(lea_redemption)s",
    ),
    *[
        ("coupon_redemption_is_as_agreed", redemption(change))
        for change in (
            "id = %(new)s",
            "coupon_id = %(less)s",
            "user_id = %(max)s",
            "subscription_id = %(max_subscription)s",
            "invoice_id = NULL",
            "name = 'Other'",
            "percent = 100",
            "percent = NULL, amount = 1",
            "currency = 'EUR'",
        )
    ],
    ("payment_attempt_is_kept", "DELETE FROM billing_paymentattempt WHERE id = %(max_attempt)s"),
    *[
        (
            "payment_attempt_ends_once",
            f"UPDATE billing_paymentattempt SET {change} WHERE id = %(max_attempt)s",
        )
        for change in ("outcome = 'paid'", "outcome = 'started', finished_at = NULL")
    ],
    (
        "subscription_change_is_kept",
        "DELETE FROM billing_subscriptionchange WHERE id = %(lea_wish)s",
    ),
    *[
        (
            "subscription_change_ends_once",
            f"UPDATE billing_subscriptionchange SET {change} WHERE id = %(lea_change)s",
        )
        for change in ("status = 'pending', applied_at = NULL", "charge = charge + 1")
    ],
]

CONSTRAINTS = [
    (
        "invoice_renews_period_once",
        again("billing_invoice", "lea_renewal", "number = 'x', subtotal = 0, total_amount = 0"),
    ),
    (
        "invoice_renewal_has_period",
        again(
            "billing_invoice",
            "lea_renewal",
            "number = 'x', subtotal = 0, total_amount = 0, period_start = NULL",
        ),
    ),
    (
        "invoice_tried_is_payable",
        "UPDATE billing_invoice SET next_attempt_at = now() WHERE id = %(lea_renewal)s",
    ),
    ("payment_attempt_number_once", again("billing_paymentattempt", "max_attempt", "")),
    *[
        (
            "payment_attempt_over_has_moment",
            again("billing_paymentattempt", "max_attempt", f"number = 9, {change}"),
        )
        for change in ("finished_at = NULL", "outcome = 'started'")
    ],
    ("credit_account_not_negative", "UPDATE billing_creditaccount SET balance = -1"),
    ("credit_account_once_per_currency", again("billing_creditaccount", "max_account", "")),
    ("credit_entry_moves", entry(0, 12)),
    ("credit_entry_not_overdrawn", entry(-13, -1)),
    ("credit_entry_reference_once", entry(1, 13, reference="max")),
    ("credit_entry_sequence_once", entry(1, 13, sequence=1)),
    (
        "coupon_code_once",
        again("billing_coupon", "half", "code = 'half'"),
    ),
    *[
        ("coupon_percent_has_percent", f"UPDATE billing_coupon SET {change} WHERE id = %(half)s")
        for change in ("percent = NULL", "percent = 0", "percent = 100.01", "kind = 'amount'")
    ],
    *[
        ("coupon_periods_has_number", f"UPDATE billing_coupon SET {change} WHERE id = %(half)s")
        for change in ("periods = NULL", "periods = 0", "duration = 'once'")
    ],
    (
        "coupon_not_redeemed_too_often",
        "UPDATE billing_coupon SET max_redemptions = 1, redeemed = 2 WHERE id = %(half)s",
    ),
    ("coupon_amount_once_per_currency", again("billing_couponamount", "less_amount", "")),
    ("coupon_amount_is_positive", "UPDATE billing_couponamount SET amount = 0"),
    (
        "coupon_one_per_subscription",
        redemption("status = 'active'")
        + ";"
        + again("billing_couponredemption", "lea_redemption", ""),
    ),
    *[
        (
            "coupon_redemption_has_terms",
            again("billing_couponredemption", "lea_redemption", f"status = 'released', {change}"),
        )
        for change in ("percent = NULL", "amount = 1")
    ],
    (
        "subscription_change_applied_has_moment",
        wish("status = 'applied', was_amount = 1, was_period = 'monthly'"),
    ),
    ("subscription_change_applied_has_moment", wish("applied_at = now()")),
    *[
        (
            "subscription_change_applied_has_before",
            wish(f"status = 'applied', applied_at = now(), {was}"),
        )
        for was in ("was_amount = 1", "was_period = 'monthly'")
    ],
    ("subscription_change_has_quantity", wish("quantity = 0")),
    *[
        ("subscription_change_not_negative", wish(f"{column} = -1"))
        for column in ("value", "credit", "charge")
    ],
    (
        "subscription_change_one_waiting",
        again("billing_subscriptionchange", "lea_wish", "invoice_id = NULL"),
    ),
    ("subscription_has_quantity", subscription("quantity = 0")),
    (
        "addonsubscription_has_quantity",
        "UPDATE billing_addonsubscription SET quantity = 0 WHERE id = %(lea_support)s",
    ),
    (
        "subscription_one_trial_per_plan",
        again("billing_subscription", "tim_subscription", "status = 'expired'"),
    ),
    *[
        ("subscription_parked_has_reason", subscription(change))
        for change in ("parked_at = now()", "parked_reason = 'Why'")
    ],
    *[
        ("subscription_pending_plan_has_price", subscription(change))
        for change in ("pending_plan_id = %(pro)s", "pending_price_id = %(pro_price)s")
    ],
]
