from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import ModuleType

import pytest

from tests.commands.conftest import PROJECT, run_in


@pytest.fixture
def bin_test(monkeypatch) -> ModuleType:
    """bin/test as a module."""
    monkeypatch.syspath_prepend(str(PROJECT / "bin"))
    loader = importlib.machinery.SourceFileLoader("bin_test", str(PROJECT / "bin" / "test"))
    specification = importlib.util.spec_from_loader("bin_test", loader)
    assert specification
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


class TestRunAll:
    def test_runs_all_and_fails_if_any_failed(self, bin_test, monkeypatch, capfd):
        ran = []

        def check(name, code):
            return name, lambda env: ran.append(name) or code

        five = [check("Good", 0), check("Without tests", 5), check("Good too", 0)]
        monkeypatch.setattr(bin_test, "checks", lambda: five)

        code = bin_test.run_all({})

        assert code == 1
        assert ran == ["Good", "Without tests", "Good too"]
        lines = capfd.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[-4:-1]] == ["ok", "FAILED", "ok"]
        assert lines[-1] == "checks: 2 passed, 1 failed"

    def test_passes_if_all_passed(self, bin_test, monkeypatch, capfd):
        monkeypatch.setattr(bin_test, "checks", lambda: [("Good", lambda env: 0)])

        assert bin_test.run_all({}) == 0
        assert capfd.readouterr().out.endswith("checks: 1 passed, 0 failed\n")

    def test_knows_every_suite(self, bin_test):
        titles = [title for title, _check in bin_test.checks()]

        assert titles[-3:] == ["Tests", "Concurrency suite", "Browser suite"]


class TestArguments:
    def test_go_to_pytest_and_its_code_comes_back(self, command, environment):
        done = command("test", "-q", "-p", "no:cacheprovider", "-k", "nothing_is_called_so")

        assert done.returncode == 5, done.stderr
        status = run_in(PROJECT, ["-m", "config.embedded_postgres", "status"], environment)
        assert status.stdout == "stopped\n"


class TestChromium:
    def test_that_is_missing_is_told(self, bin_test, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(bin_test._setup.Stop) as stop:
            bin_test.ensure_chromium()

        assert str(stop.value) == (
            "The browser suite needs Chromium: install it with `apt-get install chromium`, as root."
        )
