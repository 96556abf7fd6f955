from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.commands.conftest import PROJECT

RULES = {
    "licences": ["MIT", "BSD-3-Clause", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"],
    "packages": {"driver": "LGPL"},
}
HARMLESS = {"name": "good", "version": "1.0", "vulns": []}
HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["1.1"], "aliases": [], "description": "x"}
BAD = {"name": "bad", "version": "1.0", "vulns": [HOLE]}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture
def audit(monkeypatch) -> ModuleType:
    """bin/audit as a module."""
    monkeypatch.syspath_prepend(str(PROJECT / "bin"))
    loader = importlib.machinery.SourceFileLoader("bin_audit", str(PROJECT / "bin" / "audit"))
    specification = importlib.util.spec_from_loader("bin_audit", loader)
    assert specification
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


@pytest.fixture
def tool_says(audit, monkeypatch, tmp_path: Path):
    """``tool_says(output, error, code)``: what pip-audit or pip-licenses answers."""

    def say(output: str, error: str = "", code: int = 0) -> None:
        script = tmp_path / "tool"
        script.write_text(
            f"#!{sys.executable}\nimport sys\nprint({output!r})\n"
            f"print({error!r}, file=sys.stderr)\nsys.exit({code})\n"
        )
        script.chmod(0o755)
        monkeypatch.setattr(audit, "TOOL", str(script))

    return say


class TestLicences:
    @pytest.mark.parametrize(
        ("name", "licence", "is_allowed"),
        [
            ("a", "MIT", True),
            ("a", "GPL-3.0", False),
            ("a", "UNKNOWN", False),
            ("a", "GPL-3.0 OR MIT", True),
            ("a", "GPL-3.0 AND MIT", False),
            ("a", "MPL-2.0 AND (BSD-3-Clause OR MIT)", True),
            ("a", "GPL-3.0 AND (BSD-3-Clause OR MIT)", False),
            ("a", "(MIT OR GPL-3.0) AND GPL-3.0", False),
            ("a", "MIT; BSD-3-Clause", True),
            ("a", "Mozilla Public License 2.0 (MPL 2.0)", True),
            ("Driver", "LGPL", True),
            ("Driver", "GPL-3.0", False),
            ("other", "LGPL", False),
        ],
    )
    def test_are_allowed_by_the_list(self, audit, name, licence, is_allowed):
        assert audit.is_allowed({"Name": name, "License": licence}, RULES) is is_allowed

    def test_that_are_not_are_named(self, audit, tool_says, capsys):
        found = [
            {"Name": "fine", "Version": "1", "License": "MIT"},
            {"Name": "viral", "Version": "2", "License": "AGPL-3.0"},
        ]
        tool_says(json.dumps(found))

        assert audit.licences() == 1
        assert "viral 2: 'AGPL-3.0' is not allowed." in capsys.readouterr().out

    def test_that_cannot_be_read_are_not_fine(self, audit, tool_says, capsys):
        tool_says("", "No such interpreter", code=1)

        assert audit.licences() == 2
        assert "No such interpreter" in capsys.readouterr().err


class TestHoles:
    def test_none(self, audit, tool_says, capsys):
        tool_says(json.dumps({"dependencies": [HARMLESS]}))

        assert audit.holes([]) == 0
        assert capsys.readouterr().out == "Known holes: 0 in 1 packages.\n"

    def test_are_named_with_what_mends_them(self, audit, tool_says, capsys):
        tool_says(json.dumps({"dependencies": [HARMLESS, BAD, UNKNOWN]}), code=1)

        assert audit.holes([]) == 1
        assert "bad 1.0: PYSEC-2026-1, mended in 1.1." in capsys.readouterr().out

    def test_that_nobody_knows_of_are_not_none(self, audit, tool_says, capsys):
        tool_says(json.dumps({"dependencies": [HARMLESS, UNKNOWN]}))

        assert audit.holes([]) == 2
        assert "1 packages were NOT CHECKED" in capsys.readouterr().err

    def test_say_clearly_that_the_service_does_not_answer(self, audit, tool_says, capsys):
        tool_says("", "Traceback …\nConnectionError: pypi.org does not answer", code=1)

        assert audit.holes([]) == 2
        assert capsys.readouterr().err == (
            "Known holes: NOT CHECKED. The advisory service did not answer:\n"
            "ConnectionError: pypi.org does not answer\n"
        )


class TestWorse:
    @pytest.mark.parametrize(
        ("codes", "expected"), [((0, 0), 0), ((0, 2), 2), ((1, 2), 1), ((2, 1), 1), ((1, 0), 1)]
    )
    def test_is_what_was_found(self, audit, codes, expected):
        assert audit.worse(*codes) == expected
