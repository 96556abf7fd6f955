"""Rows of several tables written by one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from typing import Any

from django.db import connection, models

Prepare = Callable[[Any], Any]


def insert(*rows: models.Model) -> None:
    """
    Insert rows of any models in one statement, all of them or none.

    What ``bulk_create`` does, for several models at once: one round trip, and a fraction of the
    ORM's work, because values go to the driver as they are. For new rows with an id of their own;
    the columns are all that the model has, so a new one needs no change here. Constraints and
    triggers see the rows of each table together, at the end of the statement.
    """
    parts: list[str] = []
    values: list[Any] = []
    for model, own in groupby(rows, key=type):
        columns, prepares = _columns(model)
        written = list(own)
        for row in written:
            state = row.__dict__
            values += [
                prepare(state[name]) if prepare else state[name] for name, prepare in prepares
            ]
        marks = f"({', '.join(['%s'] * len(prepares))})"
        parts.append(f"{columns} VALUES {', '.join([marks] * len(written))}")
    if not parts:
        return
    *others, last = parts
    together = ", ".join(f"part_{n} AS ({part})" for n, part in enumerate(others))
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {together} {last}" if others else last, values)
    _note_as_written(rows)


@cache
def _columns(model: type[models.Model]) -> tuple[str, tuple[tuple[str, Prepare | None], ...]]:
    fields = model._meta.concrete_fields
    names = ", ".join(f'"{field.column}"' for field in fields)
    prepares = tuple((field.attname, _prepare(field)) for field in fields)
    return f'INSERT INTO "{model._meta.db_table}" ({names})', prepares


def _prepare(field: models.Field) -> Prepare | None:
    """What the driver does not write by itself."""
    if isinstance(field, models.JSONField | models.BinaryField):
        return lambda value: field.get_db_prep_save(value, connection)
    return None


def _note_as_written(rows: Iterable[models.Model]) -> None:
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias
