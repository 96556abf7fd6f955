"""Whole units of a currency and calendar periods, by hand: nothing of what is tested is used."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

PLACES = {"USD": 2, "EUR": 2, "JPY": 0}
_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}


def units(text: str, currency: str) -> int:
    """``"29.00"`` in the currency's smallest unit: 2900."""
    exact = Fraction(text) * 10 ** PLACES[currency]
    if exact.denominator != 1:
        raise ValueError(f"{text} {currency} is no whole number of units.")
    return exact.numerator


def shown(amount: int, currency: str) -> str:
    return f"{Decimal(amount).scaleb(-PLACES[currency]):f} {currency}"


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def rounded_down(amount: int, left: timedelta, whole: timedelta) -> int:
    return floor(_share(amount, left, whole))


def rounded_up(amount: int, left: timedelta, whole: timedelta) -> int:
    return ceil(_share(amount, left, whole))


def _share(amount: int, left: timedelta, whole: timedelta) -> Fraction:
    """Of what the whole time costs; no more than all of it, and no less than nothing."""
    moment = timedelta(microseconds=1)
    part = Fraction(left // moment, whole // moment)
    return amount * min(max(part, Fraction(0)), Fraction(1))


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """
    In proportion to the weights. What whole units leave over goes, one each, to the largest
    remainders, the first ones of equal ones.
    """
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    parts = [floor(part) for part in exact]
    left_over = amount - sum(parts)
    for _ in range(left_over):
        remainders = [part_of - part for part_of, part in zip(exact, parts, strict=True)]
        parts[remainders.index(max(remainders))] += 1
    return parts


def period_end(anchor: datetime, period: str, count: int = 1) -> datetime | None:
    """So many periods after the anchor; a day that a month has not is that month's last."""
    if period == "one_time":
        return None
    if period == "weekly":
        return anchor + timedelta(days=7 * count)
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + _MONTHS[period] * count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, last))


def next_end(anchor: datetime, period: str, after: datetime) -> datetime | None:
    """The first end after a moment, of the periods that are counted from the anchor."""
    count = 1
    while (ends := period_end(anchor, period, count)) is not None and ends <= after:
        count += 1
    return ends
