"""
One database with every migration, of which each process of the tests has a copy.

Migrating takes ten seconds and copying less than one. It is kept for the next run, until a
migration changes; whatever it lacks, ``migrate`` still does in the copy.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.migrations.loader import MigrationLoader

TURNS = 7_193_001  # the number of the advisory lock


def be_copied() -> None:
    """Have the test database that is made next be a copy."""
    prefix = f"test_{connection.settings_dict['NAME']}_migrated_"
    name = prefix + _fingerprint()
    with _only_one() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        found = {row[0] for row in cursor.fetchall()}
        if name not in found:
            _make(f"{prefix}unfinished")
            cursor.execute(f'ALTER DATABASE "{prefix}unfinished" RENAME TO "{name}"')
        for old in found - {name, f"{prefix}unfinished"}:
            cursor.execute(f'DROP DATABASE "{old}"')
    connection.settings_dict["TEST"]["TEMPLATE"] = name


def _fingerprint() -> str:
    """Of every migration there is, those of packages too."""
    migrations = MigrationLoader(None).disk_migrations
    digest = hashlib.sha256()
    for key in sorted(migrations):
        digest.update(repr(key).encode())
        digest.update(inspect.getsource(inspect.getmodule(type(migrations[key]))).encode())
    return digest.hexdigest()[:12]


@contextmanager
def _only_one() -> Iterator[Any]:
    """Of the processes that begin at once the others wait; the lock ends with the connection."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [TURNS])
        yield cursor


def _make(name: str) -> None:
    settings = connection.settings_dict
    before = {"NAME": settings["NAME"], "TEST": settings["TEST"]}
    settings["TEST"] = {**settings["TEST"], "NAME": name}
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        connection.close()
        settings.update(before)
