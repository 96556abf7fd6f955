"""What a change of plan or of seats costs, and when; see docs/billing-rules.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Literal
from uuid import UUID

from billing.models import AddOnSubscription, CouponRedemption, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import changed, coupons, proration, renewed, terms
from billing.services.changed import CHANGEABLE, Item
from billing.services.selection import (
    MOST_SEATS,
    InvalidQuantity,
    PlanNotActive,
    PriceNotAvailable,
)
from billing.services.subscriptions import SubscriptionStateForbids
from catalog.models import Arrival, Plan, Price
from catalog.money import Money
from config.errors import DomainError

Status = SubscriptionStatus
TakesEffect = Literal["now", "period_end"]


class NothingToChange(DomainError):
    code = "nothing_to_change"


class PastDue(DomainError):
    code = "subscription_past_due"


class PaidInAdvance(DomainError):
    code = "subscription_paid_in_advance"


class AddOnNotRunning(DomainError):
    code = "add_on_not_running"


@dataclass(frozen=True, slots=True)
class Target:
    """
    What something is to become: so many, at ``amount`` each for one period.

    :param plan_id: None where the plan stays, with the price that the subscriber holds
    """

    plan_id: UUID | None
    price_id: UUID
    name: str
    amount: Decimal
    quantity: int
    currency: str
    billing_period: str
    arrival: str

    @property
    def price(self) -> Money:
        return Money(self.amount, self.currency) * self.quantity


@dataclass(frozen=True, slots=True)
class Quote:
    """
    What a change costs at a moment.

    ``amount_due`` is ``charge`` − ``credit``, and never less than zero: what the credit is more
    goes to the customer's credit account. At a period's end nothing is due.

    :param value: what a whole period costs then, all seats, after discounts
    :param coupon: what lessens a new period by one of its own
    :param is_in_trial: nothing is paid for the current period
    :param on_account: what of the customer's credit account is used for it
    """

    credit: Money
    charge: Money
    days_remaining: int | None
    begins_new_period: bool
    takes_effect: TakesEffect
    value: Money
    on_account: Money
    is_in_trial: bool = False
    coupon: CouponRedemption | None = None

    @property
    def amount_due(self) -> Money:
        return larger(self.charge - self.credit, Money.zero(self.charge.currency))

    @property
    def to_pay(self) -> Money:
        """The total of its invoice."""
        return self.amount_due - self.on_account


def target(
    *,
    subscription: Subscription,
    plan: Plan | None,
    quantity: int | None,
    add_on: AddOnSubscription | None,
    now: datetime,
) -> Target:
    """
    Return what it is to become. A plan that it has already is no other one: its price stays.

    :raises InvalidQuantity: if it is not 1 to 10,000
    :raises PlanNotActive: if the plan is not on sale
    :raises PriceNotAvailable: if it has no price in the subscription's currency
    """
    item: Item = add_on or subscription
    if quantity is not None and not 1 <= quantity <= MOST_SEATS:
        raise InvalidQuantity(f"quantity: 1 to {MOST_SEATS}.", maximum=MOST_SEATS)
    if plan and plan.pk != subscription.plan_id:
        return _of_plan(subscription, plan, quantity or item.quantity, now)
    return Target(
        plan_id=None,
        price_id=item.price_id,
        name=item.name,
        amount=item.amount,
        quantity=quantity or item.quantity,
        currency=item.currency,
        billing_period=item.billing_period,
        arrival=Arrival.PRORATED,
    )


def require_changeable(*, subscription: Subscription, item: Item, now: datetime) -> None:
    """
    Check that it can change at all.

    :raises PastDue: if its renewal is to be paid first
    :raises SubscriptionStateForbids: if it is not active or trialing, or its time is over
    :raises AddOnNotRunning: if the add-on has ended
    """
    if subscription.past_due_since:
        raise PastDue("The subscription is past due: pay its invoice first.")
    if subscription.status not in CHANGEABLE:
        raise SubscriptionStateForbids(
            f"A subscription that is {subscription.status} cannot be changed.",
            status=subscription.status,
        )
    if not subscription.is_running_at(now):
        raise SubscriptionStateForbids(
            "The time of the subscription is over: it cannot be changed before it is renewed.",
            status=subscription.status,
        )
    if item.status not in CHANGEABLE or not item.is_running_at(now):
        raise AddOnNotRunning("The add-on does not run any more.", status=item.status)


def require_change_now(*, item: Item, target: Target, now: datetime) -> None:
    """
    Check that a change in the middle of its period is one, and can be reckoned.

    :raises NothingToChange: if it is so already
    :raises PaidInAdvance: if the period that is paid for has not begun
    """
    if target.plan_id is None and target.quantity == item.quantity:
        raise NothingToChange(f"It is so already: {item.name}, {item.quantity} of it.")
    if item.period_start and item.period_start > now:
        raise PaidInAdvance(
            "The next period is paid already: it can be changed when that has begun, or for when"
            " that ends.",
            begins_at=item.period_start.isoformat(),
        )


def reckon(*, subscription: Subscription, item: Item, target: Target, now: datetime) -> Quote:
    """What the change costs at this moment, nothing of the credit account used."""
    zero = Money.zero(target.currency)
    value = net_value(subscription=subscription, item=item, target=target)
    quoted = partial(_quote, item, now=now, value=value, credit=zero, charge=zero)
    anew = partial(_anew, item, subscription=subscription, target=target, now=now)
    if target.arrival == Arrival.PERIOD_END and item.paid_end is not None:
        return quoted(takes_effect="period_end")
    if subscription.status == Status.TRIALING and (item is subscription or not item.period_value):
        # Until the trial ends nothing is paid, and then the new price is.
        return quoted(is_in_trial=True)
    if target.arrival == Arrival.FULL_PRICE:
        return anew(credit=zero)
    is_other_length = target.billing_period != item.billing_period
    if item.paid_end is None and not is_other_length:
        # It is paid for good: the difference is asked for, and nothing is given back.
        worth = Money(item.period_value, item.currency)
        return quoted(credit=smaller(worth, value), charge=value)
    credit = proration.worth(item, at=now)
    if is_other_length or item.paid_end is None:
        return anew(credit=credit)
    return quoted(credit=credit, charge=proration.rest_of(item, at=now).down(value))


def net_value(*, subscription: Subscription, item: Item, target: Target) -> Money:
    """What the whole current period of it costs, less the coupon that lessens that."""
    if item.period_value >= terms.price_of(item).amount:
        return target.price
    items = _items_of(subscription)
    lessened = coupons.last_lessened(item_ids=[each.pk for each in items], user_id=item.user_id)
    invoice = lessened.get(item.pk)
    redemption = coupons.on_invoice(invoice=invoice) if invoice else None
    if redemption is None:
        return target.price
    together = [
        each
        for each in items
        if each.pk == item.pk
        or (_is_lessened_with(each, item) and lessened.get(each.pk) == invoice)
    ]
    amounts = [target.price if each.pk == item.pk else terms.price_of(each) for each in together]
    off = coupons.discounts(redemption=redemption, amounts=amounts)
    return target.price - off[[each.pk for each in together].index(item.pk)]


def larger(one: Money, other: Money) -> Money:
    return max(one, other, key=lambda money: money.amount)


def smaller(one: Money, other: Money) -> Money:
    return min(one, other, key=lambda money: money.amount)


def waiting(subscription: Subscription) -> list[UUID]:
    """The unpaid invoices that a change takes back: of a renewal, and of another change."""
    return [*renewed.open_invoices(subscription), *changed.waiting(subscription)]


def _anew(
    item: Item, *, subscription: Subscription, target: Target, credit: Money, now: datetime
) -> Quote:
    """A new period, as with a renewal: it costs the whole price, less a period of the coupon."""
    coupon = coupons.of_next(subscription_id=subscription.pk, taken_back=waiting(subscription))
    value = target.price
    if coupon:
        (off,) = coupons.discounts(redemption=coupon, amounts=[target.price])
        value = target.price - off
        coupon = coupon if off.amount else None
    quote = _quote(item, now=now, value=value, credit=credit, charge=value, begins_new_period=True)
    return replace(quote, coupon=coupon)


def _quote(
    item: Item,
    *,
    now: datetime,
    value: Money,
    credit: Money,
    charge: Money,
    begins_new_period: bool = False,
    takes_effect: TakesEffect = "now",
    is_in_trial: bool = False,
) -> Quote:
    return Quote(
        credit=credit,
        charge=charge,
        days_remaining=proration.days_left(item, at=now),
        begins_new_period=begins_new_period,
        takes_effect=takes_effect,
        value=value,
        on_account=Money.zero(value.currency),
        is_in_trial=is_in_trial,
    )


def _items_of(subscription: Subscription) -> list[Item]:
    add_ons = AddOnSubscription.objects.filter(subscription=subscription, status__in=CHANGEABLE)
    return [subscription, *add_ons.order_by("created_at", "pk")]


def _is_lessened_with(other: Item, item: Item) -> bool:
    """Whether a coupon that lessens its current period may be spread over the other one too."""
    is_lessened = other.period_value < terms.price_of(other).amount
    return is_lessened and other.period_start == item.period_start


def _of_plan(subscription: Subscription, plan: Plan, quantity: int, now: datetime) -> Target:
    if not plan.is_active:
        raise PlanNotActive(f"plan_id: the plan {plan.name} is not active.")
    currency = subscription.currency
    price = Price.objects.current(now).filter(plan=plan, currency=currency).first()
    if price is None:
        raise PriceNotAvailable(
            f"{plan.name} has no price in {currency}, and a subscription keeps its currency.",
            item_id=str(plan.pk),
            item_name=plan.name,
            currency=currency,
        )
    return Target(
        plan_id=plan.pk,
        price_id=price.pk,
        name=plan.name,
        amount=price.amount,
        quantity=quantity,
        currency=currency,
        billing_period=plan.billing_period,
        arrival=plan.arrival,
    )
