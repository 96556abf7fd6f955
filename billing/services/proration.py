"""What the rest of a period is worth; see docs/adr/0011-proration.md. Pure: no query, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from billing.models.subscription import PeriodOfUse
from catalog.money import Money

BY_DAY = "day"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rest:
    """How much of a period is left, of how much."""

    left: timedelta
    whole: timedelta

    def up(self, money: Money) -> Money:
        """What the rest is worth of what the whole costs, as it is given back."""
        return money.share_rounded_up(self.left, self.whole)

    def down(self, money: Money) -> Money:
        """What the rest is worth of what the whole costs, as it is asked for."""
        return money.share(self.left, self.whole)


def rest_of(item: PeriodOfUse, *, at: datetime) -> Rest:
    """
    Return what is left at a moment of the period that is paid for; nothing where it never ends.

    To the microsecond, or in days of the seller, where the day of the moment still counts as left.
    """
    begins, ends = item.period_start, item.paid_end
    if begins is None or ends is None:
        return Rest(timedelta(0), DAY)
    if settings.BILLING_PRORATION == BY_DAY:
        begins, at, ends = (_midnight(moment) for moment in (begins, at, ends))
    whole = max(ends - begins, timedelta(microseconds=1))
    left = min(max(ends - at, timedelta(0)), whole)
    return Rest(left, whole)


def worth(item: PeriodOfUse, *, at: datetime) -> Money:
    """What is given back of what was paid for the current period."""
    return rest_of(item, at=at).up(Money(item.period_value, item.currency))


def days_left(item: PeriodOfUse, *, at: datetime) -> int | None:
    """Whole days left of what is paid for, begun ones counted; None where it never ends."""
    if item.paid_end is None:
        return None
    return max(0, math.ceil((item.paid_end - at) / DAY))


def _midnight(moment: datetime) -> datetime:
    """The seller's day as a moment that days can be counted from, whatever the clocks do."""
    local = moment.astimezone(ZoneInfo(settings.BILLING_TIME_ZONE))
    return datetime.combine(local.date(), datetime.min.time())
