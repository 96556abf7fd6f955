"""Turn the clock of one customer, and show what happened."""

from __future__ import annotations

import html
import time
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.html import strip_tags
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from accounts.models import User
from billing.admin import timeline
from billing.admin.links import Links
from billing.management.commands.run_billing import PLAIN_WIDTH, moment_of_text
from billing.models import Event, Subscription, TestClock
from billing.services import clocks
from billing.services.renewals.running import Summary
from config.errors import DomainError

SHORT = {"pays": "pays", "fails-twice": "fails_twice", "never": "never_pays"}


class Command(BaseCommand):
    help = (
        "Play the renewals, retries and ends of one customer until a moment, in order of time, and "
        "print what happened. For development and tests: from then on the customer's time is their "
        "own, and run_billing leaves them alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customer", required=True, metavar="E-MAIL")
        parser.add_argument("--to", required=True, metavar="MOMENT", help="As 2029-01-01.")
        parser.add_argument(
            "--pays", choices=SHORT, help="How the customer pays from now on (pays)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["customer"].lower()).first()
        if user is None:
            raise CommandError(f"There is no customer {options['customer']}.")
        to = moment_of_text("--to", options["to"])
        seen = set(Event.objects.filter(user=user).values_list("pk", flat=True))
        began = time.perf_counter()
        try:
            done = self._turn(user, to, options["pays"])
        except DomainError as refusal:
            raise CommandError(refusal.message) from None
        console = Console(
            file=self.stdout,  # type: ignore[arg-type]
            width=None if self.stdout.isatty() else PLAIN_WIDTH,
            markup=False,
            highlight=False,
        )
        console.print(_timeline(user, seen))
        console.print(
            f"{done.invoiced:,} invoices, {done.paid:,} payments, {done.failed:,} failures "
            f"in {time.perf_counter() - began:.1f} s."
        )
        console.print(_standing(user))

    def _turn(self, user: User, to: Any, pays: str | None) -> Summary:
        columns = (SpinnerColumn(), TextColumn("Turning"), TimeElapsedColumn())
        console = Console(file=self.stderr, markup=False)  # type: ignore[arg-type]
        with Progress(*columns, TextColumn("{task.description}"), console=console) as bar:
            task = bar.add_task("")
            return clocks.turn(
                user=user,
                to=to,
                behaviour=SHORT[pays] if pays else None,
                progress=lambda done: bar.update(
                    task, description=f"{done.invoiced:,} invoices, {done.paid:,} payments"
                ),
                now=timezone.now(),
            )


def _timeline(user: User, seen: set[Any]) -> Table:
    """What has happened since, oldest first."""
    happened = Event.objects.filter(user=user).exclude(pk__in=seen).order_by("created_at", "pk")
    table = Table()
    table.add_column("When (UTC)", no_wrap=True)
    table.add_column("What")
    for moment in timeline.tell(list(happened), Links(AnonymousUser())):
        said = html.unescape(strip_tags(moment.sentence))
        table.add_row(f"{moment.at:%Y-%m-%d %H:%M}", said)
    return table


def _standing(user: User) -> str:
    clock = TestClock.objects.get(user=user)
    newest = Subscription.objects.filter(user=user).order_by("-pk").first()
    if newest is None:
        return f"It is {clock.now_at:%Y-%m-%d %H:%M} for {user.email}, without a subscription."
    ends = newest.expires_at
    word = "until" if ends and ends > clock.now_at else "since"
    day = f" {word} {ends:%Y-%m-%d}" if ends else ""
    standing = f"{newest.name}, {newest.status}{day}"
    return f"It is {clock.now_at:%Y-%m-%d %H:%M} for {user.email}: {standing}."
