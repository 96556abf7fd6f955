"""Invoice numbers: gapless within a series, without one checkout waiting for another."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from config.prepared import Prepared

# The first series of the day that nobody holds; held from here to the commit.
_TAKE = Prepared(
    "take_number",
    """
    UPDATE billing_invoiceseries SET last_number = last_number + 1
     WHERE id = (SELECT id FROM billing_invoiceseries WHERE day = %(day)s
                  ORDER BY series FOR UPDATE SKIP LOCKED LIMIT 1)
    RETURNING series, last_number
    """,
    day="date",
)
# All are held: open the next. Where another transaction is opening the same one, this waits for
# it and does nothing; then the search begins anew.
_OPEN = Prepared(
    "open_series",
    """
    INSERT INTO billing_invoiceseries (day, series, last_number)
    SELECT %(day)s, COALESCE(max(series), 0) + 1, 1 FROM billing_invoiceseries WHERE day = %(day)s
    ON CONFLICT (day, series) DO NOTHING
    RETURNING series, last_number
    """,
    day="date",
)


def take(*, now: datetime) -> str:
    """
    Take the next number of the day: ``INV-YYYYMMDD-SS-NNNNNN``.

    To be called last in a transaction: it holds the series to its end. Rolled back, the number
    is free again, so a series has neither gap nor duplicate (Directive 2006/112/EC, Art. 226(2)
    asks for "a sequential number, based on one or more series").
    """
    day = now.astimezone(ZoneInfo(settings.BILLING_TIME_ZONE)).date()
    with connection.cursor() as cursor:
        while True:
            for statement in (_TAKE, _OPEN):
                statement.execute(cursor, day=day)
                if taken := cursor.fetchone():
                    return _number(day, *taken)


def _number(day: date, series: int, number: int) -> str:
    return f"INV-{day:%Y%m%d}-{series:02}-{number:06}"
