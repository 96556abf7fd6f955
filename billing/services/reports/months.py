"""Months of the seller's calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

from dateutil.relativedelta import relativedelta

from billing.services.analytics import spans

_ONE = relativedelta(months=1)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """
    A month in ``BILLING_TIME_ZONE``, half open: the moment it ends belongs to the next one.

    :param first_on: its first day
    """

    first_on: date

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """The month that this moment belongs to."""
        return cls(spans.today(now=moment).replace(day=1))

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read ``"2026-03"``.

        :raises ValueError: if it is no month
        """
        return cls(date.fromisoformat(f"{text}-01"))

    @property
    def start(self) -> datetime:
        return spans.midnight(day=self.first_on)

    @property
    def end(self) -> datetime:
        return self.next.start

    @property
    def previous(self) -> Self:
        return type(self)(self.first_on - _ONE)

    @property
    def next(self) -> Self:
        return type(self)(self.first_on + _ONE)

    def is_over(self, now: datetime) -> bool:
        return now >= self.end

    def last_day(self, now: datetime) -> date:
        """Its last day, or today, if it is not over."""
        return min(self.next.first_on - relativedelta(days=1), spans.today(now=now))

    def __str__(self) -> str:
        return f"{self.first_on:%Y-%m}"


def every(*, first: Month, last: Month) -> list[Month]:
    """All from the first to the last."""
    found = [first]
    while found[-1] < last:
        found.append(found[-1].next)
    return found
