"""Money in whole units, and calendar periods: by hand, with nothing of what is tested."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor

MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}


def after(anchor: datetime, period: str, count: int) -> datetime:
    """So many periods later; a day that a month has not is that month's last."""
    if period == "weekly":
        return anchor + timedelta(days=7 * count)
    months = anchor.year * 12 + anchor.month - 1 + MONTHS[period] * count
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, last))


def next_end(anchor: datetime, period: str, moment: datetime) -> datetime:
    """The first end after a moment of the periods that are counted from the anchor."""
    count = 1
    while after(anchor, period, count) <= moment:
        count += 1
    return after(anchor, period, count)


def part_down(units: int, left: timedelta, whole: timedelta) -> int:
    return floor(_part(units, left, whole))


def part_up(units: int, left: timedelta, whole: timedelta) -> int:
    return ceil(_part(units, left, whole))


def _part(units: int, left: timedelta, whole: timedelta) -> Fraction:
    left = min(max(left, timedelta(0)), whole)
    return Fraction(units) * Fraction(_microseconds(left), _microseconds(whole))


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def spread(units: int, weights: Sequence[int]) -> list[int]:
    """In proportion to the weights; what is left over goes to the largest remainders."""
    whole = sum(weights)
    if not whole:
        return [0 for _ in weights]
    exact = [Fraction(units * weight, whole) for weight in weights]
    parts = [floor(part) for part in exact]
    order = sorted(range(len(parts)), key=lambda at: exact[at] - parts[at], reverse=True)
    for at in order[: units - sum(parts)]:
        parts[at] += 1
    return parts
