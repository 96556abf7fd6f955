"""The catalogue's pages lead to what was changed of an item and of its prices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.utils.formats import localize
from django.utils.timezone import template_localtime

from billing.admin import changes
from billing.admin.catalogue_figures import ItemFigures
from billing.admin.changes import Change, FieldChange
from billing.admin.history_page import HistoryPage
from catalog.models import AddOn, Plan, Price, TokenBundle

PriceHistory = Price.history.rel.related_model


class ItemHistoryPage(HistoryPage):
    """An item's prices are told with it: a new one is a row of its own, and ends the old one."""

    def changes_of(self, row: Any, most: int) -> list[list[Change]]:
        return [*super().changes_of(row, most), list(_of_prices(row, most))]


def _of_prices(item: Any, most: int) -> Iterator[Change]:
    """
    What each end of a price meant: another amount in its place, or no sale in that currency.

    A price that takes no other's place is told by its own row: by whom, the admin noted in words.
    """
    prices = list(item.prices.order_by("-id")[:most])
    begins = {(price.currency, price.valid_from): price for price in prices}
    history = PriceHistory.objects.filter(pgh_obj__in=item.prices.all())
    rows = list(changes.noted(history).select_related("pgh_obj")[:most])
    told = changes.compare(rows, {row.pgh_obj_id: row.pgh_obj for row in rows})
    replacements = set()
    for row, change in zip(rows, told, strict=True):
        ended = row.pgh_obj
        if row.valid_until is not None or ended.valid_until is None:
            yield replace(change, of=f"Price {ended}")
        elif ended.valid_until <= ended.valid_from:
            yield replace(change, fields=(), note=f"Price {ended} that was to come: taken back.")
        else:
            after = begins.get((ended.currency, ended.valid_until))
            replacements.add(after)
            new = str(after) if after else "not sold"
            label = f"Price in {ended.currency}"
            note = _from(ended.valid_until, change.at)
            yield replace(change, fields=(FieldChange(label, str(ended), new),), note=note)
    for price in prices:
        if price not in replacements:
            note = f"Price {price} set. {_from(price.valid_from, price.created_at)}".strip()
            yield Change(at=price.created_at, by="", reason="", note=note)


def _from(moment: datetime, decided_at: datetime) -> str:
    """When it holds, where that is not at once: two clocks may differ a little."""
    if moment - decided_at < timedelta(minutes=1):
        return ""
    return f"From {localize(template_localtime(moment))}."


for model in (Plan, TokenBundle, AddOn):
    # The catalogue cannot import what shows its history and figures: they are added from here.
    page = type(admin.site.get_model_admin(model))
    admin.site.unregister(model)
    admin.site.register(model, type(page.__name__, (ItemHistoryPage, ItemFigures, page), {}))
