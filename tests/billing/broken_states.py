"""Subscriptions and what was sold with them, in states that break a rule."""

from __future__ import annotations

from tests.billing.breaking import Break, copied, drop, line, told

AGREEMENT = [
    Break(
        "subscription_agrees_with_invoice",
        "pending, and paid for",
        "fay_subscription",
        """
        UPDATE billing_subscription SET status = 'pending', started_at = NULL
         WHERE id = %(fay_subscription)s
        """,
    ),
    Break(
        "subscription_agrees_with_invoice",
        "active, and not paid for",
        "bob_subscription",
        """
        UPDATE billing_subscription
           SET status = 'active', started_at = now(), anchor_at = now(), period_start = now()
         WHERE id = %(bob_subscription)s;
        """
        + told("subscription.activated", "bob_subscription"),
    ),
    Break(
        "subscription_agrees_with_invoice",
        "given up, and its invoice is still to be paid",
        "bob_subscription",
        """
        UPDATE billing_subscription SET status = 'cancelled', cancelled_at = now()
         WHERE id = %(bob_subscription)s;
        """
        + told("subscription.cancelled", "bob_subscription"),
    ),
    Break(
        "subscription_agrees_with_invoice",
        "in a status that there is not",
        "bob_subscription",
        "UPDATE billing_subscription SET status = 'lost' WHERE id = %(bob_subscription)s",
    ),
    Break(
        "add_on_agrees_with_invoice",
        "active, and not paid for",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription
           SET status = 'active', started_at = '2026-03-02', expires_at = '2026-03-03'
         WHERE id = %(ann_open_add_on)s;
        """
        + told("add_on.activated", "ann_open_add_on"),
    ),
    Break(
        "add_on_agrees_with_invoice",
        "pending, and paid for",
        "ann_add_on",
        """
        UPDATE billing_addonsubscription SET status = 'pending', started_at = NULL
         WHERE id = %(ann_add_on)s
        """,
    ),
    Break(
        "add_on_agrees_with_invoice",
        "given up, and its invoice is still to be paid",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription SET status = 'cancelled', cancelled_at = now()
         WHERE id = %(ann_open_add_on)s
        """,
    ),
    Break(
        "purchase_agrees_with_invoice",
        "refunded, and its invoice is paid",
        "gus_purchase",
        "UPDATE billing_tokenbundlepurchase SET status = 'refunded' WHERE id = %(gus_purchase)s",
    ),
    Break(
        "purchase_agrees_with_invoice",
        "cancelled, and its invoice is still to be paid",
        "bob_purchase",
        "UPDATE billing_tokenbundlepurchase SET status = 'cancelled' WHERE id = %(bob_purchase)s",
    ),
    Break(
        "purchase_agrees_with_invoice",
        "pending, and its invoice is cancelled",
        "cid_purchase",
        "UPDATE billing_tokenbundlepurchase SET status = 'pending' WHERE id = %(cid_purchase)s",
    ),
    Break(
        "purchase_completed_is_credited",
        "completed, and not marked",
        "gus_purchase",
        drop("billing_tokenbundlepurchase", "purchase_completed_is_credited")
        + """
        UPDATE billing_tokenbundlepurchase SET tokens_credited = FALSE
         WHERE id = %(gus_purchase)s
        """,
    ),
    Break(
        "purchase_completed_is_credited",
        "pending, and marked",
        "bob_purchase",
        "UPDATE billing_tokenbundlepurchase SET tokens_credited = TRUE WHERE id = %(bob_purchase)s",
    ),
]


