"""
Take away one guard of the project at a time, and see the faults find it.

    python -m tests.faults.mutations
    python -m tests.faults.mutations --only invoice-lock --seed 7

Each ``*.patch`` beside this file is applied to a copy of the project, where the harness plays with
a database of its own. What counts as found is in the first line of the patch: that something else
is wrong proves nothing. Exits 1 where one is not found in time, or where the copy as it is does
not pass.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent.parent.parent
UNCHANGED = "unchanged"
FINDING = r"(lost|doubled|wrong): .*"
FOUND_BY = "Found by: "
SHOWN = 160  # characters of a finding
# Short, so that what is broken is soon looked for; a shorter pause makes more faults of it.
PACE = ("--round", "12", "--pause", "0.5", "--stop-at-first", "--not-durable")


@dataclass(frozen=True, slots=True)
class Trial:
    """What the harness said of one copy; ``found`` is the finding that was expected."""

    name: str
    exit_code: int
    seconds: float
    found: str
    output: str

    @property
    def is_as_expected(self) -> bool:
        """A harness that breaks down has found nothing, whatever its exit code is."""
        if self.name == UNCHANGED:
            return self.exit_code == 0
        return self.exit_code == 1 and bool(self.found)


def patches() -> list[Path]:
    return sorted(FOLDER.glob("*.patch"))


def main() -> int:
    names = [UNCHANGED, *(patch.stem for patch in patches())]
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations")
    parser.add_argument("--only", choices=names, action="append", help="These, not all of them.")
    parser.add_argument("--minutes", type=float, default=2.0, help="For each, at most.")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False, markup=False)
    trials = []
    for name in asked.only or names:
        console.print(f"{name} …")
        trial = _try(name, minutes=asked.minutes, seed=asked.seed)
        console.print(f"{name}: {trial.seconds:.0f} s, {trial.found or 'nothing found'}")
        if not trial.is_as_expected:
            console.print(trial.output)
        trials.append(trial)
    console.print(_table(trials))
    return 0 if all(trial.is_as_expected for trial in trials) else 1


def _try(name: str, *, minutes: float, seed: int) -> Trial:
    copy = Path(tempfile.mkdtemp(prefix="mutation", dir="/tmp"))
    try:
        copy.chmod(0o711)
        _copy_to(copy)
        if name != UNCHANGED:
            _apply(FOLDER / f"{name}.patch", copy)
        return _play(name, copy, minutes=minutes, seed=seed)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _copy_to(copy: Path) -> None:
    """What git knows of, as it is in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.split("\0"):
        source = PROJECT / name
        if name and source.is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _apply(patch: Path, copy: Path) -> None:
    # The copy is no repository of its own, and must not be taken for part of another one.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}
    subprocess.run(["git", "apply", patch], cwd=copy, check=True, env=environment)


def _play(name: str, copy: Path, *, minutes: float, seed: int) -> Trial:
    command = [sys.executable, "-m", "tests.faults", "--seed", str(seed)]
    command += ["--minutes", str(minutes), *PACE]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=copy, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.monotonic() - began
    findings = [line for line in done.stdout.splitlines() if re.match(FINDING, line)]
    found = next((line for line in findings if re.search(_expected(name), line)), "")
    return Trial(name, done.returncode, seconds, found[:SHOWN], done.stdout)


def _expected(name: str) -> str:
    """The finding that only this guard's absence makes; of the unchanged copy it is any."""
    if name == UNCHANGED:
        return FINDING
    first = (FOLDER / f"{name}.patch").read_text().splitlines()[0]
    return first.removeprefix(FOUND_BY)


def _table(trials: list[Trial]) -> Table:
    table = Table(title="What the faults find when a guard is taken away")
    table.add_column("Guard taken away")
    table.add_column("Seconds", justify="right")
    table.add_column("Found by")
    table.add_column("As expected")
    for trial in trials:
        found = trial.found or ("nothing, as it should be" if trial.exit_code == 0 else "nothing")
        verdict = "yes" if trial.is_as_expected else "NO"
        table.add_row(trial.name, f"{trial.seconds:.0f}", found, verdict)
    return table


if __name__ == "__main__":
    sys.exit(main())
