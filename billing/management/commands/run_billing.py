"""Renew, collect, retry and end whatever is due."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing.management import stopping
from billing.management.stopping import Stop
from billing.management.waiting import await_database
from billing.services.renewals import playing, running
from billing.services.renewals.running import Summary

PLAIN_WIDTH = 110  # columns of a table that goes to a file
WHAT = {
    "invoiced": "Renewals invoiced",
    "paid": "Invoices paid",
    "failed": "Payments failed",
    "parked": "Renewals parked",
    "expired": "Subscriptions ended",
    "given_up": "Unpaid invoices given up",
    "trials_over": "Trials that were paid for over",
}


class Command(BaseCommand):
    help = (
        "Invoice what comes to the end of its period, take the payments, retry what failed, end "
        "what is over. Run it as often as you like, and as many at once: nothing is done twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--until",
            metavar="MOMENT",
            help="Act as if it were this moment, as 2026-12-31 or 2026-12-31T12:00Z (not later "
            "than now; in development later ones are played step by step).",
        )
        parser.add_argument(
            "--every",
            type=int,
            metavar="SECONDS",
            help="Go on until it is stopped (SIGTERM, SIGINT), so many seconds between two runs.",
        )
        parser.add_argument("--batch", type=int, default=running.BATCH, help="How many at a time.")

    def handle(self, *args: Any, **options: Any) -> None:
        until = moment_of_text("--until", options["until"]) if options["until"] else None
        every = options["every"]
        if every is not None and (until or every < 1):
            raise CommandError("--every takes a number of seconds, and goes without --until.")
        with stopping.on_signals() as stop:
            if every:  # it may start beside this one, or anew between two runs
                await_database(self.stderr.write)
            self._run(until, options["batch"], stop)
            while every and not stop.is_asked_for:
                stop.sleep(every)
                if not stop.is_asked_for:
                    await_database(self.stderr.write)
                    self._run(None, options["batch"], stop)
        if stop.is_asked_for:
            self.stdout.write("Stopped between two batches. The next run goes on from here.")

    def _run(self, until: datetime | None, batch: int, stop: Stop) -> None:
        now = timezone.now()
        if until and until > now and not settings.BILLING_TEST_CLOCKS:
            raise CommandError("--until lies in the future: nobody pays in advance of that.")
        began = time.perf_counter()
        with Progress(
            SpinnerColumn(),
            TextColumn("Billing"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=Console(file=self.stderr, markup=False),
        ) as bar:
            task = bar.add_task("")

            def progress(done: Summary) -> None:
                bar.update(task, description=_in_words(done))

            steps: dict[str, Any] = {
                "batch": batch,
                "progress": progress,
                "must_stop": lambda: stop.is_asked_for,
            }
            if until and until > now:
                done = playing.play(begins=now, until=until, **steps)
            else:
                done = running.run(now=until or now, **steps)
        console = _console(self.stdout)
        console.print(_table(done))
        console.print(f"Done in {time.perf_counter() - began:.1f} s.")


def moment_of_text(option: str, text: str) -> datetime:
    """
    Read a day or a moment, in UTC where no zone is named.

    :raises CommandError: if it is neither
    """
    try:
        moment = parse_datetime(text)
        day = None if moment else parse_date(text)
    except ValueError as error:
        raise CommandError(f"{option} {text}: {error}.") from None
    if day:
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment is None:
        raise CommandError(f"{option} {text}: write 2026-12-31 or 2026-12-31T12:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_words(done: Summary) -> str:
    return f"{done.invoiced:,} invoiced, {done.paid:,} paid, {done.failed:,} failed"


def _console(stream: Any) -> Console:
    return Console(
        file=stream,
        width=None if stream.isatty() else PLAIN_WIDTH,
        markup=False,
        highlight=False,
    )


def _table(done: Summary) -> Table:
    table = Table()
    table.add_column("What")
    table.add_column("How many", justify="right")
    for name, title in WHAT.items():
        count = getattr(done, name)
        table.add_row(title, f"{count:,}", style="bold red" if name == "parked" and count else None)
    return table
