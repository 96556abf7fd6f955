"""Trials: how they begin and end. One per customer and plan; see docs/billing-rules.md."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from billing.models import AddOnSubscription, Event, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import events, terms
from catalog.models import BillingPeriod

Status = SubscriptionStatus


def was_had(*, user_id: UUID, plan_id: UUID) -> bool:
    """Whether the customer has had the trial of this plan: there is one, whatever became of it."""
    return Subscription.objects.with_trial_of(plan_id).filter(user_id=user_id).exists()


def begin(subscription: Subscription, *, now: datetime) -> None:
    """
    Let the trial begin that was agreed on, in memory.

    Where it is paid for, its first period follows the trial; else the first renewal does. Either
    way periods are counted from the trial's end.
    """
    ends = now + timedelta(days=subscription.trial_days)
    subscription.status = Status.TRIALING
    subscription.started_at = now
    subscription.trial_ends_at = ends
    if subscription.is_trial_paid:
        terms.begin_anew(subscription, at=ends)
    else:
        subscription.anchor_at = ends
        subscription.period_start = now
        subscription.expires_at = ends


def forgo(subscription: Subscription, *, now: datetime) -> None:
    """
    Let it begin without the trial, which another subscription has had meanwhile, in memory.

    Nothing is paid, so its time is over at once: the next renewal is due.
    """
    subscription.status = Status.ACTIVE
    subscription.started_at = now
    subscription.anchor_at = now
    subscription.period_start = now
    subscription.expires_at = now


def begin_add_on(
    add_on: AddOnSubscription, *, is_free: bool, with_plan: bool, now: datetime
) -> None:
    """
    Let an add-on begin, in memory: with what is left of a trial, or with a period that is paid.

    :param is_free: whether it costs nothing until the trial of its subscription is over; where
        that is over by now, or was forgone, it is to be renewed at once
    :param with_plan: whether it was bought with the plan: a paid trial is followed by its period
    """
    subscription = add_on.subscription
    trial_ends = subscription.trial_ends_at
    add_on.started_at = now
    if is_free:
        ends = max(trial_ends or now, now)
        add_on.period_start = now
        add_on.anchor_at = add_on.paid_until = ends
        return
    is_recurring = add_on.billing_period != BillingPeriod.ONE_TIME
    begins = trial_ends if with_plan and trial_ends and is_recurring else now
    terms.begin_anew(add_on, at=begins)
    add_on.paid_until = terms.end_of_add_on(add_on, subscription, begins=begins)


@transaction.atomic
def end_paid(*, now: datetime, limit: int, among: Q | None = None) -> int:
    """
    Let the paid period begin of up to ``limit`` subscriptions whose trial is over.

    Each is claimed without waiting: what somebody else holds is left for the next round. A trial
    that was not paid for is ended by its first renewal.

    :param among: which subscriptions are looked at; None means all
    :return: how many there were
    """
    over = Subscription.objects.filter(
        among or Q(), status=Status.TRIALING, is_trial_paid=True, trial_ends_at__lte=now
    ).order_by("trial_ends_at", "pk")
    locked = over.select_for_update(skip_locked=True, no_key=True, of=("self", "user"))
    claimed = list(locked.select_related("user")[:limit])
    if not claimed:
        return 0
    ids = [subscription.pk for subscription in claimed]
    Subscription.objects.filter(pk__in=ids).update(status=Status.ACTIVE)
    AddOnSubscription.objects.filter(subscription__in=ids, status=Status.TRIALING).update(
        status=Status.ACTIVE
    )
    events.record(
        *(
            Event(
                name="subscription.trial_ended",
                user_id=subscription.user_id,
                subject_id=subscription.pk,
                payload={"status": Status.ACTIVE},
                created_at=now,
            )
            for subscription in claimed
        )
    )
    return len(ids)
