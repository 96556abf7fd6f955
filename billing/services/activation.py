"""What a paid invoice makes live."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Max, Value, When
from django.db.models.functions import Least

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    Subscription,
    TokenBundlePurchase,
)
from billing.models.subscription import SubscriptionStatus
from billing.services import events, periods, tokens
from config.errors import DomainError

PurchaseStatus = TokenBundlePurchase.Status


class SubscriptionNotActive(DomainError):
    code = "subscription_not_active"


@transaction.atomic
def settle_free(*, invoice: Invoice, now: datetime) -> None:
    """
    Pay an invoice of zero: nothing is owed, so everything on it is live at once.

    The caller has locked the customer's row, for the same reason as for ``settle``.

    :raises SubscriptionNotActive: if the subscription that add-ons were to join has just ended
    """
    if not is_possible(invoice=invoice, now=now):
        raise SubscriptionNotActive("The subscription that the add-ons were to join has ended.")
    settle(invoice=invoice, method="none", reference="", now=now)


@transaction.atomic(savepoint=False)
def settle(*, invoice: Invoice, method: str, reference: str, now: datetime) -> None:
    """
    Mark the invoice paid and make everything on it live.

    The caller has locked the invoice and then the customer's row: of two invoices paid at once,
    the later one sees the subscription of the earlier one, and replaces it.
    """
    if invoice.subscription_id:
        now = not_before_what_stands(invoice, now)
    invoice.status = Invoice.Status.PAID
    invoice.paid_at = now
    invoice.payment_method = method
    invoice.payment_ref = reference
    invoice.save(update_fields=["status", "paid_at", "payment_method", "payment_ref"])
    happened = [_event("invoice.paid", invoice, invoice.id, now)]
    happened += _activate_subscription(invoice, now)
    happened += _complete_purchases(invoice, now)
    happened += _activate_add_ons(invoice, now)
    events.record(*happened)


def is_possible(*, invoice: Invoice, now: datetime) -> bool:
    """
    Whether what the invoice is for can still be made live: its own subscription must be waiting,
    the one that add-ons were to join must not have ended meanwhile.
    """
    if invoice.subscription_id is None:
        return True
    subscription = Subscription.objects.get(pk=invoice.subscription_id)
    if invoice.plan_id:
        return subscription.status == SubscriptionStatus.PENDING
    return subscription.is_running_at(now)


def end_add_ons(*, subscription_ids: list[UUID], reason: str, now: datetime) -> None:
    """End at once what runs with subscriptions that end at once."""
    AddOnSubscription.objects.filter(subscription_id__in=subscription_ids).running(now).update(
        **ended(reason, now)
    )


def _activate_subscription(invoice: Invoice, now: datetime) -> list[Event]:
    subscription = Subscription.objects.filter(
        invoices=invoice, status=SubscriptionStatus.PENDING
    ).first()
    if subscription is None:
        return []
    happened = _supersede(subscription, now)
    subscription.status = SubscriptionStatus.ACTIVE
    subscription.started_at = now
    subscription.expires_at = periods.end(anchor=now, billing_period=subscription.billing_period)
    subscription.save(update_fields=["status", "started_at", "expires_at"])
    return [*happened, _event("subscription.activated", invoice, subscription.id, now)]


def _supersede(new: Subscription, now: datetime) -> list[Event]:
    """End the subscription that the new one replaces, and its add-ons with it."""
    of_user = Subscription.objects.filter(user_id=new.user_id).exclude(pk=new.pk)
    replaced = list((of_user.live() | of_user.running(now)).values_list("pk", flat=True))
    if not replaced:
        return []
    end_add_ons(subscription_ids=replaced, reason="superseded", now=now)
    Subscription.objects.filter(pk__in=replaced).update(paused_at=None, **ended("superseded", now))
    return [
        Event(
            name="subscription.cancelled",
            user_id=new.user_id,
            subject_id=pk,
            payload={"reason": "superseded", "superseded_by": str(new.pk)},
            created_at=now,
        )
        for pk in replaced
    ]


def ended(reason: str, now: datetime) -> dict[str, Any]:
    return {
        "status": SubscriptionStatus.CANCELLED,
        "cancelled_at": now,
        "cancel_reason": reason,
        # A paused one has time left: its clock stands. Of one that never ends LEAST leaves now; of
        # one that has lapsed, when it did.
        "expires_at": Case(
            When(status=SubscriptionStatus.PAUSED, then=Value(now)),
            default=Least("expires_at", Value(now)),
        ),
    }


def not_before_what_stands(invoice: Invoice, now: datetime) -> datetime:
    """
    Whoever waited for the lock may have read the clock before what was done meanwhile: nothing may
    end before it began, nor an add-on after its subscription.
    """
    stands = Subscription.objects.live().filter(user_id=invoice.user_id)
    begun = stands.aggregate(own=Max("started_at"), add_ons=Max("add_ons__started_at"))
    return max([now, *(moment for moment in begun.values() if moment)])


def _complete_purchases(invoice: Invoice, now: datetime) -> list[Event]:
    pending = list(
        TokenBundlePurchase.objects.filter(invoice=invoice, status=PurchaseStatus.PENDING).order_by(
            "id"
        )
    )
    if not pending:
        return []
    tokens.credit(
        user_id=invoice.user_id,
        movements=[
            tokens.Movement(purchase.token_amount, str(purchase.pk), purchase.name)
            for purchase in pending
        ],
        now=now,
    )
    TokenBundlePurchase.objects.filter(pk__in=[purchase.pk for purchase in pending]).update(
        status=PurchaseStatus.COMPLETED, tokens_credited=True, completed_at=now
    )
    credited = sum(purchase.token_amount for purchase in pending)
    return [_event("tokens.credited", invoice, invoice.id, now, tokens=credited)]


def _activate_add_ons(invoice: Invoice, now: datetime) -> list[Event]:
    pending = list(
        AddOnSubscription.objects.filter(invoice=invoice, status=SubscriptionStatus.PENDING)
        .select_related("subscription")
        .order_by("id")
    )
    for add_on in pending:
        is_paused = add_on.subscription.status == SubscriptionStatus.PAUSED
        add_on.status = SubscriptionStatus.PAUSED if is_paused else SubscriptionStatus.ACTIVE
        add_on.started_at = now
        # To the end of the subscription's period; on one that never ends, a period of its own.
        add_on.expires_at = add_on.subscription.would_end_at(now) or periods.end(
            anchor=now, billing_period=add_on.billing_period
        )
    AddOnSubscription.objects.bulk_update(pending, ["status", "started_at", "expires_at"])
    return [_event("add_on.activated", invoice, add_on.pk, now) for add_on in pending]


def _event(
    name: str, invoice: Invoice, subject_id: UUID, now: datetime, **payload: object
) -> Event:
    return Event(
        name=name,
        user_id=invoice.user_id,
        subject_id=subject_id,
        payload={"invoice_id": str(invoice.id), **payload},
        created_at=now,
    )
