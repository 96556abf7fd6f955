"""How long the database may take: for who answers requests, and for commands."""

from __future__ import annotations

import json

import pytest
from django.db import connection

SHOWN = """
import json, django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute(
        "SELECT name, setting::int / 1000.0 FROM pg_settings WHERE name IN"
        " ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout')"
    )
    found = {name: float(seconds) for name, seconds in cursor.fetchall()}
found["connect"] = connection.get_connection_params()["connect_timeout"]
print(json.dumps(found))
"""
NAMES = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def shown(python, db):
    """What a process with this environment has been told by the database."""
    address = connection.settings_dict
    url = f"postgres://{address['USER']}@/{address['NAME']}?host={address['HOST']}"

    def ask(**environment: str) -> dict[str, float]:
        done = python(
            ["-c", SHOWN],
            {
                "DJANGO_SETTINGS_MODULE": "config.settings.development",
                "DATABASE_URL": url,
                **environment,
            },
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return ask


class TestTimeouts:
    def test_hold_where_requests_are_answered(self, shown):
        found = shown(WEB_SERVER="true")

        assert [found[name] for name in NAMES] == [10, 25, 60]

    def test_do_not_hold_for_commands(self, shown):
        found = shown()

        assert [found[name] for name in NAMES] == [0, 0, 0]

    def test_can_be_set(self, shown):
        found = shown(
            DATABASE_LOCK_TIMEOUT="1.5", DATABASE_STATEMENT_TIMEOUT="3", DATABASE_IDLE_TIMEOUT="5"
        )

        assert [found[name] for name in NAMES] == [1.5, 3, 5]

    def test_no_connection_is_waited_for_without_end(self, shown):
        assert 0 < shown()["connect"] <= 10
