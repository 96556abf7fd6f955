"""Cancel, pause, resume: by the customer, or by staff for them. See docs/billing-rules.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, Value
from django.db.models.functions import Greatest

from accounts.models import User
from billing.models import AddOnSubscription, Event, Invoice, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import activation, events, invoices
from config.errors import DomainError

Status = SubscriptionStatus
# What stands in ``cancel_reason``.
BY_CUSTOMER = "customer"
BY_STAFF = "staff"


class SubscriptionStateForbids(DomainError):
    code = "subscription_state_forbids"


@dataclass(frozen=True, slots=True)
class Author:
    """Who of staff does it for the customer, and why in their own words."""

    by: UUID
    note: str

    def as_json(self) -> dict[str, str]:
        return {"reason": BY_STAFF, "by": str(self.by), "note": self.note}


def cancel(
    *, subscription: Subscription, author: Author | None = None, now: datetime
) -> Subscription:
    """
    Cancel: it runs on to the end of what is paid for; one that never ends, ends now.

    A paused one is resumed first, so that the paused time is not lost. One that was never paid
    is given up with its whole checkout: the invoice, bundles and add-ons are cancelled too.

    :param author: None is the customer
    :raises SubscriptionStateForbids: if it has ended or is cancelled already
    """
    with transaction.atomic():
        subscription = _lock(subscription)
        if subscription.status == Status.PENDING:
            return _give_up(subscription, author, now)
        _require(subscription, (Status.TRIALING, Status.ACTIVE, Status.PAUSED), "cancelled")
        now = not_before_what_stands(subscription, now)
        if subscription.status == Status.PAUSED:
            _prolong(subscription, now)
        reason = _reason(author)
        subscription.status = Status.CANCELLED
        subscription.cancelled_at = now
        subscription.cancel_reason = reason
        if subscription.expires_at is None:
            subscription.expires_at = now
            activation.end_add_ons(subscription_ids=[subscription.pk], reason=reason, now=now)
        _save(subscription, "subscription.cancelled", author, now)
        return subscription


def pause(*, subscription: Subscription, now: datetime) -> Subscription:
    """
    Stop the clock: no use, and no time lost.

    :raises SubscriptionStateForbids: if it is not active, or its time is over
    """
    with transaction.atomic():
        subscription = _lock(subscription)
        _require(subscription, (Status.ACTIVE,), "paused")
        if not subscription.is_running_at(now):
            raise SubscriptionStateForbids("A subscription whose time is over cannot be paused.")
        now = not_before_what_stands(subscription, now)
        subscription.status = Status.PAUSED
        subscription.paused_at = now
        AddOnSubscription.objects.filter(subscription=subscription, status=Status.ACTIVE).running(
            now
        ).update(status=Status.PAUSED)
        _save(subscription, "subscription.paused", None, now)
        return subscription


def resume(
    *, subscription: Subscription, author: Author | None = None, now: datetime
) -> Subscription:
    """
    Go on: the period is as much longer as the pause was, for the add-ons too.

    :param author: None is the customer
    :raises SubscriptionStateForbids: if it is not paused
    """
    with transaction.atomic():
        subscription = _lock(subscription)
        _require(subscription, (Status.PAUSED,), "resumed")
        now = not_before_what_stands(subscription, now)
        _prolong(subscription, now)
        _save(subscription, "subscription.resumed", author, now)
        return subscription


def not_before_what_stands(subscription: Subscription, now: datetime) -> datetime:
    """
    Whoever waited for the locks may have read the clock before what was done meanwhile: nothing
    ends before it began, and no pause before it.
    """
    begun = subscription.add_ons.aggregate(last=Max("started_at"))["last"]
    stand = (subscription.started_at, subscription.paused_at, begun)
    return max([now, *(moment for moment in stand if moment)])


def _lock(subscription: Subscription) -> Subscription:
    """
    Lock what is going to change, in the order of docs/locking.md: an unpaid subscription's
    invoice, the customer, the subscription.
    """
    for pk in _unpaid_invoices(subscription):
        Invoice.objects.lock(pk)
    User.objects.lock(subscription.user_id)
    return Subscription.objects.lock(subscription.pk)


def _unpaid_invoices(subscription: Subscription) -> list[UUID]:
    """Of its own checkout: an invoice without a plan is of add-ons that join it."""
    invoices = Invoice.objects.filter(
        subscription=subscription,
        plan__isnull=False,
        status__in=(Invoice.Status.PENDING, Invoice.Status.FAILED),
    )
    return list(invoices.values_list("pk", flat=True))


def _require(subscription: Subscription, allowed: tuple[Status, ...], done: str) -> None:
    if subscription.status not in allowed:
        raise SubscriptionStateForbids(
            f"A subscription that is {subscription.status} cannot be {done}.",
            status=subscription.status,
        )


def _prolong(subscription: Subscription, now: datetime) -> None:
    assert subscription.paused_at is not None  # noqa: S101 - a named constraint holds it
    pause_length = now - subscription.paused_at
    if subscription.expires_at is not None:
        subscription.expires_at += pause_length
    paused = AddOnSubscription.objects.filter(subscription=subscription, status=Status.PAUSED)
    paused.update(
        status=Status.ACTIVE,
        # An add-on bought during the pause was not there for all of it.
        expires_at=F("expires_at") + (Value(now) - Greatest("started_at", subscription.paused_at)),
    )
    subscription.status = Status.ACTIVE
    subscription.paused_at = None


def _give_up(subscription: Subscription, author: Author | None, now: datetime) -> Subscription:
    invoices.give_up(
        invoice_ids=_unpaid_invoices(subscription),
        subscription=subscription,
        reason=_reason(author),
        by=author.by if author else None,
        note=author.note if author else "",
        now=now,
    )
    return subscription


def _reason(author: Author | None) -> str:
    return BY_STAFF if author else BY_CUSTOMER


def _save(subscription: Subscription, event: str, author: Author | None, now: datetime) -> None:
    subscription.save()
    events.record(
        Event(
            name=event,
            user_id=subscription.user_id,
            subject_id=subscription.pk,
            payload={"status": subscription.status, **(author.as_json() if author else {})},
            created_at=now,
        )
    )
