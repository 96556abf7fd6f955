"""Starting: together, for the first time, and after something was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest

from .conftest import DEADLINE, Installation, until

START = "postgres.ensure_running()"


class TestFirstStart:
    def test_gives_six_at_once_one_server(self, new: Installation):
        starters = [new.spawn(f"{START}; print(postgres.status())") for _ in range(6)]

        outputs = [starter.communicate(timeout=DEADLINE) for starter in starters]

        assert [stdout for stdout, _ in outputs] == ["running\n"] * 6, outputs
        assert new.log.count("starting PostgreSQL") == 1
        assert not list(new.folder.glob("new-*"))

    @pytest.mark.parametrize("killed", ["starter", "starter and initdb"])
    def test_recovers_from_a_kill_during_initdb(self, new: Installation, killed: str):
        starter = new.spawn(START)
        half_done = f"new-{starter.pid}"
        until((new.folder / half_done / "PG_VERSION").exists)
        if killed == "starter":
            starter.kill()
        else:
            os.killpg(starter.pid, signal.SIGKILL)
        starter.communicate(timeout=DEADLINE)
        left = [path.name for path in new.folder.iterdir() if path.name in ("data", half_done)]

        new.start()

        assert left == [half_done]
        if killed == "starter and initdb":  # an initdb that lives on may write again for a moment
            assert not (new.folder / half_done).exists()
        assert new.query("SELECT current_database()") == "vbwd"
        assert new.log.count("starting PostgreSQL") == 1


class TestStart:
    @pytest.fixture
    def slow_programs(self, server: Installation) -> Iterator[Path]:
        """Programs whose pg_ctl says that it was called, then waits for a file "go"."""
        real = Path(server.run("print(postgres._server_programs())").stdout.strip())
        folder = server.folder.parent / "slow"
        folder.mkdir()
        folder.chmod(0o777)
        for program in real.iterdir():
            (folder / program.name).symlink_to(program)
        (folder / "pg_ctl").unlink()
        (folder / "pg_ctl").write_text(
            f"#!/bin/sh\ntouch '{folder}'/called-$$\n"
            f"until [ -e '{folder}/go' ]; do sleep 0.02; done\n"
            f"exec '{real}/pg_ctl' \"$@\"\n"
        )
        (folder / "pg_ctl").chmod(0o755)
        yield folder
        (folder / "go").touch()
        folder.rename(folder.with_name(f"slow-{server.server_pid}"))

    def test_of_two_pg_ctl_has_one_server(self, server: Installation, slow_programs: Path):
        # A starter is killed and its pg_ctl lives on; the next starter calls pg_ctl too.
        server.stop()
        servers = server.log.count("starting PostgreSQL")
        ready = server.log.count("ready to accept connections")
        first = server.spawn(START, EMBEDDED_POSTGRES_BIN=str(slow_programs))
        until(lambda: len(list(slow_programs.glob("called-*"))) == 1)
        first.kill()
        second = server.spawn(START, EMBEDDED_POSTGRES_BIN=str(slow_programs))
        until(lambda: len(list(slow_programs.glob("called-*"))) == 2)

        (slow_programs / "go").touch()
        _, stderr = second.communicate(timeout=DEADLINE)
        first.communicate(timeout=DEADLINE)

        assert second.returncode == 0, stderr
        assert server.query("SELECT 1") == 1
        assert server.log.count("ready to accept connections") == ready + 1
        assert servers + 1 <= server.log.count("starting PostgreSQL") <= servers + 2

    def test_waits_for_a_server_that_listens_but_is_not_ready(self, server: Installation):
        lock = server.folder / "data" / "postmaster.pid"
        ready = lock.read_text()
        with lock.open("r+") as unready:  # as PostgreSQL has it during a recovery
            unready.write(ready.replace("ready   ", "starting"))

        shown = server.command("status").stdout
        starter = server.spawn(f"print('waits', flush=True); {START}")
        starter.stdout.readline()
        waits = starter.poll() is None
        with lock.open("r+") as unready:
            unready.write(ready)
        _, stderr = starter.communicate(timeout=DEADLINE)

        assert shown == "starting\n"
        assert waits
        assert (starter.returncode, stderr) == (0, "")

    def test_keeps_the_data_of_a_stopped_server(self, server: Installation):
        server.query("CREATE TABLE kept_by_stop AS SELECT 41 AS number")
        server.stop()

        server.start()

        assert server.query("SELECT number FROM kept_by_stop") == 41

    def test_keeps_the_data_of_a_killed_server(self, server: Installation):
        server.query("CREATE TABLE kept_by_kill AS SELECT 42 AS number")
        os.kill(server.server_pid, signal.SIGKILL)

        server.start()

        assert server.query("SELECT number FROM kept_by_kill") == 42

    def test_waits_for_the_last_process_of_a_killed_server(self, server: Installation):
        with server.connect() as connection:
            backend = connection.info.backend_pid
            os.kill(backend, signal.SIGSTOP)  # as if busy: it does not see the server die
            os.kill(server.server_pid, signal.SIGKILL)
            logged = len(server.log)

            starter = server.spawn(START)
            until(lambda: "is still in use" in server.log[logged:])
            os.kill(backend, signal.SIGCONT)
            _, stderr = starter.communicate(timeout=DEADLINE)

        assert starter.returncode == 0, stderr
        assert server.query("SELECT 1") == 1

    @pytest.mark.skipif(sys.platform != "linux", reason="run on Linux: zombies stay only there")
    def test_is_not_barred_by_a_zombie(self, server: Installation):
        server.stop()
        adopting = f"ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); {START}; print(flush=True)"
        starter = server.spawn(f"import ctypes; {adopting}; sys.stdin.read()", preload="ctypes")
        starter.stdout.readline()
        killed = server.server_pid
        os.kill(killed, signal.SIGKILL)
        until(lambda: ") Z " in Path(f"/proc/{killed}/stat").read_text())

        server.start()

        assert Path(f"/proc/{killed}").exists()
        assert server.query("SELECT 1") == 1
        starter.communicate(timeout=DEADLINE)

    def test_is_not_barred_by_another_program_with_the_number(self, server: Installation):
        locks = [server.folder / "data/postmaster.pid", server.folder / ".s.PGSQL.5432.lock"]
        number, owner = str(server.server_pid), server.server_user
        os.kill(int(number), signal.SIGKILL)
        identity = {"user": owner.pw_uid, "group": owner.pw_gid} if os.geteuid() == 0 else {}
        with subprocess.Popen(["sleep", "60"], **identity) as other:
            for lock in locks:
                content = lock.read_text()
                lock.write_text(content.replace(number, str(other.pid), 1))

            server.stop()
            stopped = other.poll()
            server.start()
            started = other.poll()
            other.kill()

        assert (stopped, started) == (None, None)
        assert server.query("SELECT 1") == 1

    def test_needs_nothing_of_the_callers_environment(self, server: Installation):
        server.stop()
        bad = server.folder.parent / "bad"
        bad.mkdir(exist_ok=True)
        for library in ("libz.so.1", "libm.so.6", "libz.1.dylib"):
            (bad / library).write_text("not a library")
        leaking = {"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "x", "LD_LIBRARY_PATH": str(bad)}
        # Set in the child, whose own interpreter would not start with such libraries.
        child = server.run(f"os.environ.update({leaking!r}); {START}")

        assert child.returncode == 0, child.stderr
        assert server.query("SHOW port") == "5432"
        if sys.platform == "linux":
            environ = Path(f"/proc/{server.server_pid}/environ").read_text().split("\0")
            assert not {f"{name}={value}" for name, value in leaking.items()} & set(environ)


class TestConnection:
    CONNECT = "connection = psycopg2.connect(**settings); print(connection.closed)"
    SETTINGS = """
