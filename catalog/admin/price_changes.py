"""What a change of prices means, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils.formats import date_format
from django.utils.timezone import template_localtime

from catalog.admin.prices import PriceForm, PriceFormSet
from catalog.models import Price, TokenBundle, shown
from catalog.money import Money
from catalog.services import prices
from catalog.services.prices import AnyItem


@dataclass(frozen=True, slots=True)
class Meaning:
    """One change: ``title`` says which, and each of ``lines`` what it does to whom."""

    title: str
    lines: list[str]


def meanings(formset: PriceFormSet) -> list[Meaning]:
    """
    Return what saving these prices would do; nothing where no price that stands is touched.

    A first price in a currency is told only beside others: nobody is used to another one.
    """
    changed = [form for form in formset.forms if form.has_changed()]
    if not changed:
        return []
    item, now = formset.instance, formset.now
    to_come = prices.current_and_scheduled(item.prices.all(), now=now).filter(valid_from__gt=now)
    scheduled = list(to_come)
    in_use = {price.currency for price in scheduled}
    if not any(_touches(form) or form.cleaned_data["currency"] in in_use for form in changed):
        return []
    changes = _Changes(item, scheduled, _paying(item, now), now)
    return [changes.meaning_of(form) for form in changed]


def _touches(form: PriceForm) -> bool:
    return not form.instance._state.adding


def _paying(item: AnyItem, now: datetime) -> dict[str, list[tuple[Money, int]]]:
    """By currency: how many live subscribers pay which price. The rows are those of billing."""
    found: dict[str, list[tuple[Money, int]]] = {}
    if isinstance(item, TokenBundle):
        return found
    subscriptions: Any = item.subscriptions  # type: ignore[union-attr]
    groups = subscriptions.live().running(now).order_by("amount").values_list("currency", "amount")
    for currency, amount, count in groups.annotate(count=Count("pk")):
        found.setdefault(currency, []).append((Money(amount, currency), count))
    return found


@dataclass(frozen=True, slots=True)
class _Changes:
    item: AnyItem
    scheduled: list[Price]
    paying: dict[str, list[tuple[Money, int]]]
    now: datetime

    def meaning_of(self, form: PriceForm) -> Meaning:
        is_new = form.instance._state.adding
        if not is_new and form.was_scheduled:
            return self._taken_back(form)
        if not is_new and form.cleaned_data["withdraw"]:
            return self._withdrawn(form)
        new: Money = form.cleaned_data["money"]
        said = shown(new, form.cleaned_data["fee"])
        begins: datetime | None = form.cleaned_data["begins"]
        since = "from now on" if begins is None else f"from {moment(begins)}"
        lines = [f"The new price, {said}, holds {since} for new checkouts."]
        lines += self._lost(new.currency, after=begins or self.now)
        if is_new:
            return Meaning(f"{new.currency}: {said}", lines)
        title = f"{new.currency}: {form.stood} → {said}"
        return Meaning(title, [*self._staying(new.currency), *lines])

    def _withdrawn(self, form: PriceForm) -> Meaning:
        currency = form.instance.currency
        lines = [
            *self._staying(currency),
            f"From now on nobody can buy it in {currency}.",
            *self._lost(currency, after=self.now),
        ]
        return Meaning(f"{currency}: {form.stood} is withdrawn", lines)

    def _taken_back(self, form: PriceForm) -> Meaning:
        price = form.instance
        line = f"It does not begin at {moment(price.valid_from)}: the price before it goes on."
        return Meaning(f"{price.currency}: {form.stood}, scheduled, is taken back", [line])

    def _staying(self, currency: str) -> Iterator[str]:
        if isinstance(self.item, TokenBundle):
            yield "What was bought keeps its price."
            return
        groups = self.paying.get(currency, [])
        for amount, count in groups:
            who = "1 subscriber stays" if count == 1 else f"{count:,} subscribers stay"
            yield f"{who} on {amount.for_people()}."
        if not groups:
            yield f"Nobody subscribes to it in {currency} now."

    def _lost(self, currency: str, *, after: datetime) -> Iterable[str]:
        return [
            f"{price}, scheduled for {moment(price.valid_from)}, is taken back."
            for price in self.scheduled
            if price.currency == currency and price.valid_from > after
        ]


def moment(at: datetime) -> str:
    local = template_localtime(at)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}"
