"""Which rows a call locks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

_LOCK = re.compile(r'FROM "(\w+)" .* FOR NO KEY UPDATE')


def locked_by(call: Callable[[], Any]) -> list[str]:
    """The tables whose rows it locks, in the order in which it does."""
    with CaptureQueriesContext(connection) as statements:
        call()
    found = (_LOCK.search(query["sql"]) for query in statements)
    return [lock[1] for lock in found if lock]
