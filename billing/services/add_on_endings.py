"""Cancelling one add-on of a subscription that goes on, and taking that back."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from billing.models import AddOnSubscription, Event, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import changed, events, holding, renewed
from billing.services.change_quotes import PastDue
from billing.services.subscriptions import BY_CUSTOMER, Author, SubscriptionStateForbids

Status = SubscriptionStatus
RENEWING = (Status.TRIALING, Status.ACTIVE)


@transaction.atomic
def cancel(
    *, add_on: AddOnSubscription, author: Author | None = None, now: datetime
) -> AddOnSubscription:
    """
    Cancel: it runs on to the end of what is paid for, and the next renewal is without it. One that
    never ends, ends now.

    A renewal that is invoiced already and not yet due is withdrawn, and is invoiced anew.

    :param author: who of staff does it; None is the customer
    :raises SubscriptionStateForbids: if it does not run, or its subscription is paused
    :raises PastDue: if the renewal that it is on is not paid
    """
    subscription, locked = _hold(add_on)
    if locked.status not in RENEWING or not locked.is_running_at(now):
        raise SubscriptionStateForbids(
            f"An add-on that is {locked.status} and does not run cannot be cancelled.",
            status=locked.status,
        )
    if subscription.past_due_since:
        raise PastDue("The subscription's renewal is not paid: that comes first.")
    renewed.withdraw_open(subscription=subscription, now=now)
    changed.withdraw_waiting(subscription=subscription, now=now)
    locked.status = Status.CANCELLED
    locked.cancelled_at = max(now, locked.started_at or now)
    locked.cancel_reason = author.as_json()["reason"] if author else BY_CUSTOMER
    locked.expires_at = locked.expires_at or locked.cancelled_at
    locked.save(update_fields=["status", "cancelled_at", "cancel_reason", "expires_at"])
    events.record(_event("add_on.cancelled", locked, author, now))
    return locked


@transaction.atomic
def uncancel(
    *, add_on: AddOnSubscription, author: Author | None = None, now: datetime
) -> AddOnSubscription:
    """
    Take a cancellation back, as long as it still runs: it is renewed again.

    :param author: who of staff does it; None is the customer, who takes back only their own
    :raises SubscriptionStateForbids: if it is not cancelled, or is over, or its subscription does
        not go on, or staff cancelled it
    """
    subscription, locked = _hold(add_on)
    if locked.status != Status.CANCELLED or not locked.is_running_at(now):
        raise SubscriptionStateForbids(
            f"An add-on that is {locked.status} cannot be activated.", status=locked.status
        )
    if subscription.status not in RENEWING:
        raise SubscriptionStateForbids(
            f"Its subscription is {subscription.status}.", status=subscription.status
        )
    if author is None and locked.cancel_reason != BY_CUSTOMER:
        raise SubscriptionStateForbids(
            "You did not cancel the add-on yourself: please ask us.", status=locked.status
        )
    renewed.withdraw_open(subscription=subscription, now=now)
    locked.status = subscription.status
    locked.cancelled_at = None
    locked.cancel_reason = ""
    locked.save(update_fields=["status", "cancelled_at", "cancel_reason"])
    events.record(_event("add_on.uncancelled", locked, author, now))
    return locked


def _hold(add_on: AddOnSubscription) -> tuple[Subscription, AddOnSubscription]:
    subscription = holding.hold(add_on.subscription)
    if subscription.status == Status.PAUSED:
        raise SubscriptionStateForbids(
            "The subscription is paused: resume it first.", status=subscription.status
        )
    return subscription, AddOnSubscription.objects.lock(add_on.pk)


def _event(name: str, add_on: AddOnSubscription, author: Author | None, now: datetime) -> Event:
    return Event(
        name=name,
        user_id=add_on.user_id,
        subject_id=add_on.pk,
        payload={"subscription_id": str(add_on.subscription_id)}
        | (author.as_json() if author else {"reason": BY_CUSTOMER}),
        created_at=now,
    )
