"""The columns of a table of the catalogue that are amounts: ``price USD``, ``setup fee USD``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.models import Price
from catalog.money import Money, currencies
from catalog.services.exchange import Amount
from config.errors import DomainError

PRICE = "price"
FEE = "setup fee"
_COLUMN = re.compile(rf"({PRICE}|{FEE}) ([A-Z]{{3}})")


@dataclass(frozen=True, slots=True)
class Change:
    column: str
    old: str
    new: str
    note: str = ""


def column(name: str) -> tuple[str, str]:
    """What amount a column has, and in which currency: ("price", "USD"); or twice ""."""
    found = _COLUMN.fullmatch(name)
    return (found[1], found[2]) if found and found[2] in currencies() else ("", "")


def read(
    touched: Mapping[str, str], standing: Mapping[str, Price], faults: dict[str, Any]
) -> list[Amount]:
    """
    Return the new prices, each with its fee.

    An empty cell changes nothing: a price is withdrawn on purpose, and no fee is a 0. What cannot
    be is put into ``faults``.

    :param standing: by currency, the prices of now
    """
    cells = _cells(touched, faults)
    amounts = []
    for code in dict.fromkeys(code for _kind, code in cells):
        old = standing.get(code)
        price = cells.get((PRICE, code), old.money if old else None)
        fee = cells.get((FEE, code), old.fee if old else Money.zero(code))
        if price is None:
            faults[f"{FEE} {code}"] = "There is no price in this currency."
        elif old is None or (price, fee) != (old.money, old.fee):
            amounts.append(Amount(price, fee))
    return amounts


def changes(
    amounts: Iterable[Amount], standing: Mapping[str, Price], lost: Mapping[str, Price]
) -> list[Change]:
    """
    Tell what the new prices change.

    :param lost: by currency, what is scheduled and taken back by a new price
    """
    found = []
    for amount in amounts:
        code, fee = amount.price.currency, amount.setup_fee
        old = standing.get(code)
        told = []
        if old is None or old.money != amount.price:
            before = old.money.for_people() if old else ""
            told.append(Change(f"{PRICE} {code}", before, amount.price.for_people()))
        if fee != (old.fee if old else Money.zero(code)):
            before = old.fee.for_people() if old else ""
            told.append(Change(f"{FEE} {code}", before, fee.for_people()))
        if code in lost:
            note = f"{lost[code]}, which is scheduled, is taken back."
            told[0] = Change(told[0].column, told[0].old, told[0].new, note)
        found += told
    return found


def _cells(touched: Mapping[str, str], faults: dict[str, Any]) -> dict[tuple[str, str], Money]:
    cells = {}
    for name, text in touched.items():
        kind, code = column(name)
        if not code or not text.strip():
            continue
        try:
            money = Money.parse(text.strip(), code)
        except DomainError as fault:
            faults[name] = fault.message
            continue
        if money.amount < 0:
            faults[name] = f"A {kind} cannot be negative."
        cells[kind, code] = money
    return cells
