"""All checks, over one snapshot of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from billing.services.books import (
    catalogue,
    changes,
    coupons,
    credit,
    events,
    invoices,
    payments,
    periods,
    subscriptions,
    tokens,
)
from billing.services.books.check import Check, Result
from catalog.money import known_currencies, places

CHECKS: tuple[Check, ...] = (
    *catalogue.CHECKS,
    *invoices.CHECKS,
    *payments.CHECKS,
    *subscriptions.CHECKS,
    *tokens.CHECKS,
    *periods.CHECKS,
    *changes.CHECKS,
    *credit.CHECKS,
    *coupons.CHECKS,
    *events.CHECKS,
)
# Called before each check and once at the end: how many are done, of how many, and the next one.
Progress = Callable[[int, int, str], None]

_COUNT = "SELECT count(*), count(*) FILTER (WHERE holds IS NOT TRUE) FROM ({rows}) AS checked"
# A statement of its own, for broken rules only: an aggregate would hold every id in memory.
_EXAMPLES = "SELECT id FROM ({rows}) AS checked WHERE holds IS NOT TRUE ORDER BY id LIMIT 5"
# It runs beside live traffic: one snapshot, so that a checkout that commits meanwhile is seen
# whole or not at all, and nothing can be written. The joins are of whole tables: more memory to
# sort and hash them in, no limit of time, and no compiling for statements that run once. No nested
# loops, which is what a table with no statistics yet would get. One core only: the others are the
# traffic's, and each worker would build the same hash tables again.
_SNAPSHOT = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL work_mem = '64MB';
    SET LOCAL statement_timeout = 0;
    SET LOCAL jit = off;
    SET LOCAL enable_nestloop = off;
    SET LOCAL max_parallel_workers_per_gather = 0;
"""


def verify(*, progress: Progress | None = None) -> list[Result]:
    """
    Recompute every rule over the whole database, and change nothing.

    All of it in one read-only snapshot of its own. Called inside a transaction, it sees what that
    one sees: its isolation can no longer be chosen.
    """
    results = []
    with _snapshot(), connection.cursor() as cursor:
        parameters = _parameters()
        for done, check in enumerate(CHECKS):
            if progress:
                progress(done, len(CHECKS), check.what)
            results.append(_result(cursor, check, parameters))
    if progress:
        progress(len(CHECKS), len(CHECKS), "")
    return results


@contextmanager
def _snapshot() -> Iterator[None]:
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SNAPSHOT)
        yield


def _result(cursor: CursorWrapper, check: Check, parameters: dict[str, Any]) -> Result:
    cursor.execute(_COUNT.format(rows=check.rows), parameters)
    rows, violations = cursor.fetchone()
    examples: tuple[str, ...] = ()
    if violations:
        cursor.execute(_EXAMPLES.format(rows=check.rows), parameters)
        examples = tuple(str(pk) for (pk,) in cursor.fetchall())
    return Result(check.name, check.what, rows, violations, examples)


def _parameters() -> dict[str, Any]:
    known = sorted(known_currencies())
    return {"currencies": known, "places": [places(currency) for currency in known]}
