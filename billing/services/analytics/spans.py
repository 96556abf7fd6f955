"""Spans of time: what is looked at, what it is compared with, and its days, weeks and months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from django.conf import settings

_DAYS_BY_DAY = 366  # a plot of more points than that is read by the month
_DAYS_OF_BARS = 92


class Step(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_LENGTHS = {
    Step.DAY: relativedelta(days=1),
    Step.WEEK: relativedelta(weeks=1),
    Step.MONTH: relativedelta(months=1),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A day, week or month of a span, as much of it as belongs to the span: half open."""

    first_on: date
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """
    From ``start`` to ``end``, half open; from ``before`` to ``start`` is what it is compared with.

    :param end: at the latest ``now``
    """

    before: datetime
    start: datetime
    end: datetime
    now: datetime

    def months(self) -> list[Part]:
        """The whole months that the span touches; the one that has not ended yet, up to now."""
        first = _begin(self.start.astimezone(zone()).date(), Step.MONTH)
        last = _begin(_last_day(self), Step.MONTH)
        return [
            Part(day, _midnight(day), min(_midnight(day + _LENGTHS[Step.MONTH]), self.now))
            for day in _every(Step.MONTH, first, last)
        ]

    def parts(self, step: Step) -> list[Part]:
        """Its days, weeks (from Monday) or months; the first and the last may be cut."""
        first = _begin(self.start.astimezone(zone()).date(), step)
        return [
            Part(
                day,
                max(_midnight(day), self.start),
                min(_midnight(day + _LENGTHS[step]), self.end),
            )
            for day in _every(step, first, _last_day(self))
        ]

    @property
    def tomorrow(self) -> date:
        """The day after its last one."""
        return _last_day(self) + timedelta(days=1)

    @property
    def step_of_lines(self) -> Step:
        """By day for up to a year, then by month."""
        return Step.DAY if self._days <= _DAYS_BY_DAY else Step.MONTH

    @property
    def step_of_bars(self) -> Step:
        """By day for a quarter, by week for a year, then by month."""
        if self._days <= _DAYS_OF_BARS:
            return Step.DAY
        return Step.WEEK if self._days <= _DAYS_BY_DAY else Step.MONTH

    @property
    def _days(self) -> int:
        return (_last_day(self) - self.start.astimezone(zone()).date()).days + 1


def zone() -> ZoneInfo:
    """The seller's: it says what day and month a moment belongs to."""
    return ZoneInfo(settings.BILLING_TIME_ZONE)


def today(*, now: datetime) -> date:
    return now.astimezone(zone()).date()


def midnight(*, day: date) -> datetime:
    """The moment when the day begins for the seller."""
    return _midnight(day)


def last_days(*, days: int, now: datetime) -> Span:
    """Today and the days before it, so many in all; against as many before."""
    first = today(now=now) - timedelta(days=days - 1)
    return Span(_midnight(first - timedelta(days=days)), _midnight(first), now, now)


def last_months(*, months: int, now: datetime) -> Span:
    """This month and those before it, so many in all; against as many before."""
    first = _begin(today(now=now), Step.MONTH) - relativedelta(months=months - 1)
    return Span(_midnight(first - relativedelta(months=months)), _midnight(first), now, now)


def between(*, first: date, last: date, now: datetime) -> Span:
    """From the first day to the last, both in full; against as many days before."""
    days = (last - first) + timedelta(days=1)
    end = min(_midnight(last + timedelta(days=1)), now)
    return Span(_midnight(first - days), _midnight(first), end, now)


def rolling(*, days: int, now: datetime) -> Span:
    """So many times 24 hours up to now; against as many before."""
    length = timedelta(days=days)
    return Span(now - 2 * length, now - length, now, now)


def month(*, first_on: date, now: datetime) -> Part:
    """One month; of the one that has not ended yet, what there is of it."""
    end = min(_midnight(first_on + _LENGTHS[Step.MONTH]), now)
    return Part(first_on, _midnight(first_on), end)


def _last_day(span: Span) -> date:
    """Its first, where it begins at this very moment."""
    last = max(span.start, span.end - timedelta(microseconds=1))
    return last.astimezone(zone()).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone())


def _begin(day: date, step: Step) -> date:
    match step:
        case Step.WEEK:
            return day - timedelta(days=day.weekday())
        case Step.MONTH:
            return day.replace(day=1)
    return day


def _every(step: Step, first: date, last: date) -> list[date]:
    found = []
    while first <= last:
        found.append(first)
        first += _LENGTHS[step]
    return found
