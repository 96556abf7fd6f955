"""The scripts in a project of their own, whose virtual environment can be broken at will."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
DEADLINE = 120  # seconds until a test gives up
SET_UP = "import _setup; _setup.run_as_command(_setup.ensure_environment)"
MISSING = "a-part-that-is-nowhere==1\n"


@dataclass(frozen=True, slots=True)
class Copy:
    folder: Path

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "installed"

    @property
    def ran(self) -> Path:
        """What the programs that only pretend write down."""
        return self.folder / ".venv" / "bin" / "ran"

    def require(self, text: str) -> None:
        (self.folder / "requirements-dev.txt").write_text(text)

    def pretend(self, script: str, tool: str = "python") -> None:
        """Put a shell script in the place of a program of the virtual environment."""
        program = self.folder / ".venv" / "bin" / tool
        program.parent.mkdir(parents=True, exist_ok=True)
        program.unlink(missing_ok=True)  # a link, and what it leads to is everybody's Python
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def stamp_as_installed(self) -> None:
        """Write what an install that went well leaves."""
        digest = hashlib.sha256(repr((sys.version_info[:3], str(self.folder))).encode())
        for name in ("requirements.txt", "requirements-dev.txt"):
            digest.update((self.folder / name).read_bytes())
        self.stamp.write_text(digest.hexdigest())

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """Set up, without a package index unless it is given one."""
        return subprocess.Popen(
            [sys.executable, "-c", SET_UP],
            cwd=self.folder / "bin",
            env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self) -> CompletedProcess[str]:
        process = self.start(PIP_NO_INDEX="1")
        said, complaint = process.communicate(timeout=DEADLINE)
        return CompletedProcess(process.args, process.returncode, said, complaint)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    folder = tmp_path.resolve() / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "bin", folder / "bin", ignore=ignored)
    (folder / "requirements.txt").write_text("")
    (folder / "requirements-dev.txt").write_text("")
    return Copy(folder)


class TestInstall:
    def test_with_its_stamp_runs_nothing_of_the_environment(self, copy):
        copy.pretend('touch "$(dirname "$0")/ran"; exit 1')
        copy.stamp_as_installed()

        done = copy.set_up()

        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not copy.ran.exists()

    def test_that_fails_takes_the_stamp_of_the_last_one_away(self, copy):
        assert copy.set_up().returncode == 0
        assert copy.stamp.exists()
        copy.require(MISSING)

        done = copy.set_up()

        assert done.returncode == 1
        assert "a-part-that-is-nowhere" in done.stderr
        assert not copy.stamp.exists()

    def test_that_is_killed_leaves_no_stamp(self, copy):
        copy.require(MISSING)

        with socket.create_server(("127.0.0.1", 0)) as index:  # takes connections, says nothing
            index.settimeout(DEADLINE)
            url = f"http://127.0.0.1:{index.getsockname()[1]}/"
            process = copy.start(PIP_INDEX_URL=url, NO_PROXY="127.0.0.1")
            connection, _address = index.accept()  # pip is at work
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=DEADLINE)
            connection.close()

        assert process.returncode == -signal.SIGKILL
        assert (copy.folder / ".venv").exists()
        assert not copy.stamp.exists()


TITLES = [
    "Formatting",
    "Linting",
    "Direction of imports",
    "Types",
    "Migrations",
    "Migrations block no writes",
    "Production settings",
    "OpenAPI schema",
    "Tests",
    "Concurrency suite",
    "Browser suite",
]


@pytest.fixture
def bin_test(copy: Copy) -> Callable[..., CompletedProcess[str]]:
    """``bin_test("mypy")``: where every check passes but mypy."""

    def run(failing: str = "nothing") -> CompletedProcess[str]:
        show = 'echo "$DJANGO_SETTINGS_MODULE $*"\n'
        copy.pretend(f'{show}case "$*" in *{failing}*) exit 3;; esac')
        copy.pretend(show, "lint-imports")
        copy.pretend("exit 0", "chromium")
        copy.stamp_as_installed()
        return subprocess.run(
            [sys.executable, str(copy.folder / "bin" / "test")],
            env={
                "PATH": f"{copy.folder / '.venv' / 'bin'}:{os.environ['PATH']}",
                "DATABASE_URL": "postgres://me@nowhere.invalid/tests",
            },
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


def table(output: str) -> list[tuple[str, str]]:
    """The verdict and the title of each row of the table at the end."""
    rows = output.partition("=== All checks\n")[2].splitlines()[:-1]
    return [(row.split()[0], row.split(" s  ", 1)[1]) for row in rows]


class TestEveryCheck:
    def test_is_0_when_all_of_it_passes(self, bin_test):
        done = bin_test()

        assert done.returncode == 0, done.stderr
        assert table(done.stdout) == [("ok", title) for title in TITLES]
        assert done.stdout.endswith("checks: 11 passed, 0 failed\n")

    @pytest.mark.parametrize(
        ("failing", "title"),
        [
            ("mypy", "Types"),
            ("makemigrations", "Migrations"),
            ("--deploy", "Production settings"),
            ("spectacular", "OpenAPI schema"),
        ],
    )
    def test_is_1_when_one_fails_and_the_others_run_all_the_same(self, bin_test, failing, title):
        done = bin_test(failing)

        assert done.returncode == 1
        assert [name for verdict, name in table(done.stdout) if verdict == "FAILED"] == [title]
        assert done.stdout.endswith("checks: 10 passed, 1 failed\n")

    def test_has_production_settings_for_the_check_of_production_only(self, bin_test):
        done = bin_test()

        lines = done.stdout.splitlines()
        assert [line for line in lines if line.startswith("config.settings.production ")] == [
            "config.settings.production manage.py check --deploy --fail-level WARNING"
        ]


class TestOtherLocalhost:
    def test_that_has_the_port_already_is_told(self, copy):
        try:
            other = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("needs IPv6 on the loopback interface")
        with other:
            done = subprocess.run(
                [sys.executable, str(copy.folder / "bin" / "demo")],
                env={"PATH": os.environ["PATH"], "PORT": str(other.getsockname()[1])},
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )

        assert done.returncode == 1
        assert "cannot be used (Address already in use)" in done.stderr
