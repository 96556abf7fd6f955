"""A database, a server, and what runs beside them, all of the harness's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2

from tests import log_secrets
from tests.faults.journal import Journal
from tests.faults.pooler import Pooler
from tests.faults.web import Web

PROJECT = Path(__file__).resolve().parent.parent.parent
SLOTS = 60  # of the database: few, so that they can be filled
DATA_SIZE = "1500m"  # of the disk that can be filled
DEADLINE = 60  # seconds, for whatever is to come up again
SECRET = "whsec_ZmF1bHRzLW9ubHktbm90LWEtc2VjcmV0LTAxMjM="
# Shorter than in production, so that they are met.
TIMEOUTS = {
    "DATABASE_LOCK_TIMEOUT": "1.5",
    "DATABASE_STATEMENT_TIMEOUT": "3",
    "DATABASE_IDLE_TIMEOUT": "5",
}


class World:
    """
    Started on entry, gone on exit.

    :param durable: whether the database waits for the disk; the short form does without
    """

    def __init__(self, *, durable: bool = True, pooled: bool = False) -> None:
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="faults", dir="/tmp"))
        self.folder.chmod(0o711)  # started as root, the database runs as nobody
        self.has_own_disk = False
        self.pooler = Pooler(self.folder) if pooled else None
        self.journal = Journal(self.folder / "journal")
        self.server: subprocess.Popen[bytes] | None = None
        self.runners: list[subprocess.Popen[bytes]] = []
        self.has_findings = False  # then what it leaves is kept
        self._starting = threading.Lock()
        self._clock_file = self.folder / "clock"

    # --- Up and down ---

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        self.step_clock(0)
        self._mount_disk()
        os.environ.pop("DATABASE_URL", None)
        options = f"max_connections={SLOTS} log_min_messages=fatal deadlock_timeout=200ms"
        if not self.durable:
            options += " fsync=off full_page_writes=off"
        os.environ |= {
            "ENV_FILE": os.devnull,
            "EMBEDDED_POSTGRES_DIR": str(self.folder / "pg"),
            "EMBEDDED_POSTGRES_OPTIONS": options,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "ACCESS_TOKEN_MINUTES": "600",
            "LOG_LEVEL": "INFO",
            "BILLING_WEBHOOK_SECRETS": SECRET,
        }
        from config import embedded_postgres

        self.postgres = embedded_postgres
        self.postgres.ensure_running()
        os.environ["DATABASE_URL"] = self.direct_url = self.postgres.url()
        if self.pooler:
            self._pool()
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        self.port = _free_port()
        self.web = Web(port=self.port, secret=SECRET, journal=self.journal)
        self.serve()
        self.wait_until_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from django.db import connections

        connections.close_all()
        self.stop()
        if error is None and not self.journal.wrong and not self.has_findings:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            sys.stderr.write(f"The journal and the logs are kept in {self.folder}.\n")

    def stop(self) -> None:
        """Whatever of it runs."""
        self.stop_runners()
        self.kill_server()
        if self.pooler:
            self.pooler.stop()
        if hasattr(self, "postgres"):
            self.postgres.stop()
        if self.has_own_disk:
            subprocess.run(["umount", "--lazy", self.folder / "pg"], check=False)

    def _mount_disk(self) -> None:
        """A disk of the database's own, small enough to be filled; only root may have one."""
        data = self.folder / "pg"
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return
        data.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DATA_SIZE}", "faults", data]
        self.has_own_disk = subprocess.run(mount, check=False, capture_output=True).returncode == 0

    def _pool(self) -> None:
        """Behind the pooler nothing is set per session: the database's own settings say it."""
        assert self.pooler
        with self.direct() as cursor:
            for name, variable in (
                ("lock_timeout", "DATABASE_LOCK_TIMEOUT"),
                ("statement_timeout", "DATABASE_STATEMENT_TIMEOUT"),
                ("idle_in_transaction_session_timeout", "DATABASE_IDLE_TIMEOUT"),
            ):
                seconds = TIMEOUTS[variable]
                cursor.execute(f"ALTER DATABASE vbwd SET {name} = '{float(seconds) * 1000:.0f}ms'")
        os.environ["DATABASE_POOLED"] = "true"
        os.environ["DATABASE_URL"] = self.pooler.start(
            folder=self.folder / "pg", port=self.postgres.PORT, user=self.postgres.USER
        )

    # --- The server ---

    def serve(self) -> None:
        """Start it where it does not run; whoever comes second finds it started."""
        with self._starting:
            if self.server and self.server.poll() is None:
                return
            self.server = self._spawn(
                "-m", "gunicorn", "-c", "config/gunicorn.py", "tests.faults.wsgi"
            )

    def kill_server(self) -> None:
        """Master and workers at once, as when the machine goes."""
        if self.server is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def workers(self) -> list[int]:
        """Process ids of those who answer requests."""
        assert self.server
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.server.pid)],
            check=False,
            capture_output=True,
            text=True,
        )
        return [int(pid) for pid in listed.stdout.split()]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while not self.web.is_ready():
            assert time.monotonic() < deadline, f"The server does not come back: {self.folder}"
            assert self.server
            if self.server.poll() is not None:
                self.serve()
            time.sleep(0.02)

    # --- What runs beside it ---

    def run_billing(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._spawn("manage.py", "run_billing", *arguments)

    def keep_billing(self) -> None:
        """Have two processes that bill again and again; those that died are replaced."""
        self.runners = [runner for runner in self.runners if runner.poll() is None]
        while len(self.runners) < 2:
            self.runners.append(self.run_billing("--every", "1", "--batch", "3"))

    def stop_runners(self) -> None:
        for runner in self.runners:
            with suppress(ProcessLookupError):
                os.killpg(runner.pid, signal.SIGKILL)
            runner.wait()
        self.runners = []

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """In a group of its own, that can be killed as one; what it prints goes to one log."""
        environment = os.environ | {
            **({} if self.pooler else TIMEOUTS),
            "PORT": str(self.port),
            "WEB_WORKERS": "3",
            "FAULTS_CLOCK": str(self._clock_file),
        }
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def secrets_in_log(self, *known: str) -> list[str]:
        """What the servers have written that nobody may read, without the text itself."""
        log = (self.folder / "log").read_text(errors="replace")
        found = log_secrets.find(log, known=[SECRET, *known])
        return [f"log: {one.kind} in line {one.line}" for one in found]

    # --- The clock of the server ---

    def step_clock(self, seconds: int) -> None:
        """So many seconds from the true time."""
        new = self._clock_file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._clock_file)

    # --- The database ---

    @contextmanager
    def direct(self, name: str = "harness") -> Any:
        """A cursor past pooler and settings, each statement committed at once."""
        line = psycopg2.connect(self.direct_url, application_name=name, connect_timeout=5)
        line.autocommit = True
        try:
            with line.cursor() as cursor:
                yield cursor
        finally:
            line.close()

    def postmaster(self) -> int:
        return int(self.postgres.DATA_LOCK.read_text().splitlines()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
