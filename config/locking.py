"""The one way to lock a row. The order of locks is written down in docs/locking.md."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connection, models
from psycopg2.errors import DeadlockDetected, SerializationFailure

Given = ParamSpec("Given")
Result = TypeVar("Result")
WAITS = (0.02, 0.1, 0.3)  # seconds before each further try, at most

Row = TypeVar("Row", bound=models.Model)


class LockingQuerySet(models.QuerySet[Row]):
    """A QuerySet that can lock one row until the end of the transaction."""

    def lock(self, pk: Any) -> Row:
        """
        Read the row with this primary key and hold it; others who lock it wait.

        ``no_key=True`` (``FOR NO KEY UPDATE``): rows that refer to this one by foreign key can
        still be inserted meanwhile.

        :raises DoesNotExist: where there is no such row
        """
        return self.select_for_update(of=("self",), no_key=True).get(pk=pk)

    def lock_out(self, pk: Any) -> Row:
        """
        ``lock``, and nothing that refers to the row can be inserted meanwhile (``FOR UPDATE``).

        Whoever is about to insert such a row and must see what has become of this one holds it
        ``FOR KEY SHARE`` first, as the foreign key will at the commit anyway.

        :raises DoesNotExist: where there is no such row
        """
        return self.select_for_update(of=("self",)).get(pk=pk)


def is_conflict(failure: BaseException) -> bool:
    """Whether PostgreSQL sacrificed the transaction to another one: all of it is rolled back."""
    return isinstance(failure, OperationalError) and isinstance(
        failure.__cause__, DeadlockDetected | SerializationFailure
    )


def retried(transaction: Callable[Given, Result]) -> Callable[Given, Result]:
    """
    Run a function that is one whole transaction again where another one was preferred to it.

    Safe because nothing of it is left by then: it stands outside of ``atomic``, and inside of a
    transaction of somebody else's it does nothing, as only the outermost can begin anew.
    """

    @wraps(transaction)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for wait in () if connection.in_atomic_block else WAITS:
            try:
                return transaction(*args, **kwargs)
            except OperationalError as failure:
                if not is_conflict(failure):
                    raise
            time.sleep(random.uniform(0, wait))  # two that met once must not meet again
        return transaction(*args, **kwargs)

    return run
