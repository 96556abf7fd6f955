"""
The two commands, run as a person runs them.

With the interpreter of the tests: another version would remake the environment that they run in.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
DEADLINE = 300  # seconds until a test gives up; a busy machine needs two minutes
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """One with a database of its own, which is stopped and removed at the end."""
    folder = tempfile.mkdtemp(prefix="vbwd-", dir="/tmp")  # a socket's path is short
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "DJANGO_")) and name != "DATABASE_URL"
    }
    environment = {
        **inherited,
        "EMBEDDED_POSTGRES_DIR": folder,
        "EMBEDDED_POSTGRES_OPTIONS": "fsync=off synchronous_commit=off full_page_writes=off",
    }
    yield environment
    run_in(PROJECT, ["-m", "config.embedded_postgres", "stop"], environment)
    shutil.rmtree(folder)


@pytest.fixture
def command(environment: dict[str, str]) -> Run:
    """``command("demo", "--reset", DATABASE_URL="…")`` from another folder, to its end."""

    def run(name: str, *arguments: str, project: Path = PROJECT, **more: str):
        script = str(project / "bin" / name)
        return run_in(Path("/"), [script, *arguments], {**environment, **more})

    return run


def run_in(
    folder: Path, arguments: list[str], environment: dict[str, str]
) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def setting_up(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """
    ``setting_up("…")``: what bin/_setup.py does first, in a project with other requirements.

    What is passed is Python that is run before it.
    """
    copy_project(tmp_path)

    def start(before: str = "") -> subprocess.Popen[str]:
        script = f"import sys; sys.path.insert(0, {str(tmp_path / 'bin')!r}); import _setup\n"
        script += f"{before}\n_setup.run_as_command(_setup.ensure_environment)"
        return subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def copy_project(folder: Path, requirements: str = "") -> None:
    """As much of it as is needed to set up; nothing is downloaded for these requirements."""
    shutil.copytree(PROJECT / "bin", folder / "bin", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "requirements-dev.txt").write_text(f"-r requirements.txt\n{requirements}\n")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Demo:
    """A bin/demo that is running; ``said`` is what it printed until it was ready."""

    def __init__(
        self, environment: dict[str, str], *arguments: str, port: int | None = None
    ) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, str(PROJECT / "bin" / "demo"), *arguments],
            cwd="/",
            env={**environment, "PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # as in a terminal of its own
        )
        giving_up = threading.Timer(DEADLINE, self.process.kill)
        giving_up.start()
        assert self.process.stdout
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ctrl-C stops"):
                break
        giving_up.cancel()
        assert self.said.endswith("Ctrl-C stops the server and the database.\n"), self.said

    def end(self, by: signal.Signals, *, is_for_all: bool = False) -> str:
        """
        Send the signal, expect a good end, and return what it said meanwhile.

        :param is_for_all: send it to its children too, as a terminal does at Ctrl-C
        """
        if is_for_all:
            os.killpg(self.process.pid, by)
        else:
            self.process.send_signal(by)
        said, _nothing = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0, said
        return said

    def commands(self) -> str:
        """The commands that it printed, to be pasted into a shell."""
        found = re.search(r"^ANSWER=.*?(?=^Admin )", self.said, re.DOTALL | re.MULTILINE)
        assert found
        return found[0]


@pytest.fixture
def demo(environment: dict[str, str]) -> Iterator[Callable[..., Demo]]:
    """``demo("--reset", port=8001)``: started, and ready."""
    started: list[Demo] = []

    def start(*arguments: str, port: int | None = None) -> Demo:
        started.append(Demo(environment, *arguments, port=port))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(DEADLINE)
