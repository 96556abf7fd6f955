from __future__ import annotations

import ast
import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.commands.conftest import DEADLINE, PROJECT, copy_project

SCRIPTS = [PROJECT / "bin" / name for name in ("_setup.py", "demo", "test")]


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    specification = importlib.util.spec_from_file_location("_setup", SCRIPTS[0])
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class TestPython:
    @pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 0), (2, 7, 18)])
    def test_that_is_too_old_is_told_so_in_one_sentence(self, setup, monkeypatch, version):
        monkeypatch.setattr(sys, "argv", ["bin/demo", "--reset"])
        found = f"{version[0]}.{version[1]}"

        with pytest.raises(setup.Stop) as stop:
            setup.check_python(version)

        assert str(stop.value) == (
            f"Python 3.11 or later is needed, and this is {found}: install it and run "
            "`python3.11 bin/demo --reset`."
        )

    @pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 1), (4, 0, 0)])
    def test_that_is_new_enough_is_taken(self, setup, version):
        setup.check_python(version)

    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
    def test_that_is_too_old_can_read_the_scripts(self, script):
        ast.parse(script.read_text(), feature_version=(3, 7))


class TestReason:
    def test_is_what_stands_below_the_traceback(self, setup):
        output = (
            "Operations to perform:\n"
            "Traceback (most recent call last):\n"
            '  File "a.py", line 1, in <module>\n'
            "    connect()\n"
            "django.db.utils.OperationalError: connection failed\n"
            "\tIs the server running?\n"
        )

        assert setup.without_traceback(output) == (
            "django.db.utils.OperationalError: connection failed\n\tIs the server running?"
        )

    def test_is_everything_without_a_traceback(self, setup):
        assert setup.without_traceback("No space left.\n") == "No space left."


class TestEnvironment:
    def test_needs_the_venv_module(self, setting_up, tmp_path):
        # As on Debian without python3-venv.
        process = setting_up("sys.modules['ensurepip'] = None")
        said, complaint = process.communicate(timeout=DEADLINE)

        assert process.returncode == 1
        assert said == ""
        assert complaint == (
            "Python's venv module is missing: install it with `apt install python3-venv` "
            "(Debian, Ubuntu) or your system's package of it.\n"
        )
        assert not (tmp_path / ".venv").exists()

    def test_is_made_once_by_two_at_once(self, setting_up, tmp_path):
        two = [setting_up(), setting_up()]
        said = sorted(process.communicate(timeout=DEADLINE) for process in two)

        assert [process.returncode for process in two] == [0, 0], said
        assert said[0][0] in ("", "Another run is setting up; waiting for it …\n")
        assert said[1][0].startswith("Making the virtual environment … ")
        assert (tmp_path / ".venv" / "installed").exists()

        # The third has nothing to do: no pip, and so no network.
        before = (tmp_path / ".venv" / "installed").stat().st_mtime_ns
        (tmp_path / ".venv" / "bin" / "pip").unlink()
        third = setting_up("_setup.run = None")

        assert third.communicate(timeout=DEADLINE) == ("", "")
        assert third.returncode == 0
        assert (tmp_path / ".venv" / "installed").stat().st_mtime_ns == before

    def test_without_its_python_is_made_again(self, setup, monkeypatch, tmp_path):
        (tmp_path / "installed").write_text("abc")
        monkeypatch.setattr(setup, "STAMP", str(tmp_path / "installed"))
        monkeypatch.setattr(setup, "PYTHON", str(tmp_path / "python"))
        assert setup.installed() is None

        os.symlink(sys.executable, tmp_path / "python")
        assert setup.installed() == "abc"


