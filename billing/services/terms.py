"""From when to when something is paid for, counted from its anchor. Pure: no query, no clock."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from billing.models import AddOnSubscription, Subscription
from billing.models.subscription import PeriodOfUse
from billing.services import periods
from catalog.models import BillingPeriod
from catalog.money import Money


def begin(item: PeriodOfUse, *, at: datetime) -> None:
    """Let its first period begin, and be counted from now on."""
    item.started_at = item.started_at or at
    begin_anew(item, at=at)


def begin_anew(item: PeriodOfUse, *, at: datetime) -> None:
    """Let a period of full length begin, and count those that follow from here."""
    item.anchor_at = at
    item.period_start = at
    item.expires_at = periods.end(anchor=at, billing_period=item.billing_period)
    item.period_value = price_of(item).amount


def move_to(subscription: Subscription, *, plan_id: UUID) -> None:
    """
    Let it be of another plan; the one that its trial was of stays known, so that nobody has the
    same trial twice.
    """
    if subscription.trial_ends_at and subscription.trial_plan_id is None:
        subscription.trial_plan_id = subscription.plan_id
    subscription.plan_id = plan_id


def next_end(item: PeriodOfUse, *, after: datetime) -> datetime | None:
    """
    Return the end of the period that begins at ``after``; None where it never ends.

    Counted from the anchor, so that a month that began on the 31st ends on the 31st again after a
    shorter one.
    """
    if item.billing_period == BillingPeriod.ONE_TIME:
        return None
    anchor = item.anchor_at or after
    return periods.next_end(anchor=anchor, billing_period=item.billing_period, after=after)


def price_of(item: PeriodOfUse) -> Money:
    """What one full period of it costs, all seats, before any discount."""
    return Money(item.amount, item.currency) * item.quantity


def end_of_add_on(
    add_on: AddOnSubscription, subscription: Subscription, *, begins: datetime
) -> datetime | None:
    """
    Return until when an add-on is paid that begins then: with the same period as its subscription
    to the end of that one's, to be renewed together; else for a period of its own.
    """
    if add_on.billing_period == subscription.billing_period != BillingPeriod.ONE_TIME:
        return subscription.would_end_at(begins)
    return periods.end(anchor=begins, billing_period=add_on.billing_period)


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two ends; None is never."""
    ends = [end for end in (one, other) if end is not None]
    return min(ends, default=None)
