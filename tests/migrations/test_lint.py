from __future__ import annotations

import pytest
from django.db import connection, models

from accounts.models import User
from tests.migrations.lint import ALLOWED, APPS, PROJECT, errors_of


def added(field: models.Field) -> list[str]:
    """The statements with which Django adds a column to the accounts."""
    field.set_attributes_from_name("shoe_size")
    field.model = User
    with connection.schema_editor(collect_sql=True) as editor:
        editor.add_field(User, field)
    return [line for line in editor.collected_sql if not line.startswith("--")]


@pytest.mark.django_db
class TestErrorsOf:
    def test_finds_a_column_that_must_be_filled(self):
        field = models.IntegerField(null=False)

        assert errors_of(added(field)) == ["NOT_NULL"]

    def test_takes_a_column_that_may_be_empty(self):
        assert errors_of(added(models.IntegerField(null=True))) == []


def test_allows_only_what_is_there():
    names = {path.stem for app in APPS for path in (PROJECT / app / "migrations").glob("0*.py")}

    assert set(ALLOWED) <= names
