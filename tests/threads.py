"""Several callers at the same moment, each on a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection, connections, transaction

DEADLINE = 10  # seconds until a test gives up


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Return what ``call(0)``, ``call(1)``… return when all of them start together."""
    barrier = Barrier(count)

    def run(number: int) -> Any:
        try:
            with connections["default"].cursor() as cursor:
                # Who waits for ever for a lock is to fail.
                cursor.execute(f"SET lock_timeout = '{DEADLINE}s'")
            barrier.wait(timeout=DEADLINE)
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def overtaken(call: Callable[[], Any], *, by: Callable[[], Any]) -> Any:
    """
    Return what ``call`` returns when it has to wait for ``by``, which commits first.

    It fails if the call does not wait. If it waits only when it writes, it has decided by then
    what it does on the row as it was before, and its outcome shows that.
    """

    def run() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            by()
            outcome = pool.submit(run)
            deadline = time.monotonic() + DEADLINE
            while not _somebody_waits_for_us():
                assert not outcome.done(), "The call does not wait."
                assert time.monotonic() < deadline, "The call does not come to the row."
                time.sleep(0.01)
        return outcome.result(timeout=DEADLINE)


def _somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return cursor.fetchone()[0]
