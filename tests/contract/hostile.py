"""Values that somebody sends who means no good, or whose program is broken."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from django.db import connection

IS_FULL = int(os.environ.get("CONTRACT_EXAMPLES", "1")) > 1
FEW = 8

# Text as any text: where it is taken, it is stored as it is.
TEXTS = [
    "'; DROP TABLE billing_invoice; --",
    "{{ 7 * 7 }}{% debug %}${7*7}",
    '=HYPERLINK("http://example.com","x")',
    '#read("/etc/passwd") $x$ \\ @a <b>',
    "\u202eevil\u202c\u200b\u200d\ufeff",
    "<script>alert(1)</script>",
    "%s %d %(x)s {0} {x}",
    "../../../../etc/passwd",
    "👩‍👩‍👧‍👦" * 3,
    "e\u0301" * 10,
    " \t\r\n\u2028 ",
    "",
]
# Text that nothing can hold, or nothing should.
BAD_TEXTS = ["a\0b", "\0", "x" * 100_001]
NUMBERS = [
    "-1", "-0.01", "0", "NaN", "Infinity", "-Infinity", "1e400", "1e-400", "9" * 40, "-" + "9" * 40,
    "0." + "1" * 40, "1" * 5000, "9223372036854775808", "2147483648", "0x10", "1_000", "١٢٣", "1,5",
]  # fmt: skip
DATES = [
    "0000-00-00", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30",
    "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "2026-01-01T25:00:00Z", "-1",
]  # fmt: skip
IDS = ["5", "not-an-id", "00000000-0000-0000-0000-000000000000", "{" + "0" * 32 + "}"]
WRONG = [
    None, True, False, 0, -1, 1.5, 10**18, 10**30, -(10**18), 1e308, [], {}, [[]], [None], [{}],
    {"a": 1}, {"$ne": None}, {"__class__": "x"}, ["a\0b"], {"a\0b": 1}, {"": ""},
]  # fmt: skip


def chosen(values: list[Any], turn: int) -> list[Any]:
    """All in the full run; else a few, for each field others."""
    if IS_FULL or len(values) <= FEW:
        return values
    step = len(values) / FEW
    return [values[int(turn * 5 + n * step) % len(values)] for n in range(FEW)]


def everything_stored() -> list[tuple[Any, ...]]:
    """Each table with the number of its rows and a sum over their contents, in one statement."""
    parts = [
        f"SELECT '{table}', count(*), coalesce(sum(hashtext(t::text)::bigint), 0) "
        f'FROM "{table}" t'
        for table in _tables()
        # What notes that somebody failed, and who is signed in, is written on purpose.
        if not table.startswith(("axes_", "django_", "auth_", "accounts_session"))
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        return cursor.fetchall()


@cache
def _tables() -> list[str]:
    return sorted(connection.introspection.table_names())
