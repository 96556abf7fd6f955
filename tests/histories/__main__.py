"""Random customers over three years; every amount is reckoned again from the event log."""

from __future__ import annotations

import argparse
import sys
import time

from tests.histories.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with World():
        return _play(options.customers, options.seed)


def _play(customers: int, seed: int) -> int:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from tests.histories import many

    console = Console()
    began = time.monotonic()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Customers", total=customers)
        outcome = many.play(
            customers=customers, seed=seed, progress=lambda _done: progress.advance(task)
        )
    console.print(_table(outcome, time.monotonic() - began))
    for found in (*outcome.differences[:20], *outcome.violations[:20]):
        console.print(found)
    return 1 if outcome.differences or outcome.violations else 0


def _table(outcome: object, seconds: float) -> object:
    from rich.table import Table

    from tests.histories.many import Outcome

    assert isinstance(outcome, Outcome)
    table = Table(title=f"Histories of three years, {seconds:.0f} s")
    table.add_column("What")
    table.add_column("How often", justify="right")
    rows = [("customers", outcome.customers)]
    rows += [(f"step: {name}", times) for name, times in sorted(outcome.steps.items())]
    rows += [(f"refused: {code}", times) for code, times in sorted(outcome.refused.items())]
    rows += [(f"invoice: {reason}", times) for reason, times in sorted(outcome.invoices.items())]
    rows += [("differences", len(outcome.differences))]
    rows += [("rules of the books broken", len(outcome.violations))]
    for name, times in rows:
        table.add_row(name, f"{times:,}")
    return table


if __name__ == "__main__":
    sys.exit(main())
