"""How many, and how much; and what must add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from catalog.money import Money


@dataclass(frozen=True, slots=True)
class Figure:
    """So many rows, and what they come to."""

    count: int
    amount: Money

    @classmethod
    def of(cls, count: int | None, amount: Decimal | None, currency: str) -> Figure:
        """What SQL answers: a sum of no rows is NULL there."""
        return cls(count or 0, Money(amount or Decimal(0), currency))

    @classmethod
    def zero(cls, currency: str) -> Figure:
        return cls(0, Money.zero(currency))

    @classmethod
    def sum(cls, parts: Iterable[Figure], currency: str) -> Figure:
        total = cls.zero(currency)
        for part in parts:
            total += part
        return total

    def __add__(self, other: Figure) -> Figure:
        return Figure(self.count + other.count, self.amount + other.amount)

    def __sub__(self, other: Figure) -> Figure:
        return Figure(self.count - other.count, self.amount - other.amount)

    def __bool__(self) -> bool:
        return bool(self.count or self.amount.amount)


class Entry(StrEnum):
    """What a balance moves by."""

    INVOICED = "invoiced"
    CANCELLED = "cancelled"
    PAID = "paid"
    FREE = "free"
    PAID_FOR_LATER = "paid_for_later"
    PAID_BEFORE = "paid_before"
    RECEIVED = "received"
    SENT_BACK = "sent_back"

    @property
    def is_added(self) -> bool:
        return self in (Entry.INVOICED, Entry.PAID_FOR_LATER, Entry.RECEIVED)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """
    A balance at the start of a month, what it moved by, and at its end.

    The two balances are read from the state of each row at that moment, the entries from what
    happened in between: that they add up is found out, and not assumed.
    """

    opening: Figure
    entries: dict[Entry, Figure]
    closing: Figure

    @property
    def difference(self) -> Figure:
        """What the closing balance has too much. Anything but zero: rows contradict each other."""
        expected = self.opening
        for entry, figure in self.entries.items():
            expected = expected + figure if entry.is_added else expected - figure
        return self.closing - expected
