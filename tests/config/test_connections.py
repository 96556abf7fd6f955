"""Kept connections are asked whether they still lead to a server, but not for each request."""

from __future__ import annotations

import psycopg2
import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
)
from psycopg2.errors import InFailedSqlTransaction

from config import connections

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """A connection that was checked just now, and a request begins."""
    monkeypatch.setattr(connection, "health_check_enabled", True)
    connection.ensure_connection()
    connections.spare_health_check()
    connection.health_check_done = False
    yield
    connection.close()


def end_session():
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid]
        )
    other.close()


def is_asked():
    connections.spare_health_check()
    return not connection.health_check_done


class TestSpareHealthCheck:
    def test_what_was_asked_a_moment_ago_is_not_asked_again(self):
        assert not is_asked()

    def test_what_was_not_asked_for_a_while_is(self, monkeypatch):
        monkeypatch.setattr(connections, "ASK_AFTER", 0)

        assert is_asked()

    def test_a_new_one_is_asked_before_it_is_used_again(self):
        connection.close()
        connection.ensure_connection()
        connection.health_check_done = False

        assert is_asked()

    def test_one_that_the_server_has_ended_is_asked_and_replaced(self):
        before = connection.connection
        end_session()

        assert is_asked()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
        assert connection.connection is not before


def failure(kind, *, of=None):
    """As Django raises it, from what the driver raised."""
    found = kind("server closed the connection unexpectedly")
    found.__cause__ = of and of("server closed the connection unexpectedly")
    return found


class TestIsAway:
    @pytest.mark.parametrize(
        "said",
        [
            failure(OperationalError, of=psycopg2.OperationalError),
            failure(InterfaceError, of=psycopg2.InterfaceError),
            failure(OperationalError),
            # What libpq says without a word of the server's.
            failure(DatabaseError, of=psycopg2.DatabaseError),
            # What the driver took for over, and the server did not.
            failure(InternalError, of=InFailedSqlTransaction),
        ],
        ids=repr,
    )
    def test_where_the_line_broke(self, said):
        assert connections.is_away(said)

    @pytest.mark.parametrize(
        "said",
        [
            failure(IntegrityError, of=psycopg2.IntegrityError),
            failure(ProgrammingError, of=psycopg2.ProgrammingError),
            failure(DatabaseError),  # Django's own: a row that save() did not find
            ValueError("no"),
            None,
        ],
        ids=repr,
    )
    def test_not_where_the_statement_was_refused(self, said):
        assert not connections.is_away(said)
