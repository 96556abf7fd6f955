"""Many rows written by one statement, of several tables too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from hashlib import md5
from itertools import groupby
from typing import Any

import orjson
from django.db import connection, models

from config.prepared import Prepared

Prepare = Callable[[Any], Any]


def insert(*rows: models.Model) -> None:
    """
    Insert rows of any models in one statement, all of them or none.

    What ``bulk_create`` does, for several models at once: one round trip, planned once per
    connection for any number of rows, and a fraction of the ORM's work, because the rows of a
    table go to the driver as one JSON text. For new rows with an id of their own; the columns are
    all that the model has, so a new one needs no change here. Constraints and triggers see the
    rows of each table together, at the end of the statement.
    """
    tables = [(model, list(own)) for model, own in groupby(rows, key=type)]
    if not tables:
        return
    statement = _insert(tuple(model for model, _own in tables))
    values = {f"rows_{n}": _as_json(model, own) for n, (model, own) in enumerate(tables)}
    with connection.cursor() as cursor:
        statement.execute(cursor, **values)
    _note_as_written(rows)


def insert_new(row: models.Model, *, unless: str) -> bool:
    """
    Insert a row, or nothing where one with the same values stands already.

    One statement, and no savepoint: what is there already is no error that would end the
    transaction. Whoever inserts the same at the same moment is waited for. Every other constraint
    is an error as ever.

    :param unless: the unique constraint of the model's that may stand in the way
    :return: whether it was inserted
    """
    statement = _insert((type(row),), unless)
    with connection.cursor() as cursor:
        statement.execute(cursor, rows_0=_as_json(type(row), [row]))
        is_new = cursor.rowcount == 1
    if is_new:
        _note_as_written([row])
    return is_new


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
def _insert(tables: tuple[type[models.Model], ...], unless: str = "") -> Prepared:
    parts = []
    for n, model in enumerate(tables):
        table = f'"{model._meta.db_table}"'
        columns = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)
        parts.append(
            f"INSERT INTO {table} ({columns}) SELECT {columns}"  # noqa: S608 - names of ours
            f" FROM jsonb_populate_recordset(NULL::{table}, %(rows_{n})s::jsonb)"
        )
    *others, last = parts
    together = ", ".join(f"part_{n} AS ({part})" for n, part in enumerate(others))
    if unless:
        last = f'{last} ON CONFLICT ON CONSTRAINT "{unless}" DO NOTHING'
    names = " ".join([*(model._meta.db_table for model in tables), unless]).strip()
    return Prepared(
        f"insert_{md5(names.encode(), usedforsecurity=False).hexdigest()}",
        f"WITH {together} {last}" if others else last,
        **{f"rows_{n}": "jsonb" for n in range(len(tables))},
    )


def _as_json(model: type[models.Model], rows: Sequence[models.Model]) -> str:
    columns = _columns(model)
    written = [{column: row.__dict__[name] for name, column in columns} for row in rows]
    return orjson.dumps(written, default=_text).decode()


@cache
def _columns(model: type[models.Model]) -> tuple[tuple[str, str], ...]:
    """Attribute and column of each field."""
    return tuple((field.attname, field.column) for field in model._meta.concrete_fields)


def _text(value: Any) -> str:
    """What PostgreSQL reads, of a value that JSON has no form for."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return f"\\x{bytes(value).hex()}"
    raise TypeError(f"{type(value).__name__} cannot be written.")


def _prepare(field: models.Field) -> Prepare | None:
    """What the driver does not write by itself."""
    if isinstance(field, models.JSONField | models.BinaryField):
        return lambda value: field.get_db_prep_save(value, connection)
    return None


def _note_as_written(rows: Iterable[models.Model]) -> None:
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias
