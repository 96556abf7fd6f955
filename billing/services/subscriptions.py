"""Cancel, pause, resume: by the customer, or by staff for them. See docs/billing-rules.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, Value
from django.db.models.functions import Greatest

from billing.models import AddOnSubscription, Event, Invoice, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import changed, ended_at_once, events, holding, invoices, notices, renewed
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
    Cancel: it runs on to the end of what is paid for; one that never ends, or is past due, is over,
    and its add-ons with it.

    A paused one is resumed first, so that the paused time is not lost. One that was never paid
    is given up with its whole checkout: the invoice, bundles and add-ons are cancelled too.

    :param author: None is the customer
    :raises SubscriptionStateForbids: if it has ended or is cancelled already
    """
    with transaction.atomic():
        subscription = holding.hold(subscription)
        if subscription.status == Status.PENDING:
            return _give_up(subscription, author, now)
        _require(subscription, (Status.TRIALING, Status.ACTIVE, Status.PAUSED), "cancelled")
        now = not_before_what_stands(subscription, now)
        renewed.withdraw_open(subscription=subscription, now=now)
        changed.withdraw_waiting(subscription=subscription, now=now)
        renewed.forget_dunning(subscription)
        if subscription.status == Status.PAUSED:
            _prolong(subscription, now)
        reason = _reason(author)
        subscription.status = Status.CANCELLED
        subscription.cancelled_at = now
        subscription.cancel_reason = reason
        if subscription.expires_at is None or subscription.expires_at <= now:
            subscription.expires_at = subscription.expires_at or now
            ended_at_once.end_add_ons(subscription_ids=[subscription.pk], reason=reason, now=now)
        _save(subscription, "subscription.cancelled", author, now)
        notices.cancelled(subscription=subscription, now=now)
        return subscription


def pause(
    *, subscription: Subscription, author: Author | None = None, now: datetime
) -> Subscription:
    """
    Stop the clock: no use, and no time lost.

    :param author: None is the customer
    :raises SubscriptionStateForbids: if it is not active, or its time is over
    """
    with transaction.atomic():
        subscription = holding.hold(subscription)
        _require(subscription, (Status.ACTIVE,), "paused")
        if not subscription.is_running_at(now):
            raise SubscriptionStateForbids("A subscription whose time is over cannot be paused.")
        if subscription.past_due_since:
            raise SubscriptionStateForbids(
                "A subscription that is past due cannot be paused: pay its invoice first."
            )
        renewed.withdraw_open(subscription=subscription, now=now)
        changed.withdraw_waiting(subscription=subscription, now=now)
        now = not_before_what_stands(subscription, now)
        subscription.status = Status.PAUSED
        subscription.paused_at = now
        # All of them: one that was just to be renewed is not asked for meanwhile either.
        AddOnSubscription.objects.filter(subscription=subscription, status=Status.ACTIVE).update(
            status=Status.PAUSED
        )
        _save(subscription, "subscription.paused", author, now)
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
        subscription = holding.hold(subscription)
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


def _unpaid_invoices(subscription: Subscription) -> list[UUID]:
    """Of its own checkout: an invoice without a plan is of add-ons that join it."""
    invoices = Invoice.objects.filter(
        subscription=subscription,
        plan__isnull=False,
        reason=Invoice.Reason.CHECKOUT,
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
        # Further periods are counted from where this one ends now.
        subscription.anchor_at = subscription.expires_at
    if subscription.period_start is not None:
        subscription.period_start += pause_length
    paused = AddOnSubscription.objects.filter(subscription=subscription, status=Status.PAUSED)
    paused.update(
        status=Status.ACTIVE,
        **{
            # An add-on bought during the pause was not there for all of it.
            column: F(column) + (Value(now) - Greatest("started_at", subscription.paused_at))
            for column in ("expires_at", "paid_until", "period_start", "anchor_at")
        },
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
