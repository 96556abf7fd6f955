"""What a customer wants to buy, and whether it can be sold to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from billing.models import Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import offers
from billing.services.offers import Offer
from catalog.money import require_in_use
from config.errors import DomainError

MAX_ITEMS = 50
MOST_SEATS = 10_000


class NothingChosen(DomainError):
    code = "nothing_chosen"


class TooManyItems(DomainError):
    code = "too_many_items"


class PlanNotFound(DomainError):
    code = "plan_not_found"


class PlanNotActive(DomainError):
    code = "plan_not_active"


class BundleNotFound(DomainError):
    code = "token_bundle_not_found"


class BundleNotActive(DomainError):
    code = "token_bundle_not_active"


class AddOnNotFound(DomainError):
    code = "add_on_not_found"


class AddOnNotActive(DomainError):
    code = "add_on_not_active"


class AddOnNotForPlan(DomainError):
    code = "add_on_not_for_plan"


class AddOnChosenTwice(DomainError):
    code = "add_on_chosen_twice"


class InvalidQuantity(DomainError):
    code = "invalid_quantity"


class NoActiveSubscription(DomainError):
    code = "no_active_subscription"


class PriceNotAvailable(DomainError):
    code = "price_not_available"


class SubscriptionCurrencyDiffers(DomainError):
    code = "subscription_currency_differs"


@dataclass(frozen=True, slots=True)
class Order:
    """
    What the customer asks for. ``currency`` None leaves the choice to the plan.

    :param quantity: seats of the plan
    :param add_on_quantities: of those of ``add_on_ids`` that are bought more than once
    """

    plan_id: UUID | None = None
    token_bundle_ids: tuple[UUID, ...] = ()
    add_on_ids: tuple[UUID, ...] = ()
    currency: str | None = None
    quantity: int = 1
    add_on_quantities: Mapping[UUID, int] = field(default_factory=dict)
    coupon_code: str | None = None

    def as_json(self) -> dict[str, Any]:
        """
        What was asked for, without what was not: so the fingerprint of an order that has none of
        it stays what it was before there was any.
        """
        asked: dict[str, Any] = {
            "plan_id": str(self.plan_id) if self.plan_id else None,
            "token_bundle_ids": [str(pk) for pk in self.token_bundle_ids],
            "add_on_ids": [str(pk) for pk in self.add_on_ids],
            "currency": self.currency,
        }
        if self.quantity != 1:
            asked["quantity"] = self.quantity
        if self.add_on_quantities:
            quantities = {str(pk): count for pk, count in self.add_on_quantities.items()}
            asked["add_on_quantities"] = dict(sorted(quantities.items()))
        if self.coupon_code is not None:
            asked["coupon_code"] = self.coupon_code
        return asked


@dataclass(frozen=True, slots=True)
class Trial:
    """:param is_paid: the first period is paid for at the checkout, and begins afterwards"""

    days: int
    is_paid: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """
    What will be sold, in the order of the lines, all of it priced in ``currency``.

    :param quantities: of the plan and of add-ons, by id; of whatever is not named, one
    :param trial: the one that the plan begins with, if it does
    :param has_credit: whether the owner owes the customer something that can be used
    """

    plan: Offer | None
    bundles: list[Offer]
    add_ons: list[Offer]
    currency: str
    live_subscription: Subscription | None
    quantities: Mapping[UUID, int]
    trial: Trial | None
    has_credit: bool

    @property
    def offers(self) -> list[Offer]:
        return [*([self.plan] if self.plan else []), *self.bundles, *self.add_ons]

    def quantity_of(self, offer: Offer) -> int:
        return self.quantities.get(offer.id, 1)

    @property
    def is_free_at_first(self) -> bool:
        """Whether plan and add-ons cost nothing until a trial is over."""
        if self.trial:
            return not self.trial.is_paid
        live = self.live_subscription
        return (
            live is not None
            and live.status == SubscriptionStatus.TRIALING
            and not live.is_trial_paid
        )

    def is_free(self, offer: Offer) -> bool:
        """What lasts for good, and tokens, are no part of a trial."""
        is_in_trial = offer.kind == "plan" or (offer.kind == "add_on" and offer.is_recurring)
        return is_in_trial and self.is_free_at_first

    def without_trial(self) -> Selection:
        return replace(self, trial=None)


def read(*, user: User, order: Order, now: datetime) -> Selection:
    """
    Read what was chosen and refuse what cannot be sold.

    Add-ons without a plan join the customer's live subscription, and its currency.
    """
    _require_sensible(order)
    live = None
    currency = order.currency
    if order.add_on_ids and not order.plan_id:
        live = _live_subscription(user=user, now=now)
        currency = _currency_of(live, order)
    found = offers.read(
        user_id=user.pk,
        plan_id=order.plan_id,
        bundle_ids=order.token_bundle_ids,
        add_on_ids=order.add_on_ids,
        currency=currency,
        now=now,
    )
    plan = _plan(order, found)
    bundles = [_bundle(pk, found) for pk in order.token_bundle_ids]
    plan_id = live.plan_id if live else order.plan_id
    add_ons = [_add_on(pk, found, plan_id) for pk in order.add_on_ids]
    selection = Selection(
        plan=plan,
        bundles=bundles,
        add_ons=add_ons,
        currency=[*([plan] if plan else []), *bundles, *add_ons][0].currency,
        live_subscription=live,
        quantities=_quantities(order),
        trial=Trial(plan.trial_days, plan.is_trial_paid) if plan and plan.trial_days else None,
        has_credit=found.has_credit,
    )
    for offer in selection.offers:
        _require_price(offer)
    return selection


def _require_sensible(order: Order) -> None:
    if not (order.plan_id or order.token_bundle_ids or order.add_on_ids):
        raise NothingChosen("Choose a plan (plan_id), token bundles or add-ons.")
    if len(order.token_bundle_ids) + len(order.add_on_ids) > MAX_ITEMS:
        raise TooManyItems(
            f"At most {MAX_ITEMS} items: token_bundle_ids and add_on_ids name more.",
            maximum=MAX_ITEMS,
        )
    if len(set(order.add_on_ids)) < len(order.add_on_ids):
        raise AddOnChosenTwice("add_on_ids names the same add-on twice.")
    _require_quantities(order)
    if order.currency is not None:
        require_in_use(order.currency)


def _require_quantities(order: Order) -> None:
    if order.quantity != 1 and not order.plan_id:
        raise InvalidQuantity("quantity: seats are of a plan: choose a plan_id with it.")
    if not set(order.add_on_quantities) <= set(order.add_on_ids):
        raise InvalidQuantity("add_on_quantities names an add-on that is not in add_on_ids.")
    for name, quantity in (
        ("quantity", order.quantity),
        *(("add_on_quantities", count) for count in order.add_on_quantities.values()),
    ):
        if not 1 <= quantity <= MOST_SEATS:
            raise InvalidQuantity(f"{name}: 1 to {MOST_SEATS}.", maximum=MOST_SEATS)


def _quantities(order: Order) -> dict[UUID, int]:
    own = {order.plan_id: order.quantity} if order.plan_id else {}
    return {**order.add_on_quantities, **own}


def _live_subscription(*, user: User, now: datetime) -> Subscription:
    live = Subscription.objects.live().filter(user=user).first()
    if live is None or not live.is_running_at(now):
        raise NoActiveSubscription(
            "add_on_ids: add-ons need a plan_id or an active subscription to join."
        )
    return live


def _currency_of(live: Subscription, order: Order) -> str:
    if order.currency not in (None, live.currency):
        raise SubscriptionCurrencyDiffers(
            f"currency: your subscription is in {live.currency}, so its add-ons are too.",
            currency=live.currency,
        )
    return live.currency


def _plan(order: Order, found: offers.Offers) -> Offer | None:
    if order.plan_id is None:
        return None
    plan = found.plans.get(order.plan_id)
    if plan is None:
        raise PlanNotFound(f"plan_id: plan {order.plan_id} not found.")
    if not plan.is_active:
        raise PlanNotActive(f"plan_id: the plan {plan.name} is not active.")
    return plan


def _bundle(pk: UUID, found: offers.Offers) -> Offer:
    bundle = found.bundles.get(pk)
    if bundle is None:
        raise BundleNotFound(f"token_bundle_ids: token bundle {pk} not found.")
    if not bundle.is_active:
        raise BundleNotActive(f"token_bundle_ids: the token bundle {bundle.name} is not active.")
    return bundle


def _add_on(pk: UUID, found: offers.Offers, plan_id: UUID | None) -> Offer:
    add_on = found.add_ons.get(pk)
    if add_on is None:
        raise AddOnNotFound(f"add_on_ids: add-on {pk} not found.")
    if not add_on.is_active:
        raise AddOnNotActive(f"add_on_ids: the add-on {add_on.name} is not active.")
    if add_on.plan_ids and plan_id not in add_on.plan_ids:
        raise AddOnNotForPlan(f"add_on_ids: the add-on {add_on.name} is not sold with this plan.")
    return add_on


def _require_price(offer: Offer) -> None:
    if offer.amount is None:
        raise PriceNotAvailable(
            f"{offer.name} has no price in {offer.currency}.",
            item_id=str(offer.id),
            item_name=offer.name,
            currency=offer.currency,
        )
