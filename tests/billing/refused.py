"""Writes that the database is to refuse."""

from typing import Any

from django.db import connection


def again(table: str, row: str, changes: str) -> str:
    """The row once more, as ``new``, with what must differ changed."""
    return f"""
        CREATE TEMP TABLE again ON COMMIT DROP AS SELECT * FROM {table} WHERE id = %({row})s;
        UPDATE again SET id = %(new)s;
        {f"UPDATE again SET {changes};" if changes else ""}
        INSERT INTO {table} SELECT * FROM again;
    """


def write(statement: str, ids: dict[str, Any]) -> int:
    """Do it, and check at once what is otherwise checked at the commit."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {name: str(pk) for name, pk in ids.items()})
        changed = cursor.rowcount
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return changed
