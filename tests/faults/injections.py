"""The faults. Each is made, lasts for its time, is ended, and how long it took to be over it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import psycopg2

from tests.faults.world import World

# What requests write to; each may be held by somebody for a while.
TABLES = (
    "billing_invoice",
    "billing_payment",
    "billing_idempotencyrecord",
    "billing_tokenaccount",
    "billing_tokentransaction",
    "billing_mail",
    "billing_event",
    "billing_invoiceseries",
    "billing_subscription",
    "accounts_user",
)
LOADED = "faults-load"  # by which the database knows connections that only fill it


class Injections(threading.Thread):
    """
    Makes faults at random moments until the round is over.

    :param pause: seconds between two of them, on average
    """

    def __init__(self, world: World, *, chance: Random, pause: float) -> None:
        super().__init__(name="injections", daemon=True)
        self.world = world
        self.chance = chance
        self.pause = pause
        self.over = threading.Event()
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        self.kinds: dict[str, Callable[[], None]] = {
            "kill -9 of a web worker": self.kill_worker,
            "kill -9 of the whole server": self.kill_server,
            "kill -9 of run_billing": self.kill_runner,
            "session in the database ended": self.end_session,
            "kill -9 of a database process": self.kill_backend,
            "immediate stop of the database": self.stop_database,
            "connections cut between statements": self.cut_waiting,
            "whole server killed between statements": self.kill_while_waiting,
            "lock held past the time-out": self.hold_lock,
            "all connection slots taken": self.fill_slots,
            "slow commits": self.slow_commits,
            "database process stopped for a while": self.freeze_backend,
            "clock step of the server": self.step_clock,
            "statements cancelled, as by a time-out": self.cancel_statements,
        }
        if world.has_own_disk:
            self.kinds["full disk"] = self.fill_disk
        self._plan: list[str] = []

    @property
    def skipped(self) -> list[str]:
        """What cannot be done here, and why."""
        skipped = []
        if not self.world.has_own_disk:
            skipped.append("Full disk: skipped, as only root can mount the small one it needs.")
        return skipped

    def run(self) -> None:
        while not self.over.wait(self.chance.uniform(0.3, 1.7) * self.pause):
            self.inject(self._next())

    def inject(self, kind: str) -> None:
        """Make one fault, and wait until a request that needs the database is answered again."""
        try:
            self.kinds[kind]()
        except psycopg2.Error:
            # The database is not there to be harmed; it is what an earlier fault has left.
            self._raise_database()
            return
        began = time.monotonic()
        self._raise_database()
        self.world.serve()
        self.world.wait_until_ready()
        self.world.keep_billing()
        self.recoveries[kind].append(time.monotonic() - began)

    def _next(self) -> str:
        """Each kind once in random order, and again: none is left out."""
        if not self._plan:
            self._plan = self.chance.sample(list(self.kinds), len(self.kinds))
        return self._plan.pop()

    def _raise_database(self) -> None:
        self.world.postgres.ensure_running()

    # --- Processes ---

    def kill_worker(self) -> None:
        workers = self.world.workers()
        if workers:
            _kill(self.chance.choice(workers))

    def kill_server(self) -> None:
        self.world.kill_server()
        if self.chance.random() < 0.3:
            time.sleep(self.chance.uniform(0.1, 0.5))

    def kill_runner(self) -> None:
        if self.world.runners:
            _kill(self.chance.choice(self.world.runners).pid)

    def stop_database(self) -> None:
        """Its "immediate shutdown": no rollback, no checkpoint; the log is played at the start."""
        postmaster = self.world.postmaster()
        _kill(postmaster, signal.SIGQUIT)
        _wait_until_gone(postmaster)
        if self.chance.random() < 0.5:
            time.sleep(self.chance.uniform(0.1, 1.0))

    def kill_backend(self) -> None:
        """The others are thrown out by the database, which then recovers from its log."""
        pids = self._sessions("TRUE")
        if pids:
            _kill(self.chance.choice(pids))

    def freeze_backend(self) -> None:
        pids = self._sessions("state <> 'idle'") or self._sessions("TRUE")
        if not pids:
            return
        pid = self.chance.choice(pids)
        _kill(pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.1, 0.6))
        _kill(pid, signal.SIGCONT)

    # --- Connections ---

    def end_session(self) -> None:
        with self.world.direct() as cursor:
            for pid in self.chance.sample(pids := self._sessions("TRUE"), min(3, len(pids))):
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    def cut_waiting(self) -> None:
        """Who has come to a table that is held has statements behind and before them."""
        with self.world.direct() as holder, self.world.direct() as cursor:
            self._hold(holder)
            time.sleep(self.chance.uniform(0.1, 0.4))
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            )
            holder.execute("ROLLBACK")

    def kill_while_waiting(self) -> None:
        with self.world.direct() as holder:
            self._hold(holder)
            time.sleep(self.chance.uniform(0.1, 0.4))
            self.world.kill_server()
            holder.execute("ROLLBACK")

    def fill_slots(self) -> None:
        """Sessions are ended, and their places taken before they can be opened again."""
        with ExitStack() as lines:
            with self.world.direct() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                with suppress(psycopg2.OperationalError):
                    while True:
                        line = psycopg2.connect(self.world.direct_url, application_name=LOADED)
                        lines.callback(line.close)
            time.sleep(self.chance.uniform(0.2, 1.0))

    # --- Slowness ---

    def hold_lock(self) -> None:
        with self.world.direct() as holder:
            self._hold(holder)
            time.sleep(2.0)  # the time-out of a lock is shorter
            holder.execute("ROLLBACK")

    def slow_commits(self) -> None:
        with self.world.direct() as cursor:
            for setting in ("commit_delay = '100ms'", "commit_siblings = 0"):
                cursor.execute(f"ALTER SYSTEM SET {setting}")
            cursor.execute("SELECT pg_reload_conf()")
            time.sleep(self.chance.uniform(0.5, 1.5))
            for name in ("commit_delay", "commit_siblings"):
                cursor.execute(f"ALTER SYSTEM RESET {name}")
            cursor.execute("SELECT pg_reload_conf()")

    def cancel_statements(self) -> None:
        """What a time-out of statements does, to whichever runs at the moment, for a while."""
        until = time.monotonic() + self.chance.uniform(0.3, 0.8)
        with self.world.direct() as cursor:
            while time.monotonic() < until:
                cursor.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active'"
                    " AND pid <> pg_backend_pid()"
                )
                time.sleep(0.01)

    def _hold(self, cursor: psycopg2.extensions.cursor) -> None:
        """Hold a random table, so that whoever comes to it waits."""
        cursor.execute("BEGIN")
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        table = self.chance.choice(TABLES)
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    # --- Disk and clock ---

    def fill_disk(self) -> None:
        ballast = Path(self.world.folder / "pg" / "ballast")
        try:
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 2**20)
            time.sleep(self.chance.uniform(0.3, 1.0))
        finally:
            ballast.unlink(missing_ok=True)

    def step_clock(self) -> None:
        """Up to three minutes back or forth: webhooks are good for five."""
        self.world.step_clock(self.chance.randint(-180, 180))
        time.sleep(1.5)
        self.world.step_clock(0)

    def _sessions(self, condition: str) -> list[int]:
        with self.world.direct() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                f" AND pid <> pg_backend_pid() AND {condition} ORDER BY pid"
            )
            return [pid for (pid,) in cursor.fetchall()]


def _kill(pid: int, by: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, by)


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        with suppress(FileNotFoundError, IndexError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        time.sleep(0.01)
