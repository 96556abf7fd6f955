"""What ends by itself: cancelled subscriptions that ran out, and invoices that nobody paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from accounts.models import User
from billing.models import AddOnSubscription, Event, Invoice, Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import changed, events, invoices
from billing.services.renewals.whose import is_run
from billing.services.renewed import UNPAID

Status = SubscriptionStatus
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)
# Why what an unpaid invoice was for is cancelled.
NEVER_PAID = "not_paid_in_time"


@dataclass(slots=True)
class Ended:
    """What one batch did."""

    expired: int = 0
    given_up: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.expired or self.given_up)


def end_due(*, now: datetime, limit: int, user_id: UUID | None = None) -> Ended:
    """End what is over: up to ``limit`` subscriptions, and as many invoices."""
    return Ended(
        expired=_expire(now, limit, user_id), given_up=_give_up_invoices(now, limit, user_id)
    )


@transaction.atomic
def _expire(now: datetime, limit: int, user_id: UUID | None) -> int:
    """
    Cancelled ones whose paid time is over, each claimed without waiting. One that was ended at
    its cancellation never ran out, and stays as it is.
    """
    over = Subscription.objects.filter(
        is_run(user_id),
        status=Status.CANCELLED,
        expires_at__lte=now,
        expires_at__gt=F("cancelled_at"),
    ).order_by("expires_at")
    locked = over.select_for_update(skip_locked=True, no_key=True, of=("self", "user"))
    expired = list(locked.select_related("user")[:limit])
    if not expired:
        return 0
    ids = [subscription.pk for subscription in expired]
    Subscription.objects.filter(pk__in=ids).update(status=Status.EXPIRED)
    AddOnSubscription.objects.filter(
        Q(status__in=LIVE) | Q(status=Status.CANCELLED, expires_at__gt=F("cancelled_at")),
        subscription__in=ids,
    ).update(status=Status.EXPIRED)
    events.record(*(_expired(subscription, now) for subscription in expired))
    return len(ids)


def _give_up_invoices(now: datetime, limit: int, user_id: UUID | None) -> int:
    """Each in a transaction of its own: invoice, then customer, as everybody locks them."""
    late = Invoice.objects.filter(
        is_run(user_id), status__in=OPEN, expires_at__lte=now, next_attempt_at=None
    )
    # A renewal that is unpaid belongs to its subscription as long as that goes on.
    waits = Q(reason=Invoice.Reason.RENEWAL) & ~Q(subscription__cancel_reason=UNPAID)
    ids = list(late.exclude(waits).order_by("expires_at").values_list("pk", flat=True)[:limit])
    return sum(_give_up(pk, now) for pk in ids)


@transaction.atomic(durable=True)
def _give_up(pk: UUID, now: datetime) -> bool:
    locked = Invoice.objects.filter(pk=pk).select_for_update(
        skip_locked=True, no_key=True, of=("self",)
    )
    invoice = locked.first()
    if invoice is None or not invoice.is_payable:
        return False  # somebody is at it
    User.objects.lock(invoice.user_id)
    if invoice.reason == Invoice.Reason.CHECKOUT:
        invoices.give_up(
            invoice_ids=[pk],
            subscription=invoices.subscription_of_checkout(invoice),
            reason=NEVER_PAID,
            now=now,
        )
    else:
        invoices.withdraw(invoice_ids=[pk], now=now)
        if invoice.reason == Invoice.Reason.CHANGE:
            changed.give_up(invoice=invoice)
        else:
            _stay_on_free_plan(invoice)
    events.record(_not_paid(invoice, now))
    return True


def _stay_on_free_plan(invoice: Invoice) -> None:
    """Nothing can bring the old plan back any more."""
    own = Subscription.objects.filter(invoices=invoice, status__in=LIVE)
    own.update(pending_plan=None, pending_price=None, pending_quantity=None, cancel_reason="")


def _expired(subscription: Subscription, now: datetime) -> Event:
    return Event(
        name="subscription.expired",
        user_id=subscription.user_id,
        subject_id=subscription.pk,
        payload={"reason": subscription.cancel_reason},
        created_at=now,
    )


def _not_paid(invoice: Invoice, now: datetime) -> Event:
    return Event(
        name="invoice.expired",
        user_id=invoice.user_id,
        subject_id=invoice.pk,
        payload={"number": invoice.number},
        created_at=now,
    )
