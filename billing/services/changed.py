"""What a paid change makes of a subscription; see docs/adr/0011-proration.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from uuid_utils.compat import uuid7

from billing.models import AddOnSubscription, Event, Invoice, Subscription, SubscriptionChange
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import customer_credit, terms
from billing.services.withdrawal import take_back
from catalog.money import Money
from config import rows

Status = SubscriptionChange.Status
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)
CHANGEABLE = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)
Item = Subscription | AddOnSubscription


@dataclass(frozen=True, slots=True)
class Held:
    """What a subscriber had, or has. ``amount`` is of a whole period, all seats."""

    plan_id: UUID | None
    name: str
    quantity: int
    amount: Money
    billing_period: str

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "quantity": self.quantity,
            "amount": str(self.amount),
            "billing_period": self.billing_period,
        }


def is_possible(*, invoice: Invoice, subscription: Subscription, now: datetime) -> bool:
    """Whether it still waits, in the period that it was reckoned in."""
    changes = SubscriptionChange.objects.select_related("add_on_subscription")
    change = changes.get(invoice=invoice)
    item: Item = change.add_on_subscription or subscription
    return (
        change.status == Status.PENDING
        and subscription.status in CHANGEABLE
        and subscription.is_running_at(now)
        and item.is_running_at(now)
        and item.period_start == change.period_start
    )


def give_up(*, invoice: Invoice) -> None:
    """Let nothing change: the invoice is cancelled. The caller holds the customer."""
    SubscriptionChange.objects.filter(invoice=invoice, status=Status.PENDING).update(
        status=Status.CANCELLED
    )


def waiting(subscription: Subscription) -> list[UUID]:
    """The invoice of the change that waits to be paid, if there is one."""
    changes = SubscriptionChange.objects.filter(subscription=subscription, status=Status.PENDING)
    found = changes.filter(invoice__isnull=False).values_list("invoice", flat=True)
    return [pk for pk in found if pk]


def withdraw_waiting(*, subscription: Subscription, now: datetime) -> bool:
    """
    Cancel the change that waits to be paid, and its invoice: it would change something else now.

    The caller holds the invoice, the customer and the subscription.

    :return: whether there was one
    """
    if not (ids := waiting(subscription)):
        return False
    take_back(invoice_ids=ids, now=now)
    SubscriptionChange.objects.filter(invoice__in=ids).update(status=Status.CANCELLED)
    return True


def withdraw_of_ended(*, subscription_ids: Sequence[UUID], now: datetime) -> None:
    """
    Cancel the renewals and changes that are still to be paid of what has ended.

    The caller holds the customer already, whom others take after an invoice: so none is waited
    for. What somebody else holds is being paid, and kept as unmatched then, or being asked for,
    and taken back when that has failed.
    """
    unpaid = Invoice.objects.filter(
        subscription__in=subscription_ids,
        reason__in=(Invoice.Reason.RENEWAL, Invoice.Reason.CHANGE),
        status__in=OPEN,
    )
    locked = unpaid.select_for_update(skip_locked=True, no_key=True, of=("self",))
    if ids := [invoice.pk for invoice in locked.order_by("pk")]:
        take_back(invoice_ids=ids, now=now)
        waiting_for = SubscriptionChange.objects.filter(invoice__in=ids, status=Status.PENDING)
        waiting_for.update(status=Status.CANCELLED)


def apply(*, invoice: Invoice, now: datetime) -> list[Event]:
    """
    Let the subscription, or its add-on, be what the change says.

    The caller holds the invoice and the customer.
    """
    return take_effect(change=SubscriptionChange.objects.get(invoice=invoice), now=now)


def take_effect(*, change: SubscriptionChange, now: datetime) -> list[Event]:
    """
    Of a change that is paid, or costs nothing: what was given back beyond what was asked goes to
    the customer's credit account. The caller holds the customer.
    """
    subscription = Subscription.objects.lock(change.subscription_id)
    item: Item = subscription
    if change.add_on_subscription_id:
        item = AddOnSubscription.objects.lock(change.add_on_subscription_id)
    before = as_it_is(item)
    if change.plan_id:
        terms.move_to(subscription, plan_id=change.plan_id)
    if item is subscription:
        _forget_wishes(subscription, of_plan=bool(change.plan_id))
    _become(item, change, now)
    item.save()
    _let_add_ons_follow(subscription, now)
    _note_before(change, before, now)
    change.save(update_fields=["status", "applied_at", "was_plan", "was_amount", "was_period"])
    _give_what_is_left_over(change, now)
    return [_changed(change, before, as_it_is(item), now)]


def noted(
    *, subscription: Subscription, before: Held, now: datetime, **told: str
) -> tuple[SubscriptionChange, Event]:
    """
    Return a change that was not asked for now and costs nothing by itself, as it has just taken
    effect: with a renewal, or because one was not paid. The caller inserts both.

    :param told: what else the event tells
    """
    assert subscription.period_start  # noqa: S101 - it runs, or has run
    change = SubscriptionChange(
        id=uuid7(),
        user_id=subscription.user_id,
        subscription=subscription,
        plan_id=subscription.plan_id,
        price_id=subscription.price_id,
        name=subscription.name,
        amount=subscription.amount,
        quantity=subscription.quantity,
        currency=subscription.currency,
        billing_period=subscription.billing_period,
        value=subscription.period_value,
        credit=Decimal(0),
        charge=Decimal(0),
        period_start=subscription.period_start,
        created_at=now,
    )
    _note_before(change, before, now)
    event = _changed(change, before, as_it_is(subscription), now)
    event.payload |= told
    return change, event


def _become(item: Item, change: SubscriptionChange, now: datetime) -> None:
    item.price_id = change.price_id
    item.name = change.name
    item.amount = change.amount
    item.quantity = change.quantity
    item.billing_period = change.billing_period
    if change.begins_new_period:
        terms.begin_anew(item, at=now)
        if isinstance(item, AddOnSubscription):
            item.paid_until = item.expires_at
        item.period_value = change.value
    elif item.paid_end is None:
        # What is paid for good stays paid for: fewer seats, and later as many again, cost nothing.
        item.period_value = max(item.period_value, change.value)
    else:
        item.period_value = change.value


def _forget_wishes(subscription: Subscription, *, of_plan: bool) -> None:
    """A change now is newer than what was to be at the end of the period."""
    if of_plan:
        subscription.pending_plan = None
        subscription.pending_price = None
    subscription.pending_quantity = None


def _let_add_ons_follow(subscription: Subscription, now: datetime) -> None:
    """None outlives its subscription, and none ends before it is to, where that ends later now."""
    add_ons = list(AddOnSubscription.objects.filter(subscription=subscription, status__in=LIVE))
    for add_on in add_ons:
        add_on.expires_at = terms.earlier(add_on.paid_until, subscription.would_end_at(now))
    rows.update(*add_ons, fields=["expires_at"])


def _give_what_is_left_over(change: SubscriptionChange, now: datetime) -> None:
    left = Money(max(change.credit - change.charge, Decimal(0)), change.currency)
    customer_credit.add(
        user_id=change.user_id,
        money=left,
        kind=customer_credit.Type.CHANGE,
        reference=change.pk,
        now=now,
    )


def _note_before(change: SubscriptionChange, before: Held, now: datetime) -> None:
    change.status = Status.APPLIED
    change.applied_at = now
    change.was_plan_id = before.plan_id
    change.was_amount = before.amount.amount
    change.was_period = before.billing_period


def as_it_is(item: Item) -> Held:
    return Held(
        plan_id=item.plan_id if isinstance(item, Subscription) else None,
        name=item.name,
        quantity=item.quantity,
        amount=terms.price_of(item),
        billing_period=item.billing_period,
    )


def _changed(change: SubscriptionChange, before: Held, after: Held, now: datetime) -> Event:
    payload: dict[str, object] = {
        "change_id": str(change.pk),
        "from": before.as_json(),
        "to": after.as_json(),
        "currency": change.currency,
    }
    return Event(
        name="subscription.changed",
        user_id=change.user_id,
        subject_id=change.subscription_id,
        payload=payload,
        created_at=now,
    )
