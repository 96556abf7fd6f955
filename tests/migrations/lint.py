"""
Look for what blocks writes, or what the version before cannot live with, in each migration.

    python -m tests.migrations.lint
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import django

PROJECT = Path(__file__).resolve().parent.parent.parent
APPS = ["accounts", "catalog", "billing"]
# What had landed before this check, and why it may stay: landed migrations are never edited.
ALLOWED = {
    "0003_language": "its default fills the rows that are there, without a rewrite",
    "0002_initial": "makes the tables that it constrains: there is nothing in them to lock",
    "0004_moments_of_refund_and_cancellation": "its defaults fill the rows that are there",
    "0007_recurring": "locks its tables while it builds indexes: migrate to it when nobody buys",
}


def errors_of(statements: Iterable[str]) -> list[str]:
    """Codes of what is wrong with these statements on a table that is in use."""
    from django_migration_linter.sql_analyser import analyse_sql_statements
    from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

    found, _ignored, _warnings = analyse_sql_statements(PostgresqlAnalyser, list(statements))
    return [issue.code for issue in found]


def main() -> int:
    from django_migration_linter import MigrationLinter

    logging.disable(logging.INFO)
    linter = MigrationLinter(
        str(PROJECT), include_apps=APPS, ignore_name=list(ALLOWED), no_cache=True
    )
    linter.lint_all_migrations()
    linter.print_summary()
    return 1 if linter.has_errors else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    sys.exit(main())
