"""Many rows written by one statement, of several tables too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


def update(*rows: models.Model, fields: Sequence[str]) -> None:
    """
    Write these fields of rows of one model in one statement, as they are in memory.

    What ``bulk_update`` does with a CASE of all rows for each field, as one join.
    """
    if not rows:
        return
    model = type(rows[0])
    own = [model._meta.get_field(name) for name in fields]
    key = model._meta.pk
    assert key is not None  # noqa: S101 - a model that is no table's has no rows
    written = [key, *own]
    prepares = [(field.attname, _prepare(field)) for field in written]
    values = [
        prepare(row.__dict__[name]) if prepare else row.__dict__[name]
        for row in rows
        for name, prepare in prepares
    ]
    # A VALUES list takes its types from its first row.
    first = ", ".join(f"%s::{field.rel_db_type(connection)}" for field in written)
    others = ", ".join(["%s"] * len(written))
    marks = ", ".join([f"({first})", *[f"({others})"] * (len(rows) - 1)])
    table = model._meta.db_table
    sets = ", ".join(f'"{field.column}" = new."{field.column}"' for field in own)
    names = ", ".join(f'"{field.column}"' for field in written)
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{table}" SET {sets} FROM (VALUES {marks}) new ({names}) '  # noqa: S608
            f'WHERE "{table}"."{key.column}" = new."{key.column}"',
            values,
        )


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
