"""Calendar periods, always counted from their anchor; see docs/billing-rules.md."""

from __future__ import annotations

from datetime import datetime, timedelta

from dateutil.relativedelta import relativedelta

from catalog.models import BillingPeriod

_LENGTHS = {
    BillingPeriod.WEEKLY: relativedelta(weeks=1),
    BillingPeriod.MONTHLY: relativedelta(months=1),
    BillingPeriod.QUARTERLY: relativedelta(months=3),
    BillingPeriod.YEARLY: relativedelta(years=1),
}
_LONGEST = {
    BillingPeriod.WEEKLY: timedelta(days=7),
    BillingPeriod.MONTHLY: timedelta(days=31),
    BillingPeriod.QUARTERLY: timedelta(days=92),
    BillingPeriod.YEARLY: timedelta(days=366),
}


def end(*, anchor: datetime, billing_period: str, count: int = 1) -> datetime | None:
    """
    The moment when ``count`` periods from the anchor are over; None for ``one_time``.

    Counted from the anchor and not from the period before, so that monthly from 31 January gives
    28 (29) February and then 31 March. A day that a month has not is that month's last.
    """
    if billing_period == BillingPeriod.ONE_TIME:
        return None
    return anchor + _LENGTHS[BillingPeriod(billing_period)] * count


def next_end(*, anchor: datetime, billing_period: str, after: datetime) -> datetime:
    """
    The first end of a period that lies after a moment, of those counted from the anchor.

    :param billing_period: any but ``one_time``, which never ends
    """
    length = _LENGTHS[BillingPeriod(billing_period)]
    # As many as surely fit, then one by one: a calendar period has no fixed length.
    count = max(0, (after - anchor) // _LONGEST[BillingPeriod(billing_period)])
    while (ends := anchor + length * count) <= after or count == 0:
        count += 1
    return ends
