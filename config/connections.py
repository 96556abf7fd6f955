"""Whether a connection still leads to a server: asked seldom, and told by how a statement fails."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

import psycopg2
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections
from psycopg2.errors import InFailedSqlTransaction

ASK_AFTER = 10  # seconds
TRY_AFTER = 0.5  # seconds: between two attempts to reach a database that is not there yet
# When each connection of the driver was last asked; gone with the connection.
_asked: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def is_away(failure: BaseException | None) -> bool:
    """
    Whether it says nothing of the statement, and passes by itself.

    The line to the database broke or could not be had, a time-out ended a statement, or another
    transaction was preferred to it. Where the line breaks while an answer is read, the driver gives
    no more than its ``DatabaseError``: what the server itself refuses has a class of its own.

    Where BEGIN or COMMIT is cancelled, the driver takes the transaction for over, but the server
    does not: the next statement is told so. The connection is dropped after the request, as ever.
    """
    if isinstance(failure, OperationalError | InterfaceError):
        return True
    cause = failure.__cause__ if isinstance(failure, DatabaseError) else None
    if isinstance(cause, InFailedSqlTransaction):
        return True
    return type(failure) is DatabaseError and type(cause) is psycopg2.DatabaseError


def wait_until_there(*, seconds: float, tell: Callable[[str], None]) -> None:
    """
    Have a connection that works, for which a database that is just starting is waited for.

    :param tell: told once, where there is something to wait for
    :raises OperationalError: if it does not come within so many seconds
    """
    deadline = time.monotonic() + seconds
    is_told = False
    connection.close_if_unusable_or_obsolete()
    while True:
        try:
            with connection.cursor():  # asks one that was kept for an answer, too
                return
        except OperationalError as failure:
            if time.monotonic() >= deadline:
                raise
            if not is_told:
                tell(f"Waiting up to {seconds:g} seconds for the database: {failure}")
                is_told = True
        time.sleep(TRY_AFTER)


def spare_health_check(**_signal: Any) -> None:
    """
    Count the connections as checked that were asked a moment ago, and have nothing to say.

    A receiver of ``request_started``, after Django's own. Django asks each kept connection for an
    answer before a request uses it (CONN_HEALTH_CHECKS), which is a tenth of a checkout's time.
    But a server that goes, or ends a session, says so: there is something to read on a connection
    that waits for nothing, and to look for that costs a microsecond. What goes without a word, as
    behind a broken network, is found by asking, now and then.
    """
    now = time.monotonic()
    for wrapper in connections.all(initialized_only=True):
        own = wrapper.connection
        if own is None or own.closed:
            continue
        if now - _asked.get(own, -inf) < ASK_AFTER and not _is_spoken_to(own):
            wrapper.health_check_done = True
        else:
            _asked[own] = now


def _is_spoken_to(own: Any) -> bool:
    readable, _, _ = select.select([own], [], [], 0)
    return bool(readable)
