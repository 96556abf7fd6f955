"""
Whether the harness notices: each guard is taken out of a copy of the project, and it has to fail.

    python -m tests.faults.mutations
    python -m tests.faults.mutations --only invoice-lock --seed 3

The copy with nothing taken away has to pass. Exits 1 where one of them does otherwise.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.mutations import Mutation, every_mutation

PROJECT = Path(__file__).resolve().parents[3]
UNTOUCHED = Mutation("nothing", None, None)
LIMIT = 120  # seconds in which each is to be found
MINUTES = "1.3"  # of load and faults, which leaves time to start and to verify
SORTS = ("lost: ", "doubled: ", "wrong: ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """:param finding: the first one, empty where there was none"""

    mutation: Mutation
    finding: str
    seconds: float
    is_right: bool


def main() -> int:
    names = [mutation.name for mutation in every_mutation()]
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations")
    parser.add_argument("--only", choices=[UNTOUCHED.name, *names])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--minutes", default=MINUTES)
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    outcomes = []
    for mutation in [UNTOUCHED, *every_mutation()]:
        if asked.only in (None, mutation.name):
            console.print(f"Without {mutation.name} …")
            outcomes.append(_tried(mutation, asked.seed, asked.minutes))
    console.print(_table(outcomes))
    return 0 if all(outcome.is_right for outcome in outcomes) else 1


def _tried(mutation: Mutation, seed: str, minutes: str) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="mutation", dir="/tmp") as folder:
        copy = Path(folder) / "project"
        _copy_project(copy)
        if mutation.patch:
            subprocess.run(["git", "apply", mutation.patch], cwd=copy, check=True)
        arguments = ["--seed", seed, "--minutes", minutes, "--round", "10", "--pause", "0.7"]
        if mutation.statements:
            arguments += ["--after-migrating", str(mutation.statements)]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults", *arguments, "--stop-at-first"],
            cwd=copy,
            env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
    if done.returncode not in (0, 1) or "Doubled" not in done.stdout:
        sys.exit(f"The harness itself failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    finding = next((line for line in done.stdout.splitlines() if line.startswith(SORTS)), "")
    is_found = done.returncode == 1 and finding != ""
    is_right = not is_found if mutation is UNTOUCHED else is_found and seconds <= LIMIT
    return Outcome(mutation, finding, seconds, is_right)


def _copy_project(copy: Path) -> None:
    """What git knows or would add, as it stands in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = PROJECT / name, copy / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="What the harness finds when a guard is taken away")
    for heading in ("without", "found", "seconds", "the first finding"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for outcome in outcomes:
        table.add_row(
            outcome.mutation.name,
            "yes" if outcome.finding else "no",
            f"{outcome.seconds:.0f}",
            outcome.finding[:200],
            style="" if outcome.is_right else "bold red",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