class TestInstallation:
    def test_that_fails_leaves_no_stamp_and_says_why(self, setting_up, tmp_path):
        (tmp_path / "requirements-dev.txt").write_text("./not-here\n")
        (tmp_path / ".venv").mkdir()
        (tmp_path / ".venv" / "installed").write_text("of older requirements")

        process = setting_up()
        said, complaint = process.communicate(timeout=DEADLINE)

        assert process.returncode == 1
        assert "Installing the requirements (a minute, once) … failed\n" in said
        assert "not-here" in complaint
        assert "Traceback" not in complaint
        assert complaint.endswith(
            "The requirements could not be set up: the reason stands above.\n"
        )
        assert not (tmp_path / ".venv" / "installed").exists()

    def test_that_is_interrupted_leaves_no_stamp(self, setting_up, tmp_path):
        # A package whose installation waits for ever.
        copy = tmp_path / "endless"
        copy.mkdir()
        (copy / "setup.py").write_text("import time; time.sleep(600)")
        (tmp_path / "requirements-dev.txt").write_text("./endless\n")
        # Without isolation pip asks no registry for the tools to build it with.
        process = setting_up("import os; os.environ['PIP_NO_BUILD_ISOLATION'] = '0'")
        assert process.stdout
        until(process.stdout, "Installing the requirements")

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)

        assert process.returncode == 130
        assert not (tmp_path / ".venv" / "installed").exists()

    def test_follows_the_requirements_and_the_python(self, setup, monkeypatch, tmp_path):
        copy_project(tmp_path)
        monkeypatch.setattr(setup, "PROJECT", str(tmp_path))
        first = setup.fingerprint()
        assert setup.fingerprint() == first

        (tmp_path / "requirements.txt").write_text("django==99\n")
        second = setup.fingerprint()
        monkeypatch.setattr(sys, "version_info", (3, 99, 0))
        third = setup.fingerprint()

        assert len({first, second, third}) == 3


def until(stream, words):
    said = ""
    while words not in said:
        character = stream.read(1)
        assert character, said
        said += character


SHARE = """
import os, sys
sys.path.insert(0, {bin!r})
import _setup
with _setup.database(dict(os.environ), is_shared=True):
    {body}
"""


class TestDatabase:
    @pytest.fixture
    def use(self, environment):
        """``use("…")``: Python inside of ``_setup.database``, by another process."""
        from tests.commands.conftest import run_in

        def run(body):
            script = SHARE.format(bin=str(PROJECT / "bin"), body=body)
            return run_in(PROJECT, ["-c", script], environment)

        return run

    @pytest.fixture
    def postgres(self, environment):
        from tests.commands.conftest import run_in

        def run(command):
            done = run_in(PROJECT, ["-m", "config.embedded_postgres", command], environment)
            return done.stdout.strip()

        return run

    def test_is_stopped_by_who_started_it(self, use, postgres):
        done = use("print(_setup.postgres('status', None).stdout)")

        assert "running" in done.stdout, done.stderr
        assert postgres("status") == "stopped"

    def test_is_left_to_those_who_started_it_otherwise(self, use, postgres):
        postgres("start")

        done = use("pass")

        assert done.returncode == 0, done.stderr
        assert postgres("status") == "running"

    def test_of_a_run_that_was_killed_is_stopped_by_the_next(self, use, postgres):
        killed = use("os.kill(os.getpid(), 9)")
        assert killed.returncode == -signal.SIGKILL
        assert postgres("status") == "running"

        use("pass")

        assert postgres("status") == "stopped"

    def test_is_stopped_by_the_last_of_two(self, use, postgres):
        inner = SHARE.format(bin=str(PROJECT / "bin"), body="pass")
        body = (
            f"import subprocess; subprocess.run([sys.executable, '-c', {inner!r}], check=True); "
            "print(_setup.postgres('status', None).stdout)"
        )

        done = use(body)

        assert "running" in done.stdout, done.stderr
        assert postgres("status") == "stopped"

    def test_that_cannot_start_is_told_in_sentences(self, environment, tmp_path: Path, use):
        (tmp_path / "something").write_text("of somebody else")
        environment["EMBEDDED_POSTGRES_DIR"] = str(tmp_path)

        done = use("pass")

        environment["EMBEDDED_POSTGRES_DIR"] = ""
        assert "already holds other files" in done.stderr
