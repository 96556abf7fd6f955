"""What is around the server: the command line, Django, and clear refusals."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DEADLINE, MODULE, PROJECT, Installation


class TestCommandLine:
    def test_status_says_whether_it_runs(self, server: Installation):
        running = server.command("status")
        server.stop()
        stopped = server.command("status")

        assert (running.returncode, running.stdout) == (0, "running\n")
        assert (stopped.returncode, stopped.stdout) == (3, "stopped\n")

    def test_url_and_bin_serve_another_program(self, server: Installation):
        url = server.command("url").stdout.strip()
        programs = server.command("bin").stdout.strip()
        psql = [f"{programs}/psql", url, "-Atc", "SELECT current_database(), current_user"]

        answer = subprocess.run(psql, check=False, capture_output=True, text=True)

        assert answer.stdout == "vbwd|postgres\n", answer.stderr

    def test_start_says_how_to_stop(self, server: Installation):
        server.stop()

        first, second = server.command("start"), server.command("start")

        assert first.stderr.endswith("To stop it: python -m config.embedded_postgres stop\n")
        assert (second.stdout, second.stderr) == ("", "")

    @pytest.mark.parametrize("call", [["-m", "config.embedded_postgres"], [str(MODULE)]])
    def test_needs_no_package(self, call: list[str]):
        # -S leaves site-packages out.
        command = [sys.executable, "-S", *call, "url"]

        answer = subprocess.run(
            command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=DEADLINE
        )

        assert answer.stdout.startswith("postgresql://postgres@/vbwd?host=%2F"), answer.stderr


class TestDjango:
    SETUP = """
import django
from django.conf import settings
settings.configure(DATABASES={"default": postgres.database_settings()})
django.setup()
from django.db import connection
"""
    PRELOAD = (
        "django.test django.core.management.commands.dbshell django.db.backends.postgresql.base"
    )

    def test_first_query_starts_the_server(self, server: Installation):
        server.stop()
        script = """
print(postgres.status(), connection.settings_dict["ENGINE"])
with connection.cursor() as cursor:
    cursor.execute("SELECT current_database()")
    print(*cursor.fetchone())
"""

        child = server.run(self.SETUP + script, self.PRELOAD)

        assert child.stdout == "stopped django.db.backends.postgresql\nvbwd\n", child.stderr

    def test_makes_test_databases(self, server: Installation):
        server.stop()
        script = """
connection.creation.create_test_db(verbosity=0, serialize=False)
with connection.cursor() as cursor:
    cursor.execute("SELECT current_database()")
    print(*cursor.fetchone())
connection.creation.destroy_test_db("vbwd", verbosity=0)
"""

        child = server.run(self.SETUP + script, self.PRELOAD)

        assert child.stdout == "test_vbwd\n", child.stderr

    def test_dbshell_reaches_a_running_server(self, server: Installation):
        script = """
from django.core.management import call_command
os.environ["PATH"] = str(postgres.bin_dir())
call_command("dbshell", "--", "-Atc", "SELECT current_database()")
"""

        child = server.run(self.SETUP + script, self.PRELOAD)

        assert child.stdout == "vbwd\n", child.stderr

    def test_settings_can_be_pickled_for_test_processes(self, new: Installation):
        script = "import pickle; print(len(pickle.dumps(postgres.database_settings())) > 0)"

        child = new.run(script, preload="pickle")

        assert child.stdout == "True\n", child.stderr

    def test_settings_with_database_url_never_import_the_module(self):
        script = """
import sys
import django
from django.conf import settings
django.setup()
print(settings.DATABASES["default"]["NAME"], "config.embedded_postgres" in sys.modules)
"""
        environment = {
            **os.environ,
            "DATABASE_URL": "postgres://someone:secret@db.example/theirs",
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
        }

        child = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

        assert child.stdout == "theirs False\n", child.stderr


class TestFolder:
    def test_is_in_the_project_or_outside_for_root(self, new: Installation):
        host = "print(postgres.database_settings()['HOST'])"

        default = new.run(host, EMBEDDED_POSTGRES_DIR="").stdout.strip()

        if new.uid == 0:
            parent, _, name = default.rpartition("/")
            assert Path(parent) == Path("/var/lib").resolve()
            assert name.startswith("vbwd-postgres-")
        else:
            assert default == str(PROJECT / ".postgres")


class TestRefusals:
    def refusal(self, installation: Installation, **environment: str) -> str:
        child = installation.command("start", **environment)
        assert child.returncode == 1, child.stderr
        assert "Traceback" not in child.stderr
        return child.stderr

    def test_too_long_a_path(self, new: Installation):
        too_long = f"{new.folder}x"

        said = self.refusal(new, EMBEDDED_POSTGRES_DIR=too_long)

        assert len(too_long) == 86
        assert "85 bytes" in said
        assert "EMBEDDED_POSTGRES_DIR" in said
        assert not Path(too_long).exists()

    def test_a_folder_with_other_files(self, new: Installation):
        new.folder.mkdir(mode=0o755)
        os.chown(new.folder, new.uid, new.gid)
        (new.folder / "letter.txt").touch()

        said = self.refusal(new)

        assert "already holds other files" in said
        assert new.folder.stat().st_mode & 0o777 == 0o755
        assert new.folder.stat().st_uid == new.uid

    def test_no_programs(self, new: Installation):
        said = self.refusal(new, EMBEDDED_POSTGRES_BIN="/tmp")

        assert "No PostgreSQL programs here (looked in /tmp)" in said
        assert "DATABASE_URL" in said

    def test_a_server_that_does_not_start(self, server: Installation):
        server.stop()

        said = self.refusal(server, EMBEDDED_POSTGRES_OPTIONS="no_such_setting=1")

        assert "PostgreSQL did not start" in said
        assert 'unrecognized configuration parameter "no_such_setting"' in said

    def test_options_without_a_value(self, server: Installation):
        server.stop()

        said = self.refusal(server, EMBEDDED_POSTGRES_OPTIONS="fsync=off fast")

        assert '"fast"' in said
        assert "key=value" in said

    @pytest.mark.skipif(os.geteuid() != 0, reason="run pytest as root: only root can be any user")
    def test_a_user_without_a_passwd_entry(self, new: Installation):
        taken = {user.pw_uid for user in pwd.getpwall()}
        new.uid = new.gid = next(uid for uid in range(54321, 65000) if uid not in taken)
        os.chown(new.folder.parent, new.uid, new.gid)

        said = self.refusal(new)

        assert "passwd entry" in said
        assert "DATABASE_URL" in said
