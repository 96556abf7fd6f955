from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.commands.conftest import PROJECT, free_port, run_in


class TestDatabase:
    def test_that_cannot_be_reached_is_told_without_a_traceback(self, command):
        done = command(
            "demo",
            PORT=str(free_port()),
            DATABASE_URL=f"postgres://me@127.0.0.1:{free_port()}/billing",
            DATABASE_START_TIMEOUT="0.1",
        )

        assert done.returncode == 1
        assert done.stdout == ""
        assert "The database did not answer within 0.1 seconds" in done.stderr
        assert "Connection refused" in done.stderr
        assert "Traceback" not in done.stderr
        assert 'File "' not in done.stderr


def ask(address, body=None):
    """The status and the body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def processes(environment):
    """What runs and names the folder, in its command line or its environment."""
    folder = os.fsencode(environment["EMBEDDED_POSTGRES_DIR"])
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            known = command + (process / "environ").read_bytes()
        except OSError:
            continue  # ended meanwhile, or somebody else's
        if folder in known:
            found.append(command.replace(b"\0", b" ").decode(errors="replace").strip())
    return found


def assert_running(environment, *names):
    """That these run, or nothing where there are no names; not where one cannot look."""
    if not Path("/proc/self/environ").exists():
        return
    found = processes(environment)
    assert bool(found) == bool(names), found
    for name in names:
        assert name in " ".join(found)


def is_up(demo):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", demo.port)) == 0


@pytest.mark.concurrency  # slow: it starts several servers
class TestDemo:
    ADA = {"email": "ada@example.com", "password": "a long enough password"}

    def test_serves_keeps_its_data_leaves_no_process_and_forgets_when_asked(
        self, demo, environment
    ):
        def database():
            done = run_in(PROJECT, ["-m", "config.embedded_postgres", "status"], environment)
            return done.stdout.strip()

        first = demo()
        assert ask(f"{first.address}/api/v1/health")[0] == 200
        assert ask(f"{first.address}/api/v1/auth/register", self.ADA)[0] == 200
        assert "admin@demo.example" in first.said
        assert f"http://localhost:{first.port}/admin/" in first.said
        assert "Traceback" not in first.said
        if shutil.which("curl"):
            self.paste(first)

        # A second one at another port shares the database, and survives the first.
        second = demo()
        assert "Nothing was changed" in second.said
        assert first.end(by=signal.SIGINT) == "\nStopping …\n"
        assert not is_up(first)
        assert database() == "running"
        assert ask(f"{second.address}/api/v1/auth/login", self.ADA)[0] == 200
        assert second.end(by=signal.SIGTERM) == "\nStopping …\n"
        assert not is_up(second)
        assert database() == "stopped"
        assert_running(environment)

        third = demo(port=first.port)  # it is free again
        assert ask(f"{third.address}/api/v1/auth/login", self.ADA)[0] == 200
        assert_running(environment, "gunicorn", "postgres")
        assert third.end(by=signal.SIGINT, is_for_all=True) == "\nStopping …\n"
        assert_running(environment)

        fourth = demo("--reset")
        assert "Forgetting the old data" in fourth.said
        assert ask(f"{fourth.address}/api/v1/auth/login", self.ADA)[0] == 401
        fourth.end(by=signal.SIGINT)
        assert database() == "stopped"

    def paste(self, demo):
        """The four commands take a new customer from nothing to a paid subscription."""
        done = subprocess.run(
            ["sh", "-eu", "-c", demo.commands()], capture_output=True, text=True, check=True
        )

        shown = done.stdout.splitlines()
        registered, checked_out = json.loads(shown[0]), json.loads(shown[1])
        paid, rest = json.JSONDecoder().raw_decode(shown[2])
        subscribed = json.loads(shown[2][rest:])
        assert registered["success"] is True
        assert checked_out["invoice"]["status"] == "pending"
        assert [line["type"] for line in checked_out["invoice"]["line_items"]] == [
            "subscription",
            "token_bundle",
            "add_on",
        ]
        assert paid["invoice"]["status"] == "paid"
        assert subscribed["subscription"]["status"] == "active"
