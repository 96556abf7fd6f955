"""What follows a renewal that was not paid: further tries, then the end that the owner chose."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Q

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    InvoiceLineItem,
    PaymentAttempt,
    Subscription,
)
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import changed, events, notices
from billing.services.renewed import UNPAID
from billing.services.withdrawal import take_back
from catalog.models import BillingPeriod, Plan, Price

Status = SubscriptionStatus
Line = InvoiceLineItem.Type


def note_failure(*, invoice: Invoice, attempt: PaymentAttempt, now: datetime) -> None:
    """
    Try again on the days that the owner chose, counted from the first failure; then end it.

    By the days, and not by the number of the attempt: what a person tries in between changes
    nothing of when it ends. The caller holds the invoice and its customer.
    """
    invoice.status = Invoice.Status.FAILED
    subscription = None
    if invoice.reason == Invoice.Reason.RENEWAL and invoice.subscription_id:
        subscription = Subscription.objects.lock(invoice.subscription_id)
    if subscription and subscription.status == Status.CANCELLED:
        take_back(invoice_ids=[invoice.pk], now=now)  # it has ended while this was under way
        return
    first = (subscription and subscription.past_due_since) or now
    days = [first + timedelta(days=day) for day in settings.BILLING_RETRY_DAYS]
    is_over = subscription is not None and subscription.cancel_reason == UNPAID
    is_last = not is_over and all(day <= now for day in days)
    if subscription and not is_last and not is_over:
        invoice.next_attempt_at = min(day for day in days if day > now)
        _let_wait(subscription, invoice, first, days[-1])
    invoice.save(update_fields=["status", "next_attempt_at"])
    events.record(_failed(invoice, attempt, now))
    if subscription:
        notices.payment_failed(
            invoice=invoice,
            subscription=subscription,
            attempt=attempt.number,
            next_attempt_at=invoice.next_attempt_at,
            ends_at=subscription.grace_until,
            now=now,
        )
    if subscription and is_last:
        _end(subscription, invoice, now)


def _let_wait(
    subscription: Subscription, invoice: Invoice, since: datetime, until: datetime
) -> None:
    """Access goes on until the last try."""
    subscription.past_due_since = since
    fields = ["past_due_since"]
    if _has_plan(invoice):
        subscription.grace_until = until
        fields.append("grace_until")
    subscription.save(update_fields=fields)
    unpaid = Q(pk__in=_items(invoice))
    if _has_plan(invoice):
        unpaid |= Q(expires_at__lte=subscription.expires_at)
    AddOnSubscription.objects.filter(unpaid, subscription=subscription, status__in=LIVE).update(
        grace_until=until
    )


def _end(subscription: Subscription, invoice: Invoice, now: datetime) -> None:
    subscription.past_due_since = None
    subscription.grace_until = None
    if not _has_plan(invoice):
        subscription.save(update_fields=["past_due_since", "grace_until"])
        _expire_add_ons(subscription, Q(pk__in=_items(invoice)))
        return
    _expire_add_ons(subscription, Q())
    told = {"reason": UNPAID, "invoice_id": str(invoice.pk), "plan": subscription.name}
    subscription.cancel_reason = UNPAID
    if price := _unpaid_price(subscription.currency, now):
        before = changed.as_it_is(subscription)
        _go_on_for_nothing(subscription, price, now)
        subscription.save()
        change, event = changed.noted(subscription=subscription, before=before, now=now, **told)
        change.save(force_insert=True)
        events.record(event)
        return
    subscription.status = Status.EXPIRED
    subscription.save()
    notices.cancelled(subscription=subscription, is_unpaid=True, now=now)
    events.record(
        Event(
            name="subscription.expired",
            user_id=subscription.user_id,
            subject_id=subscription.pk,
            payload=told,
            created_at=now,
        )
    )


def _expire_add_ons(subscription: Subscription, which: Q) -> None:
    AddOnSubscription.objects.filter(which, subscription=subscription, status__in=LIVE).update(
        status=Status.EXPIRED, cancel_reason=UNPAID, grace_until=None
    )


def _unpaid_price(currency: str, now: datetime) -> Price | None:
    """Of the plan on which it goes on, if the owner named one that costs nothing."""
    if not settings.BILLING_UNPAID_PLAN:
        return None
    prices = Price.objects.current(now).filter(
        plan__slug=settings.BILLING_UNPAID_PLAN, currency=currency, amount=0
    )
    return prices.select_related("plan").first()


def _go_on_for_nothing(subscription: Subscription, price: Price, now: datetime) -> None:
    """
    On the free plan, for good. What it was is pending: a late payment brings it back.
    """
    plan = price.plan
    assert isinstance(plan, Plan)  # noqa: S101 - it was found by its plan
    subscription.pending_plan_id = subscription.plan_id
    subscription.pending_price_id = subscription.price_id
    subscription.pending_quantity = subscription.quantity
    subscription.plan = plan
    subscription.price = price
    subscription.name = plan.name
    subscription.amount = Decimal(0)
    subscription.quantity = 1
    subscription.period_value = Decimal(0)
    subscription.billing_period = BillingPeriod.ONE_TIME
    subscription.anchor_at = now
    subscription.period_start = now
    subscription.expires_at = None


def _has_plan(invoice: Invoice) -> bool:
    return InvoiceLineItem.objects.filter(invoice=invoice, type=Line.SUBSCRIPTION).exists()


def _items(invoice: Invoice) -> list[object]:
    lines = InvoiceLineItem.objects.filter(invoice=invoice, type=Line.ADD_ON)
    return list(lines.values_list("item_id", flat=True))


def _failed(invoice: Invoice, attempt: PaymentAttempt, now: datetime) -> Event:
    again = invoice.next_attempt_at
    return Event(
        name="payment.failed",
        user_id=invoice.user_id,
        subject_id=invoice.pk,
        payload={
            "number": invoice.number,
            "attempt": attempt.number,
            "failure": attempt.failure,
            "next_attempt_at": again.isoformat() if again else None,
        },
        created_at=now,
    )
