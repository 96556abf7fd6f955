"""The harness of faults in its short form; in full by ``python -m tests.faults --minutes 30``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# The harness has a database and settings of its own.
FOREIGN = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")


@pytest.mark.concurrency
class TestShortForm:
    def test_finds_everything_acknowledged_there_and_once(self):
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults", "--seed", "7", "--minutes", "0.3"]
            + ["--round", "9", "--pause", "0.7", "--not-durable"],
            cwd=PROJECT,
            env={name: value for name, value in os.environ.items() if name not in FOREIGN},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("Lost", "Doubled", "Wrong"):
            assert _told(done.stdout, name) == 0
        assert _told(done.stdout, "Requests") > 100
        assert _told(done.stdout, "Acknowledged") > 30
        assert _told(done.stdout, "all") > 5  # faults


def _told(table: str, name: str) -> int:
    found = re.search(rf"│ {name}\s+│\s+([\d,]+)", table)
    assert found, table
    return int(found[1].replace(",", ""))
