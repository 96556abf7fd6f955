"""
Load and faults against a database and a server of their own, and the proof of what is left.

    python -m tests.faults --seed 7 --minutes 30
    python -m tests.faults --minutes 5 --pgbouncer

Exits 1 where anything acknowledged was lost, is there twice, or is not as it was told.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.faults import pooler
from tests.faults.world import World

if TYPE_CHECKING:
    from tests.faults.rounds import Result

SHOWN = 20  # findings of each sort


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, help="Of the plan; a random one where it is missing.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--pgbouncer", action="store_true", help="Behind it, in transaction mode.")
    parser.add_argument("--round", type=float, default=20.0, help="Seconds of a round.")
    parser.add_argument("--pause", type=float, default=1.0, help="Seconds between two faults.")
    parser.add_argument("--stop-at-first", action="store_true", help="After a round with findings.")
    parser.add_argument("--not-durable", action="store_true", help="Do not wait for the disk.")
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False, markup=False)
    if asked.pgbouncer and pooler.PROGRAM is None:
        console.print(pooler.MISSING)
        return 2
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    console.print(f"Seed {seed}.")
    with World(durable=not asked.not_durable, pooled=asked.pgbouncer) as world:
        from tests.faults import rounds  # which needs the database's settings

        result = rounds.play(
            world=world,
            seed=seed,
            seconds=asked.minutes * 60,
            round_seconds=asked.round,
            pause=asked.pause,
            tell=console.print,
            stop_at_first=asked.stop_at_first,
        )
        result.findings.wrong += world.secrets_in_log(rounds.PASSWORD)
        world.has_findings = not result.findings.is_clean
        report(console, world, result)
    return 0 if result.findings.is_clean else 1


def report(console: Console, world: World, result: Result) -> None:
    table = Table(title=f"{result.rounds} rounds in {result.seconds:.0f} s")
    table.add_column("What")
    table.add_column("How many", justify="right")
    table.add_row("Requests", f"{sum(world.web.statuses.values()):,}")
    for status, count in sorted(world.web.statuses.items()):
        table.add_row("  without an answer" if status == "none" else f"  {status}", f"{count:,}")
    table.add_row("Acknowledged", f"{sum(world.journal.counts.values()):,}")
    for kind, count in sorted(world.journal.counts.items()):
        table.add_row(f"  {kind}", f"{count:,}")
    for name in ("lost", "doubled", "wrong"):
        count = len(getattr(result.findings, name))
        table.add_row(name.capitalize(), f"{count:,}", style="bold red" if count else "bold")
    console.print(table)
    console.print(_faults(result))
    for sentence in result.skipped:
        console.print(sentence)
    for name in ("lost", "doubled", "wrong"):
        sentences = getattr(result.findings, name)
        for sentence in sentences[:SHOWN]:
            console.print(f"{name}: {sentence}", soft_wrap=True)
        if len(sentences) > SHOWN:
            console.print(f"{name}: and {len(sentences) - SHOWN} more")


def _faults(result: Result) -> Table:
    table = Table(title="Faults, and seconds until requests are answered again")
    table.add_column("Fault")
    for title in ("How many", "Median", "Worst"):
        table.add_column(title, justify="right")
    everything: list[float] = []
    for kind, seconds in sorted(result.recoveries.items()):
        everything += seconds
        table.add_row(
            kind, f"{len(seconds)}", f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"
        )
    if everything:
        median, worst = statistics.median(everything), max(everything)
        table.add_row("all", f"{len(everything)}", f"{median:.2f}", f"{worst:.2f}", style="bold")
    return table


if __name__ == "__main__":
    sys.exit(main())
