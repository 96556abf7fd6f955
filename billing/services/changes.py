"""Another plan, or another number of seats, in the middle of a period or at its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from uuid_utils.compat import uuid7

from billing.models import AddOnSubscription, Event, Invoice, Subscription, SubscriptionChange
from billing.services import (
    activation,
    change_lines,
    change_quotes,
    changed,
    coupons,
    customer_credit,
    events,
    holding,
    issuing,
    renewed,
)
from billing.services.change_quotes import Quote, Target
from billing.services.changed import Item
from billing.services.subscriptions import Author, SubscriptionStateForbids
from catalog.models import Plan
from catalog.money import Money


@dataclass(frozen=True, slots=True)
class Requested:
    """A change that was asked for. ``invoice`` is None where there is nothing to charge."""

    subscription: Subscription
    invoice: Invoice | None
    quote: Quote

    @property
    def is_applied(self) -> bool:
        """It has taken effect; else it waits for its payment, or for the end of the period."""
        if self.quote.takes_effect == "period_end":
            return False
        return self.invoice is None or self.invoice.status == Invoice.Status.PAID


def quote(
    *,
    subscription: Subscription,
    plan: Plan | None = None,
    quantity: int | None = None,
    add_on: AddOnSubscription | None = None,
    now: datetime,
) -> Quote:
    """
    Return what ``request`` would ask for at this moment: it reckons by this.

    :param plan: None keeps the plan, at the price that the subscriber holds
    :param quantity: None keeps the seats
    :param add_on: whose quantity it is, instead of the subscription's
    :raises DomainError: what ``request`` refuses
    """
    _target, asked = _reckoned(subscription, plan, quantity, add_on, now)
    balance = _balance(subscription) + _to_come_back(subscription)
    return replace(asked, on_account=change_quotes.smaller(asked.amount_due, balance))


@transaction.atomic
def request(
    *,
    subscription: Subscription,
    plan: Plan | None = None,
    quantity: int | None = None,
    add_on: AddOnSubscription | None = None,
    author: Author | None = None,
    now: datetime,
) -> Requested:
    """
    Change now, once the difference is paid; at once where nothing is due.

    It takes the place of a change that still waits, and of a renewal that was invoiced already and
    is not due: their invoices are cancelled. A plan that is only moved to at a period's end waits
    for that.

    :param author: who of staff asks for it; None is the customer
    :raises SubscriptionStateForbids: if it is not active or trialing, or its time is over
    :raises DomainError: what ``change_quotes`` refuses
    """
    locked = holding.hold(subscription)
    if add_on:
        add_on = AddOnSubscription.objects.lock(add_on.pk)
    target, asked = _reckoned(locked, plan, quantity, add_on, now)
    if asked.takes_effect == "period_end":
        _withdraw_what_waits(locked, now)
        _wish(locked, target, quantity, author, now, of_plan=plan is not None)
        return Requested(locked, None, asked)
    _withdraw_what_waits(locked, now)
    change = _change(locked, add_on, target, asked, now)
    events.record(_requested(change, target, asked, author, now))
    if change.invoice_id:
        invoice = _issue(locked, add_on or locked, change, target, asked, now)
    else:
        invoice = None
        change.save(force_insert=True)
        events.record(*changed.take_effect(change=change, now=now))
    locked.refresh_from_db()
    return Requested(locked, invoice, _as_charged(asked, invoice))


@transaction.atomic
def at_period_end(
    *,
    subscription: Subscription,
    plan: Plan | None = None,
    quantity: int | None = None,
    author: Author | None = None,
    now: datetime,
) -> Subscription:
    """
    Change with the next renewal, at the price of today: nothing is given back, nothing charged.

    The plan that it has already takes the wish back. What waits to be paid is withdrawn.

    :param plan: None leaves what was wished for the plan before
    :param quantity: None leaves what was wished for the seats before
    :raises SubscriptionStateForbids: if it is not active or trialing, or it never ends
    :raises DomainError: what ``change_quotes`` refuses
    """
    locked = holding.hold(subscription)
    target = change_quotes.target(
        subscription=locked, plan=plan, quantity=quantity, add_on=None, now=now
    )
    change_quotes.require_changeable(subscription=locked, item=locked, now=now)
    if locked.expires_at is None:
        raise SubscriptionStateForbids(
            "The subscription never ends: it can only be changed now.", status=locked.status
        )
    _withdraw_what_waits(locked, now)
    _wish(locked, target, quantity, author, now, of_plan=plan is not None)
    return locked


@transaction.atomic
def withdraw_pending(
    *, subscription: Subscription, author: Author | None = None, now: datetime
) -> Subscription:
    """
    Take back what was asked for and has not happened yet: a change that waits to be paid, and what
    was to be at the end of the period. Where there is nothing, nothing happens.

    A renewal that was invoiced for what was wished is withdrawn, and is invoiced anew.

    :raises PastDue: if that renewal is not paid
    """
    locked = holding.hold(subscription)
    # On the free plan it is no wish: a late payment of the renewal brings the old plan back.
    wished = locked.cancel_reason != renewed.UNPAID and (
        (locked.pending_plan_id, locked.pending_quantity) != (None, None)
    )
    if wished and locked.past_due_since:
        raise change_quotes.PastDue("The renewal is not paid: that comes first.")
    is_waiting = changed.withdraw_waiting(subscription=locked, now=now)
    if wished:
        renewed.withdraw_open(subscription=locked, now=now)
        _clear(locked)
    if wished or is_waiting:
        events.record(_event("subscription.change_withdrawn", locked, author, now, {}))
    return locked


def _reckoned(
    subscription: Subscription,
    plan: Plan | None,
    quantity: int | None,
    add_on: AddOnSubscription | None,
    now: datetime,
) -> tuple[Target, Quote]:
    item: Item = add_on or subscription
    target = change_quotes.target(
        subscription=subscription,
        plan=None if add_on else plan,
        quantity=quantity,
        add_on=add_on,
        now=now,
    )
    change_quotes.require_changeable(subscription=subscription, item=item, now=now)
    change_quotes.require_change_now(item=item, target=target, now=now)
    asked = change_quotes.reckon(subscription=subscription, item=item, target=target, now=now)
    return target, asked


def _balance(subscription: Subscription) -> Money:
    zero = Money.zero(subscription.currency)
    balances = customer_credit.balances(user_id=subscription.user_id)
    return next((money for money in balances if money.currency == zero.currency), zero)


def _to_come_back(subscription: Subscription) -> Money:
    """What is used on invoices that the change would withdraw."""
    ids = change_quotes.waiting(subscription)
    return customer_credit.used_on(invoice_ids=ids, currency=subscription.currency)


def _withdraw_what_waits(subscription: Subscription, now: datetime) -> None:
    """The caller holds it with its unpaid invoices."""
    changed.withdraw_waiting(subscription=subscription, now=now)
    renewed.withdraw_open(subscription=subscription, now=now)
    if subscription.cancel_reason == renewed.UNPAID:
        # It went on with a free plan, and a late payment would have brought the old one back.
        subscription.cancel_reason = ""
        subscription.save(update_fields=["cancel_reason"])
        _clear(subscription)


def _clear(subscription: Subscription) -> None:
    subscription.pending_plan = None
    subscription.pending_price = None
    subscription.pending_quantity = None
    subscription.save(update_fields=["pending_plan", "pending_price", "pending_quantity"])


def _wish(
    subscription: Subscription,
    target: Target,
    quantity: int | None,
    author: Author | None,
    now: datetime,
    *,
    of_plan: bool,
) -> None:
    """Keep what is to be from the next renewal on; what it is already is no wish."""
    if of_plan:
        subscription.pending_plan_id = target.plan_id
        subscription.pending_price_id = target.price_id if target.plan_id else None
    if quantity is not None or (of_plan and target.plan_id is None):
        is_other = target.quantity != subscription.quantity
        subscription.pending_quantity = target.quantity if is_other else None
    subscription.save(update_fields=["pending_plan", "pending_price", "pending_quantity"])
    payload: dict[str, object] = {
        "plan": target.name,
        "quantity": target.quantity,
        "amount": str(target.price),
        "currency": target.currency,
        "plan_id": _text(target.plan_id),
        "price": str(Money(target.amount, target.currency)),
        "billing_period": target.billing_period,
        "asked": {"plan": of_plan, "quantity": quantity},
    }
    events.record(_event("subscription.change_scheduled", subscription, author, now, payload))


def _change(
    subscription: Subscription,
    add_on: AddOnSubscription | None,
    target: Target,
    asked: Quote,
    now: datetime,
) -> SubscriptionChange:
    item: Item = add_on or subscription
    assert item.period_start  # noqa: S101 - it runs
    return SubscriptionChange(
        id=uuid7(),
        user_id=subscription.user_id,
        subscription=subscription,
        add_on_subscription=add_on,
        plan_id=target.plan_id,
        price_id=target.price_id,
        name=target.name,
        amount=target.amount,
        quantity=target.quantity,
        currency=target.currency,
        billing_period=target.billing_period,
        value=Decimal(0) if asked.is_in_trial else asked.value.amount,
        credit=asked.credit.amount,
        charge=asked.charge.amount,
        begins_new_period=asked.begins_new_period,
        period_start=item.period_start,
        # Of zero too where a coupon made it so: the discount is told on it.
        invoice_id=uuid7() if asked.charge.amount or asked.coupon else None,
        created_at=now,
    )


def _issue(
    subscription: Subscription,
    item: Item,
    change: SubscriptionChange,
    target: Target,
    asked: Quote,
    now: datetime,
) -> Invoice:
    """To be paid before the period ends that it was reckoned in; what comes to zero is at once."""
    if asked.coupon:
        coupons.use_next(subscription_id=subscription.pk)
    latest = now + timedelta(hours=settings.BILLING_CHANGE_HOURS)
    invoice = issuing.issue(
        pk=change.invoice_id,
        subscription=subscription,
        reason=Invoice.Reason.CHANGE,
        plan_id=target.plan_id,
        drafts=change_lines.of(item=item, target=target, asked=asked, now=now),
        expires_at=min(latest, item.paid_end or latest),
        beside=[change],
        now=now,
    )
    if invoice.total_amount == 0:
        activation.settle_free(invoice=invoice, now=now)
        invoice.refresh_from_db()
    return invoice


def _as_charged(asked: Quote, invoice: Invoice | None) -> Quote:
    if invoice is None:
        return asked
    return replace(asked, on_account=asked.amount_due - invoice.total)


def _requested(
    change: SubscriptionChange,
    target: Target,
    asked: Quote,
    author: Author | None,
    now: datetime,
) -> Event:
    payload: dict[str, object] = {
        "change_id": str(change.pk),
        "plan": change.name,
        "quantity": change.quantity,
        "credit": str(asked.credit),
        "charge": str(asked.charge),
        "currency": change.currency,
        "plan_id": _text(change.plan_id),
        "add_on_id": _text(change.add_on_subscription_id),
        "price": str(Money(target.amount, target.currency)),
        "billing_period": target.billing_period,
        "arrival": target.arrival,
        "invoice_id": _text(change.invoice_id),
    }
    return _event("subscription.change_requested", change.subscription, author, now, payload)


def _text(pk: UUID | None) -> str | None:
    return str(pk) if pk else None


def _event(
    name: str,
    subscription: Subscription,
    author: Author | None,
    now: datetime,
    payload: dict[str, object],
) -> Event:
    return Event(
        name=name,
        user_id=subscription.user_id,
        subject_id=subscription.pk,
        payload=payload | (author.as_json() if author else {}),
        created_at=now,
    )
