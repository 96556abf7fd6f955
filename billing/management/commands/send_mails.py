"""Send what waits in the outbox."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from billing.management import stopping
from billing.management.stopping import Stop
from billing.services import outbox
from billing.services.outbox import Sent

BATCH = 50  # mails over one connection, between two steps of the bar


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError("at least 1")
    return int(text)


class Command(BaseCommand):
    help = (
        "Send the mails that wait in the outbox, each once, however many senders run beside each "
        "other. What the mail server does not take is tried again later, and parked in the end: "
        "the admin lists it under Mails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=_number, help="send at most so many (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        with stopping.on_signals() as stop:
            total = self._send(options["limit"], stop)
        self.stdout.write(
            f"{total.sent:,} sent, {total.failed:,} to be tried again, {total.parked:,} parked."
        )
        if stop.is_asked_for:
            self.stdout.write("Stopped between two mails. The next run sends the others.")

    def _send(self, limit: int | None, stop: Stop) -> Sent:
        waiting = outbox.due(now=timezone.now()).count()
        left = waiting if limit is None else min(waiting, limit)
        total = Sent()
        columns = (
            TextColumn("Sending"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        console = Console(file=self.stderr, highlight=False)  # type: ignore[arg-type]
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=left)
            while True:
                batch = min(BATCH, left)
                done = outbox.send_due(
                    now=timezone.now(), limit=batch, must_stop=lambda: stop.is_asked_for
                )
                total = _sum(total, done)
                tried = done.sent + done.failed + done.parked
                left -= batch
                bar.update(task, advance=tried)
                if left <= 0 or tried < batch:
                    return total


def _sum(one: Sent, other: Sent) -> Sent:
    return Sent(
        sent=one.sent + other.sent,
        parked=one.parked + other.parked,
        failed=one.failed + other.failed,
    )
