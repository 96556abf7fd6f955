"""Nothing of bin/demo is left after Ctrl-C, and the next one finds the customers again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.concurrency  # not beside other tests: it starts two servers
PROJECT = Path(__file__).resolve().parent.parent.parent
DEADLINE = 120  # seconds until a test gives up
ADA = {"email": "ada@example.com", "password": "a long enough password"}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for the database, and a port."""

    folder: Path
    output: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "EMBEDDED_POSTGRES_DIR": str(self.folder),
            "EMBEDDED_POSTGRES_OPTIONS": "fsync=off",
            "PORT": str(self.port),
        }

    def start(self) -> subprocess.Popen[bytes]:
        """In a session of its own, as in a terminal, until it serves."""
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(PROJECT / "bin" / "demo")],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + DEADLINE
        while "Ctrl-C stops" not in self.output.read_text():
            assert process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return process

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with OPENER.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def processes(self) -> list[str]:
        """Those that name the folder, in their command line or their environment."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                known = command + (process / "environ").read_bytes()
            except OSError:
                continue  # ended meanwhile, or somebody else's
            if os.fsencode(self.folder) in known:
                found.append(command.replace(b"\0", b" ").decode(errors="replace").strip())
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc to see which processes are left")
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="vbwd-")).resolve()  # short, for the socket
    home.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = Place(home / "db", tmp_path / "output", port)
    yield place
    stop = [sys.executable, "-m", "config.embedded_postgres", "stop"]
    subprocess.run(stop, cwd=PROJECT, env=place.environment, check=True)
    shutil.rmtree(home, ignore_errors=True)


class TestEnd:
    def test_leaves_no_process_and_keeps_the_data(self, place):
        process = place.start()
        try:
            assert place.post("auth/register", ADA)["success"] is True
            running = " ".join(place.processes())
            assert "gunicorn" in running
            assert "postgres" in running

            os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them

            assert process.wait(DEADLINE) == 0
            assert place.output.read_text().endswith("\nStopping …\n")
            assert place.processes() == []

            process = place.start()  # at the same port: it is free again
            assert place.post("auth/login", ADA)["success"] is True

            process.send_signal(signal.SIGTERM)

            assert process.wait(DEADLINE) == 0
            assert "Traceback" not in place.output.read_text()
            assert place.processes() == []
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(DEADLINE)
