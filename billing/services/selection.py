"""What a customer wants to buy, and whether it can be sold to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from billing.models import Subscription
from catalog.money import require_in_use
from catalog.services import offers
from catalog.services.offers import Offer
from config.errors import DomainError

MAX_ITEMS = 50


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


class NoActiveSubscription(DomainError):
    code = "no_active_subscription"


class PriceNotAvailable(DomainError):
    code = "price_not_available"


class SubscriptionCurrencyDiffers(DomainError):
    code = "subscription_currency_differs"


@dataclass(frozen=True, slots=True)
class Order:
    """What the customer asks for. ``currency`` None leaves the choice to the plan."""

    plan_id: UUID | None = None
    token_bundle_ids: tuple[UUID, ...] = ()
    add_on_ids: tuple[UUID, ...] = ()
    currency: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "plan_id": str(self.plan_id) if self.plan_id else None,
            "token_bundle_ids": [str(pk) for pk in self.token_bundle_ids],
            "add_on_ids": [str(pk) for pk in self.add_on_ids],
            "currency": self.currency,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """What will be sold, in the order of the lines, all of it priced in ``currency``."""

    plan: Offer | None
    bundles: list[Offer]
    add_ons: list[Offer]
    currency: str
    live_subscription: Subscription | None

    @property
    def offers(self) -> list[Offer]:
        return [*([self.plan] if self.plan else []), *self.bundles, *self.add_ons]


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
    if order.currency is not None:
        require_in_use(order.currency)


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
