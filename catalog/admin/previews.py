"""An item as the customer's app gets it, and as it might show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from catalog.api.serializers import AddOnSerializer, PlanSerializer, TokenBundleSerializer
from catalog.models import AddOn, Plan, TokenBundle
from catalog.services import prices
from catalog.services.prices import AnyItem

_SERIALIZERS: dict[type[AnyItem], Any] = {
    Plan: PlanSerializer,
    TokenBundle: TokenBundleSerializer,
    AddOn: AddOnSerializer,
}
_PERIODS = {
    "weekly": "a week",
    "monthly": "a month",
    "quarterly": "a quarter",
    "yearly": "a year",
}


def of(item: AnyItem, *, now: datetime) -> dict[str, Any]:
    """
    Return what the page shows.

    :return: ``answer``, the public API's JSON of it; ``card``; ``absent``, why customers do not
        see it, or ""
    """
    [listing] = prices.listings(type(item).objects.filter(pk=item.pk), currency=None, now=now)
    answer = dict(_SERIALIZERS[type(item)](listing).data)
    card = {
        "name": item.name,
        "description": item.description,
        "prices": [price.for_people() for price in listing.prices],
        "period": _PERIODS.get(getattr(item, "billing_period", ""), "once"),
        "features": _features(item),
        "notes": _notes(item, listing),
    }
    shown = orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()
    return {"answer": shown, "card": card, "absent": _absent(item, listing)}


def _absent(item: AnyItem, listing: prices.Listing[Any]) -> str:
    if item.archived_at is not None:
        return "It is archived."
    if not item.is_active:
        return "It is off sale."
    return "" if listing.price is not None else "It has no price."


def _notes(item: AnyItem, listing: prices.Listing[Any]) -> list[str]:
    """What it costs at first."""
    notes = []
    if listing.setup_fee and listing.setup_fee.amount:
        notes.append(f"{listing.setup_fee.for_people()} for the setup, once.")
    if isinstance(item, Plan) and item.trial_days:
        days = "1 day" if item.trial_days == 1 else f"{item.trial_days} days"
        paid = "paid in advance" if item.is_trial_paid else "for nothing"
        notes.append(f"{days} to try it, {paid}.")
    return notes


def _features(item: AnyItem) -> list[str]:
    """A line each, of a list or of an object."""
    if isinstance(item, TokenBundle):
        return [f"{item.token_amount:,} tokens"]
    known = getattr(item, "features", None) or []
    if isinstance(known, dict):
        return [f"{name}: {value}" for name, value in known.items()]
    return [str(feature) for feature in known]
