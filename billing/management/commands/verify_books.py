"""Recompute everything that must always hold."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing.services import books

PLAIN_WIDTH = 110  # columns of a table that goes to a file


class Command(BaseCommand):
    help = (
        "Recompute every rule of the books over the whole database: what was checked, how many "
        "rows, how many violations. It changes nothing, and may run beside live traffic. Exits 1 "
        "where a rule is broken."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.perf_counter()
        results = self._verify()
        console = _console(self.stdout)
        console.print(_table(results))
        console.print(f"{len(results)} rules verified in {time.perf_counter() - began:.1f} s.")
        broken = [result for result in results if result.violations]
        for result in broken:
            console.print(f"{result.name}: for example {', '.join(result.examples)}")
        if broken:
            raise CommandError(f"{len(broken)} of {len(results)} rules are broken.", returncode=1)

    def _verify(self) -> list[books.Result]:
        columns = (
            TextColumn("Verifying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=_console(self.stderr)) as bar:
            task = bar.add_task("", total=None)
            return books.verify(
                progress=lambda done, total, what: bar.update(
                    task, completed=done, total=total, description=what
                )
            )


def _console(stream: Any) -> Console:
    return Console(
        file=stream,
        width=None if stream.isatty() else PLAIN_WIDTH,
        markup=False,
        highlight=False,
        soft_wrap=False,
    )


def _table(results: list[books.Result]) -> Table:
    table = Table()
    table.add_column("Rule")
    table.add_column("Rows checked", justify="right")
    table.add_column("Violations", justify="right")
    for result in results:
        table.add_row(
            result.what,
            f"{result.rows:,}",
            f"{result.violations:,}",
            style="bold red" if result.violations else None,
        )
    return table
