"""What a paid renewal makes of a subscription, and what an unpaid one leaves of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from billing.models import AddOnSubscription, Event, Invoice, InvoiceLineItem, Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import changed, ended_at_once, events, terms
from billing.services.withdrawal import take_back
from config import rows

Status = SubscriptionStatus
Line = InvoiceLineItem.Type
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)
# Why a subscription has expired, or fell to the free plan: its renewal was not paid.
UNPAID = "unpaid"
PERIOD = (
    *("status", "cancel_reason", "grace_until", "expires_at"),
    *("anchor_at", "period_start", "period_value"),
)
# What a renewal may change.
RENEWED = (
    *PERIOD,
    *("plan", "trial_plan", "price", "name", "amount", "quantity", "billing_period", "setup_fee"),
    *("pending_plan", "pending_price", "pending_quantity", "past_due_since"),
)
ADD_ON_RENEWED = (*PERIOD, "paid_until")


def is_possible(*, subscription: Subscription) -> bool:
    """
    Whether what was renewed goes on still, or has ended only because this was not paid and the
    customer has nothing else by now.
    """
    if subscription.status in LIVE:
        return True
    if subscription.status != Status.EXPIRED or subscription.cancel_reason != UNPAID:
        return False
    return not Subscription.objects.live().filter(user_id=subscription.user_id).exists()


def extend(*, invoice: Invoice, now: datetime) -> list[Event]:
    """
    Let what is on the invoice run for the periods that its lines name.

    What has ended meanwhile begins anew, with a full period from now: nobody pays for a time
    without access. The caller holds the invoice and the customer.
    """
    assert invoice.subscription_id  # noqa: S101 - a named constraint holds it
    subscription = Subscription.objects.lock(invoice.subscription_id)
    return extend_all(invoices=[invoice], subscriptions=[subscription], now=now)


def extend_all(
    *, invoices: Sequence[Invoice], subscriptions: Sequence[Subscription], now: datetime
) -> list[Event]:
    """
    ``extend`` of many, in the same few statements.

    :param subscriptions: of each invoice its own, held by the caller
    """
    lines: dict[UUID, list[InvoiceLineItem]] = {}
    for line in InvoiceLineItem.objects.filter(invoice__in=invoices).order_by("position"):
        lines.setdefault(line.invoice_id, []).append(line)
    add_ons = _add_ons_of(subscriptions)
    extended: list[AddOnSubscription] = []
    happened = []
    taken_up = []
    for invoice, subscription in zip(invoices, subscriptions, strict=True):
        is_back = subscription.cancel_reason == UNPAID
        own = lines[invoice.pk]
        before = changed.as_it_is(subscription)
        _extend_plan(subscription, own, now if is_back else None)
        of_it = add_ons.get(subscription.pk, [])
        extended += _extend_add_ons(subscription, of_it, own, now, is_back=is_back)
        name = "subscription.reactivated" if is_back else "subscription.renewed"
        happened.append(_event(name, subscription, now, invoice_id=str(invoice.pk)))
        if changed.as_it_is(subscription) != before:
            change, event = changed.noted(subscription=subscription, before=before, now=now)
            taken_up.append(change)
            happened.append(event)
    rows.insert(*taken_up)
    rows.update(*subscriptions, fields=RENEWED)
    rows.update(*extended, fields=ADD_ON_RENEWED)
    return happened


def give_up(*, invoice: Invoice, reason: str, by: UUID | None = None, now: datetime) -> None:
    """
    Let the subscription, and its add-ons, end with what is paid for: its renewal was cancelled.

    The caller holds the invoice and the customer.
    """
    assert invoice.subscription_id  # noqa: S101 - a named constraint holds it
    subscription = Subscription.objects.lock(invoice.subscription_id)
    if subscription.status not in (Status.TRIALING, Status.ACTIVE):
        return
    subscription.status = Status.CANCELLED
    subscription.cancelled_at = now
    subscription.cancel_reason = reason
    if subscription.expires_at and subscription.expires_at <= now:
        ended_at_once.end_add_ons(subscription_ids=[subscription.pk], reason=reason, now=now)
    forget_dunning(subscription)
    subscription.save()
    who = {"by": str(by)} if by else {}
    events.record(_event("subscription.cancelled", subscription, now, reason=reason, **who))


def open_invoices(subscription: Subscription) -> list[UUID]:
    """Its renewal that is still to be paid, if there is one."""
    invoices = Invoice.objects.filter(
        subscription=subscription, reason=Invoice.Reason.RENEWAL, status__in=OPEN
    )
    return list(invoices.values_list("pk", flat=True))


def withdraw_open(*, subscription: Subscription, now: datetime) -> None:
    """
    Cancel the renewal that is still to be paid: its period will be another one, or none.

    The caller holds it, the customer and the subscription.
    """
    if ids := open_invoices(subscription):
        take_back(invoice_ids=ids, now=now)


def forget_dunning(subscription: Subscription) -> None:
    """
    Nothing is waited for any more: no time of grace, of it in memory, of its add-ons in the
    database.
    """
    subscription.past_due_since = None
    subscription.grace_until = None
    waiting = AddOnSubscription.objects.filter(subscription=subscription, grace_until__isnull=False)
    waiting.update(grace_until=None)


def _take_up(subscription: Subscription) -> None:
    """What was asked for from this renewal on: another plan, another number of seats."""
    if subscription.pending_plan_id:
        plan, price = subscription.pending_plan, subscription.pending_price
        assert plan is not None  # noqa: S101 - a named constraint holds it
        assert price is not None  # noqa: S101 - the same
        terms.move_to(subscription, plan_id=plan.pk)
        subscription.price = price
        subscription.name = plan.name
        subscription.amount = price.amount
        if subscription.billing_period != plan.billing_period:
            subscription.billing_period = plan.billing_period
            subscription.anchor_at = None
    if subscription.pending_quantity:
        subscription.quantity = subscription.pending_quantity
    subscription.pending_plan = None
    subscription.pending_price = None
    subscription.pending_quantity = None


def _extend_plan(
    subscription: Subscription, lines: Sequence[InvoiceLineItem], anew_at: datetime | None
) -> None:
    if own := _line_of(subscription.pk, Line.SUBSCRIPTION, lines):
        _take_up(subscription)
        _extend(subscription, own, lines, anew_at=anew_at)
        if any(line.type == Line.SETUP_FEE for line in lines):
            subscription.setup_fee = Decimal(0)
    if subscription.status != Status.PAUSED:
        subscription.status = Status.ACTIVE
    subscription.cancel_reason = ""
    subscription.past_due_since = None
    subscription.grace_until = None


def _extend(
    item: Subscription | AddOnSubscription,
    own: InvoiceLineItem,
    lines: Sequence[InvoiceLineItem],
    *,
    anew_at: datetime | None,
) -> None:
    """
    :param anew_at: where it had ended meanwhile: when it begins again
    """
    if anew_at:
        terms.begin_anew(item, at=anew_at)
    else:
        item.anchor_at = item.anchor_at or own.period_start
        item.period_start = own.period_start
        item.expires_at = own.period_end
    less = [line for line in lines if line.type == Line.DISCOUNT and line.item_id == item.pk]
    item.period_value = own.amount + sum((line.amount for line in less), Decimal(0))


def _add_ons_of(subscriptions: Sequence[Subscription]) -> dict[UUID, list[AddOnSubscription]]:
    """What runs with each of them, or has ended with an unpaid renewal."""
    found: dict[UUID, list[AddOnSubscription]] = {}
    add_ons = AddOnSubscription.objects.filter(
        Q(status__in=LIVE) | Q(status=Status.EXPIRED, cancel_reason=UNPAID),
        subscription__in=subscriptions,
    )
    for add_on in add_ons.order_by("pk"):
        found.setdefault(add_on.subscription_id, []).append(add_on)
    return found


def _extend_add_ons(
    subscription: Subscription,
    add_ons: Sequence[AddOnSubscription],
    lines: Sequence[InvoiceLineItem],
    now: datetime,
    *,
    is_back: bool,
) -> list[AddOnSubscription]:
    """None outlives its subscription; what is on the invoice is paid for another period."""
    extended = []
    for add_on in add_ons:
        own = _line_of(add_on.pk, Line.ADD_ON, lines)
        # One that lasts for good comes back with its subscription, any other by its own line.
        if add_on.status == Status.EXPIRED and not (own or (is_back and add_on.paid_until is None)):
            continue
        if own:
            begins_anew = add_on.cancel_reason == UNPAID
            _extend(add_on, own, lines, anew_at=now if begins_anew else None)
            add_on.paid_until = own.period_end
            if begins_anew:
                add_on.paid_until = terms.end_of_add_on(add_on, subscription, begins=now)
        add_on.status = subscription.status
        add_on.cancel_reason = ""
        add_on.grace_until = None
        add_on.expires_at = terms.earlier(add_on.paid_until, subscription.would_end_at(now))
        extended.append(add_on)
    return extended


def _line_of(item_id: UUID, kind: str, lines: Sequence[InvoiceLineItem]) -> InvoiceLineItem | None:
    own = (line for line in lines if line.item_id == item_id and line.type == kind)
    return next(own, None)


def _event(name: str, subscription: Subscription, now: datetime, **payload: str) -> Event:
    return Event(
        name=name,
        user_id=subscription.user_id,
        subject_id=subscription.pk,
        payload={"status": subscription.status, **payload},
        created_at=now,
    )
