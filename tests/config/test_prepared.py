"""Statements that each connection parses and plans once."""

from __future__ import annotations

import pytest
from django.db import DataError, OperationalError, connection, transaction

from config.prepared import Prepared

pytestmark = pytest.mark.django_db(transaction=True)

TWICE = Prepared("twice", "SELECT %(number)s * 2, %(text)s || '%%'", number="bigint", text="text")


def twice(number, text="a"):
    with connection.cursor() as cursor:
        TWICE.execute(cursor, number=number, text=text)
        return cursor.fetchone()


def prepared():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements WHERE name = 'twice'")
        return cursor.fetchall()


@pytest.fixture(autouse=True)
def _new_connection():
    connection.close()
    yield
    connection.close()


class TestPrepared:
    def test_gives_what_the_text_gives(self, settings):
        own = twice(21, "it's 100 %")
        settings.DATABASE_POOLED = True

        assert own == twice(21, "it's 100 %") == (42, "it's 100 %%")

    def test_is_prepared_once(self):
        twice(1)
        twice(2)

        assert prepared() == [("twice",)]

    def test_is_prepared_again_on_a_new_connection(self):
        twice(1)
        connection.close()

        assert prepared() == []
        assert twice(3) == (6, "a%")

    def test_outlives_a_rollback(self):
        with pytest.raises(DataError), transaction.atomic():
            twice(2**62)

        assert twice(4) == (8, "a%")

    def test_fails_as_any_statement_where_the_line_is_broken(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            other = connection.copy()
            with other.cursor() as ending:
                pid = connection.connection.info.backend_pid
                ending.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            other.close()

            with pytest.raises(OperationalError):
                TWICE.execute(cursor, number=1, text="a")

    def test_is_not_used_behind_a_pooler(self, settings):
        settings.DATABASE_POOLED = True

        assert twice(5) == (10, "a%")
        assert prepared() == []

    def test_is_planned_for_any_values(self):
        with connection.cursor() as cursor:
            cursor.execute("SHOW plan_cache_mode")

            assert cursor.fetchone() == ("force_generic_plan",)
