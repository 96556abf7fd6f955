"""Statements that each connection parses and plans once."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper

# What each connection of the driver has prepared; gone with the connection.
_known: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class Prepared:
    """
    A statement of a hot path, with its parameters as ``%(name)s``.

    The driver sends text, which the server parses and plans anew each time; for a look-up by ids
    that is several times the work of running it. SQL's own PREPARE spares it that. A pooler in
    transaction mode gives each transaction another connection, which knows nothing of it: behind
    one (DATABASE_POOLED) the text itself is sent.

    :param types: the SQL type of each parameter
    """

    def __init__(self, name: str, sql: str, **types: str) -> None:
        self.sql = sql
        self.name = name
        marks = {parameter: f"${place}" for place, parameter in enumerate(types, start=1)}
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {sql % marks}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({each})s' for each in types)})"

    def execute(self, cursor: CursorWrapper, **values: Any) -> None:
        if settings.DATABASE_POOLED:
            cursor.execute(self.sql, values)
            return
        names = _known.setdefault(connection.connection, set())
        if self.name not in names:
            # By the driver itself: it is part of the connection, not of what is asked now.
            with connection.wrap_database_errors, connection.connection.cursor() as own:
                own.execute(self._prepare)
            names.add(self.name)
        cursor.execute(self._execute, values)
