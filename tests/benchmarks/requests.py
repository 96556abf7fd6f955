"""One request in this process, to see what it asks of the database."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.benchmarks.generator import Call


def count_statements(method: str, call: Call) -> int:
    """Authentication, BEGIN and COMMIT included."""
    told: dict[str, Any] = {"headers": dict(call.headers)}
    if call.body:
        told |= {"data": call.body, "content_type": "application/json"}
    with CaptureQueriesContext(connection) as captured:
        answer = APIClient(HTTP_HOST="localhost").generic(
            method, call.path, told.pop("data", ""), **told
        )
    if answer.status_code != 200:
        raise RuntimeError(f"{method} {call.path}: {answer.status_code} {answer.content!r}")
    connection.close()
    return len(captured)