STATE = [
    Break(
        "subscription_one_live_per_user",
        "the replaced one lives on",
        "dora",
        """
        DROP INDEX subscription_one_live_per_user;
        UPDATE billing_subscription SET status = 'active' WHERE id = %(dora_old_subscription)s;
        """,
    ),
    Break(
        "subscription_has_its_moments",
        "pending, and started",
        "bob_subscription",
        "UPDATE billing_subscription SET started_at = now() WHERE id = %(bob_subscription)s;"
        + told("subscription.activated", "bob_subscription"),
    ),
    Break(
        "subscription_has_its_moments",
        "active, and never started",
        "fay_subscription",
        drop("billing_subscription", "subscription_live_has_started")
        + "UPDATE billing_subscription SET started_at = NULL WHERE id = %(fay_subscription)s",
    ),
    Break(
        "subscription_has_its_moments",
        "active, and paused at a moment",
        "fay_subscription",
        drop("billing_subscription", "subscription_paused_has_moment")
        + "UPDATE billing_subscription SET paused_at = now() WHERE id = %(fay_subscription)s",
    ),
    Break(
        "subscription_has_its_moments",
        "cancelled at no moment",
        "dora_old_subscription",
        "UPDATE billing_subscription SET cancelled_at = NULL WHERE id = %(dora_old_subscription)s",
    ),
    Break(
        "subscription_has_its_moments",
        "cancelled, and runs for ever",
        "dora_old_subscription",
        "UPDATE billing_subscription SET expires_at = NULL WHERE id = %(dora_old_subscription)s",
    ),
    Break(
        "add_on_has_its_moments",
        "pending, and started",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription SET started_at = '2026-03-02', expires_at = '2026-03-03'
         WHERE id = %(ann_open_add_on)s;
        """
        + told("add_on.activated", "ann_open_add_on"),
    ),
    Break(
        "add_on_has_its_moments",
        "active, and never started",
        "ann_add_on",
        "UPDATE billing_addonsubscription SET started_at = NULL WHERE id = %(ann_add_on)s",
    ),
    Break(
        "add_on_has_its_moments",
        "cancelled at no moment",
        "dora_old_add_on",
        "UPDATE billing_addonsubscription SET cancelled_at = NULL WHERE id = %(dora_old_add_on)s",
    ),
    Break(
        "add_on_is_of_subscription",
        "with another customer's subscription",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription SET subscription_id = %(dora_subscription)s
         WHERE id = %(ann_open_add_on)s
        """,
    ),
    Break(
        "add_on_ends_with_subscription",
        "a second longer",
        "ann_add_on",
        """
        UPDATE billing_addonsubscription SET expires_at = expires_at + interval '1 second'
         WHERE id = %(ann_add_on)s
        """,
    ),
    Break(
        "add_on_ends_with_subscription",
        "for ever",
        "ann_add_on",
        "UPDATE billing_addonsubscription SET expires_at = NULL WHERE id = %(ann_add_on)s",
    ),
    Break(
        "add_on_ends_with_subscription",
        "bought in the pause, a second longer",
        "eve_late_add_on",
        """
        UPDATE billing_addonsubscription SET expires_at = expires_at + interval '1 second'
         WHERE id = %(eve_late_add_on)s
        """,
    ),
    Break(
        "add_on_ends_with_subscription",
        "after the subscription was replaced",
        "dora_old_add_on",
        """
        UPDATE billing_addonsubscription SET expires_at = expires_at + interval '1 second'
         WHERE id = %(dora_old_add_on)s
        """,
    ),
    Break(
        "add_on_runs_with_subscription",
        "paused, and the subscription is not",
        "ann_add_on",
        "UPDATE billing_addonsubscription SET status = 'paused' WHERE id = %(ann_add_on)s",
    ),
    Break(
        "add_on_runs_with_subscription",
        "running, and the subscription is paused",
        "eve_add_on",
        "UPDATE billing_addonsubscription SET status = 'active' WHERE id = %(eve_add_on)s",
    ),
]


SOLD = [
    Break(
        "subscription_has_line",
        "on no invoice",
        "new",
        copied("billing_subscription", "bob_subscription"),
    ),
    Break(
        "subscription_has_line",
        "on an invoice twice",
        "fay_subscription",
        line("subscription", "fay_subscription", "fay_invoice", "fay"),
    ),
    Break(
        "purchase_has_line",
        "on no invoice",
        "new",
        copied("billing_tokenbundlepurchase", "bob_purchase"),
    ),
    Break(
        "add_on_has_line",
        "on no invoice",
        "new",
        copied("billing_addonsubscription", "bob_add_on"),
    ),
    Break(
        "subscription_has_its_price",
        "the price of another amount",
        "bob_subscription",
        "UPDATE billing_subscription SET price_id = %(team_price)s WHERE id = %(bob_subscription)s",
    ),
    Break(
        "subscription_has_its_price",
        "the price of another plan",
        "bob_subscription",
        "UPDATE billing_subscription SET plan_id = %(team)s WHERE id = %(bob_subscription)s",
    ),
    Break(
        "purchase_has_its_price",
        "the price in another currency",
        "bob_purchase",
        """
        UPDATE billing_tokenbundlepurchase SET price_id = %(starter_yen_price)s
         WHERE id = %(bob_purchase)s
        """,
    ),
    Break(
        "add_on_has_its_price",
        "the price of another add-on",
        "bob_add_on",
        """
        UPDATE billing_addonsubscription SET price_id = %(export_price)s
         WHERE id = %(bob_add_on)s
        """,
    ),
]
