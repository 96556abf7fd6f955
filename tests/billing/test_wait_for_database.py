"""Commands that are started before their database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.db import connection

PROJECT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(tmp_path):
    """Start a command whose database is looked for in an empty folder."""
    started = []

    def run(*arguments, seconds):
        settings = connection.settings_dict
        where = urlencode({"host": tmp_path, "port": settings["PORT"] or 5432}, quote_via=quote)
        environment = os.environ | {
            "DATABASE_URL": f"postgresql://{settings['USER']}@/{settings['NAME']}?{where}",
            "DATABASE_START_TIMEOUT": str(seconds),
            "ENV_FILE": os.devnull,
        }
        child = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield run
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.fixture
def socket_of_the_database():
    folder = connection.settings_dict["HOST"]
    if not folder.startswith("/"):
        pytest.skip("A database on a unix socket is needed, which can come to another folder.")
    return Path(folder) / f".s.PGSQL.{connection.settings_dict['PORT'] or 5432}"


class TestWaitForDatabase:
    def test_gives_up_after_its_time_and_says_so(self, start):
        child = start("wait_for_database", seconds=0.2)

        _, said = child.communicate(timeout=60)
        assert child.returncode == 1
        assert "Waiting up to 0.2 seconds for the database: " in said
        assert "CommandError: The database did not answer within 0.2 seconds: " in said
        assert "Traceback" not in said

    def test_ends_well_when_the_database_comes(self, start, tmp_path, socket_of_the_database):
        child = start("wait_for_database", seconds=60)

        assert "Waiting up to 60 seconds" in child.stderr.readline()
        (tmp_path / socket_of_the_database.name).symlink_to(socket_of_the_database)
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said


class TestRunBilling:
    def test_that_goes_on_waits_for_its_database(self, start, tmp_path, socket_of_the_database):
        child = start("run_billing", "--every", "60", seconds=60)

        assert "Waiting up to 60 seconds" in child.stderr.readline()
        (tmp_path / socket_of_the_database.name).symlink_to(socket_of_the_database)
        for line in child.stdout:
            if line.startswith("Done in "):
                break
        assert child.poll() is None
        child.terminate()
        child.communicate(timeout=60)
        assert child.returncode == 0
