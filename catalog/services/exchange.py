"""One line of an imported table: the item that it makes or changes, with its prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from catalog.money import Money
from catalog.services import editing, prices
from catalog.services.prices import ItemType


@dataclass(frozen=True, slots=True)
class Amount:
    """What an item costs in one currency."""

    price: Money
    setup_fee: Money


@transaction.atomic
def save(
    *,
    kind: type[ItemType],
    item: ItemType | None,
    values: Mapping[str, Any],
    amounts: Sequence[Amount],
    plan_ids: Sequence[UUID] | None = None,
    now: datetime,
) -> ItemType:
    """
    Make the item, or where there is one change what is named. No price is rewritten.

    :param values: columns; those that are not named stay, or have their defaults
    :param amounts: what it costs from now on, one for each currency; of a new item, at least one.
        Currencies that are not named stay as they are
    :param plan_ids: of an add-on: None lets its plans stay
    :raises DomainError: what ``editing.create``, ``editing.edit`` and ``prices.set_price`` raise
    """
    if item is None:
        first, *others = amounts
        saved = editing.create(
            kind=kind,
            values=values,
            price=first.price,
            setup_fee=first.setup_fee,
            plan_ids=plan_ids or (),
            now=now,
        )
    else:
        others = list(amounts)
        saved = editing.edit(item=item, values=values, plan_ids=plan_ids, now=now)
    for amount in others:
        prices.set_price(item=saved, money=amount.price, setup_fee=amount.setup_fee, now=now)
    return saved