import psycopg2
chosen = postgres.database_settings()
settings = {
    "dbname": chosen["NAME"], "user": chosen["USER"], "host": chosen["HOST"],
    "port": chosen["PORT"], **chosen["OPTIONS"],
}
"""

    def test_starts_the_server(self, server: Installation):
        server.stop()

        child = server.run(
            self.SETTINGS + "print(postgres.status())\n" + self.CONNECT, preload="psycopg2"
        )

        assert child.stdout == "stopped\n0\n", child.stderr

    def test_costs_no_start_when_it_runs(self, server: Installation):
        pid = server.server_pid

        child = server.run(self.SETTINGS + self.CONNECT, preload="psycopg2")

        assert (child.stdout, child.stderr) == ("0\n", "")
        assert server.server_pid == pid


class TestServer:
    def test_outlives_its_starter(self, server: Installation):
        server.stop()
        starter = server.spawn(START)
        starter.communicate(timeout=DEADLINE)
        with suppress(ProcessLookupError):  # raised when no process is left in its group
            os.killpg(starter.pid, signal.SIGKILL)

        assert server.query("SELECT 1") == 1

    def test_is_closed_to_other_users(self, server: Installation):
        folder = server.folder.stat()

        assert folder.st_mode & 0o777 == 0o700
        assert folder.st_uid == server.server_user.pw_uid
        assert (server.folder / "data").stat().st_uid == server.server_user.pw_uid

    def test_listens_on_no_tcp_port_and_takes_options(self, server: Installation):
        server.stop()

        server.start(EMBEDDED_POSTGRES_OPTIONS="listen_addresses=* port=6543 work_mem='7 MB'")

        lines = (server.folder / "data" / "postmaster.pid").read_text().splitlines()
        shown = [server.query(f"SHOW {name}") for name in ("listen_addresses", "port", "work_mem")]
        server.stop()
        assert (lines[3], lines[5]) == ("5432", "")
        assert shown == ["", "5432", "7MB"]

    def test_is_durable_unless_told_otherwise(self, server: Installation):
        server.stop()

        server.start(EMBEDDED_POSTGRES_OPTIONS="")

        shown = [server.query(f"SHOW {name}") for name in ("fsync", "max_connections")]
        server.stop()
        assert shown == ["on", "200"]

    def test_sorts_by_code_point_and_knows_letters(self, server: Installation):
        letters = "SELECT string_agg(l, '' ORDER BY l) FROM unnest('{a,B,é,Z,É}'::text[]) l"

        assert server.query(letters) == "BZaÉé"
        assert server.query("SELECT upper('é')") == "É"
        assert server.query("SHOW server_encoding") == "UTF8"

    def test_of_root_runs_from_a_copy_that_nobody_can_reach(self, server: Installation):
        share = server.query("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")

        copies = [str(copy) for copy in server.folder.glob("programs-*")]

        assert len(copies) == (1 if server.uid == 0 else 0)
        assert any(share.startswith(copy) for copy in copies) == (server.uid == 0)


class TestStop:
    def test_stops_and_cuts_connections(self, server: Installation):
        with server.connect() as connection:
            server.stop()

            with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        assert server.command("status").stdout == "stopped\n"

    def test_may_be_called_again(self, server: Installation):
        server.stop()

        server.stop()

    def test_creates_no_folder(self, new: Installation):
        new.stop()

        assert not new.folder.exists()
