"""Prices: how one takes the place of another, and which of them a visitor is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from django.db import transaction
from django.db.models import F, Max, Prefetch, Q, QuerySet

from catalog.models import AddOn, Plan, Price, PriceQuerySet, TokenBundle
from catalog.money import CurrencyMismatch, Money
from config.errors import DomainError

_NOT_TAKEN_BACK = Q(valid_until=None) | Q(valid_until__gt=F("valid_from"))
AnyItem = Plan | TokenBundle | AddOn
ItemType = TypeVar("ItemType", Plan, TokenBundle, AddOn)


class NegativePrice(DomainError):
    code = "negative_price"


class FeeNotForBundle(DomainError):
    code = "setup_fee_not_for_bundle"


class PriceInThePast(DomainError):
    code = "price_in_the_past"


class PriceHasBegun(DomainError):
    code = "price_has_begun"


# --- Writing ---


@transaction.atomic
def set_price(
    *,
    item: AnyItem,
    money: Money,
    setup_fee: Money | None = None,
    now: datetime,
    valid_from: datetime | None = None,
) -> Price:
    """
    Let the item cost this much, at once or from a later moment.

    No price is rewritten: the one that stands gets its end, a new row takes its place, and what
    was scheduled for later still is taken back: the last decision holds. Without ``valid_from``,
    an amount that the item costs anyway changes nothing, nor what is scheduled. The same amount
    with another fee is another price.

    :param setup_fee: once, with the first period; None means none
    :param valid_from: None means at once
    :return: the price that is valid from then on
    :raises NegativePrice: zero is allowed, less is not
    :raises PriceInThePast: if ``valid_from`` is before ``now``
    :raises FeeNotForBundle: tokens are not set up
    :raises CurrencyMismatch: if the fee is in another currency
    """
    fee = setup_fee or Money.zero(money.currency)
    _require_sensible(item, money, fee)
    if valid_from is not None and valid_from < now:
        raise PriceInThePast("A price cannot begin in the past: that would rewrite it.")
    prices, now = _locked_prices(item, money.currency, now)
    begins = now if valid_from is None else max(valid_from, now)
    standing = prices.current(begins).first()
    is_the_same = standing is not None and (standing.money, standing.fee) == (money, fee)
    if standing is not None and is_the_same and valid_from is None:
        return standing
    _take_back(prices, after=begins)
    if standing is not None:
        standing.valid_until = None if is_the_same else begins
        standing.save(update_fields=["valid_until"])
        if is_the_same:
            return standing
    return prices.create(
        **{_column(item): item},
        currency=money.currency,
        amount=money.amount,
        setup_fee=fee.amount,
        valid_from=begins,
        created_at=now,
    )


@transaction.atomic
def withdraw_price(*, item: AnyItem, currency: str, now: datetime) -> None:
    """
    Stop selling the item in this currency, what is scheduled included.

    Where there is nothing to withdraw nothing happens: it is what the caller wants.
    """
    prices, now = _locked_prices(item, currency, now)
    _take_back(prices, after=now)
    prices.current(now).update(valid_until=now)


@transaction.atomic
def take_back(*, item: AnyItem, price: Price, now: datetime) -> None:
    """
    Let a scheduled price never begin: the one before it goes on until the one after it.

    Where it was taken back before nothing happens: it is what the caller wants.

    :raises PriceHasBegun: if it is no longer to come: it is replaced or withdrawn then
    """
    prices, now = _locked_prices(item, price.currency, now)
    scheduled = prices.get(pk=price.pk)
    begins, ends = scheduled.valid_from, scheduled.valid_until
    if ends == begins:
        return
    if begins <= now:
        raise PriceHasBegun("This price has begun: it can be replaced or withdrawn.")
    scheduled.valid_until = begins
    scheduled.save(update_fields=["valid_until"])
    prices.filter(valid_until=begins, valid_from__lt=begins).update(valid_until=ends)


def _require_sensible(item: AnyItem, money: Money, fee: Money) -> None:
    if money.amount < 0:
        raise NegativePrice("A price cannot be negative.", price=str(money))
    if fee.currency != money.currency:
        raise CurrencyMismatch(f"setup_fee: it is in {money.currency}, as the price is.")
    if fee.amount < 0:
        raise NegativePrice("setup_fee: a fee cannot be negative.", setup_fee=str(fee))
    if fee.amount and isinstance(item, TokenBundle):
        raise FeeNotForBundle("setup_fee: tokens are not set up.")


def _locked_prices(item: AnyItem, currency: str, now: datetime) -> tuple[PriceQuerySet, datetime]:
    """
    Lock the item; return its prices in the currency, and the time.

    Whoever had to wait for the lock comes with an older clock than the one who held it: no price
    may begin before one that is there already was made.
    """
    type(item).objects.lock(item.pk)
    prices = Price.objects.filter(**{_column(item): item}, currency=currency)
    newest = prices.aggregate(newest=Max("created_at"))["newest"]
    return prices, max(now, newest or now)


def _take_back(prices: PriceQuerySet, *, after: datetime) -> None:
    """End what is scheduled before it begins: the row stays, and is never current."""
    prices.filter(_NOT_TAKEN_BACK, valid_from__gt=after).update(valid_until=F("valid_from"))


def _column(item: AnyItem) -> str:
    return {Plan: "plan", TokenBundle: "bundle", AddOn: "add_on"}[type(item)]


# --- Reading ---


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemType]):
    """
    An item as a list shows it; ``price`` is None where it is not sold in what was asked for, and
    ``setup_fee`` is that price's.
    """

    item: ItemType
    price: Money | None
    setup_fee: Money | None
    prices: list[Money]


def listings(
    items: QuerySet[ItemType], *, currency: str | None, now: datetime
) -> list[Listing[ItemType]]:
    """
    Read items with their current prices: two statements, however many there are.

    :param currency: which price to show; None means each item's default currency, or where it has
        no price in that, the first one it has by code
    """
    return [_listing(item, currency) for item in with_current_prices(items, now=now)]


def with_current_prices(items: QuerySet[ItemType], *, now: datetime) -> QuerySet[ItemType]:
    """Give each item the list ``current_prices``, by currency."""
    current = Price.objects.current(now).order_by("currency")
    return items.prefetch_related(Prefetch("prices", current, to_attr="current_prices"))


def standing_fee(*, item: AnyItem, currency: str, now: datetime) -> Money | None:
    """The setup fee that a price of now has in this currency, where there is one."""
    price = item.prices.filter(currency=currency).current(now).first()
    return price.fee if price else None


def current_and_scheduled(prices: PriceQuerySet, *, now: datetime) -> PriceQuerySet:
    """What an item costs, and what it is to cost: in each currency by time."""
    to_come = prices.filter(_NOT_TAKEN_BACK, valid_from__gt=now)
    return (prices.current(now) | to_come).order_by("currency", "valid_from")


def _listing(item: ItemType, currency: str | None) -> Listing[ItemType]:
    current: list[Price] = item.current_prices  # type: ignore[attr-defined]
    prices = {price.currency: price for price in current}
    if currency is not None:
        shown = prices.get(currency)
    else:
        shown = prices.get(item.default_currency) or next(iter(prices.values()), None)
    return Listing(
        item=item,
        price=shown.money if shown else None,
        setup_fee=shown.fee if shown else None,
        prices=[price.money for price in prices.values()],
    )
