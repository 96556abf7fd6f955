"""Where in the whole database a text stands."""

from __future__ import annotations

from django.db import connection

_COLUMNS = """
    SELECT c.table_name, c.column_name, c.data_type
      FROM information_schema.columns c
      JOIN information_schema.tables t USING (table_schema, table_name)
     WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
       AND c.data_type IN ('character varying', 'character', 'text', 'json', 'jsonb', 'bytea',
                           'ARRAY', 'USER-DEFINED', 'inet')
     ORDER BY 1, 2
"""


def columns_with(*texts: str) -> set[str]:
    """Every ``table.column`` of any table that has one of the texts in it, in any case."""
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS)
        return {
            f"{table}.{column}"
            for table, column, kind in cursor.fetchall()
            if _has(cursor, table, column, kind, texts)
        }


def _has(cursor, table: str, column: str, kind: str, texts: tuple[str, ...]) -> bool:
    # What is bytes is read as if it were Latin-1: the texts looked for are ASCII.
    value = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
    cursor.execute(
        f'SELECT EXISTS (SELECT FROM "{table}" WHERE {value} ILIKE ANY (%s))',
        [[f"%{text}%" for text in texts]],
    )
    return cursor.fetchone()[0]
