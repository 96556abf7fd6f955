"""Fill the database with something to look at."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from accounts.models import User
from billing.demo import catalogue, people, story
from billing.demo.steps import Stage
from billing.models import Event, Invoice
from billing.services import events

LOADED = "demo.loaded"


class Command(BaseCommand):
    help = (
        "Fill the database with demo data: a catalogue, staff of each role, customers, and half "
        "a year of what they bought. A second run changes nothing. For development only."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        if settings.BILLING_PAYMENT_PROVIDER != "sandbox":
            raise CommandError(
                "The demo is for development: it has passwords that everybody knows, so it is "
                "loaded only where BILLING_PAYMENT_PROVIDER is sandbox."
            )
        self.console = Console(file=self.stdout, highlight=False)  # type: ignore[arg-type]
        admin = User.objects.filter(email=people.ADMIN).first() or self._set_the_stage()
        if Event.objects.filter(user=admin, name=LOADED).exists():
            self.console.print("The demo data is here already. Nothing was changed.")
        else:
            self._play(admin)
        self._print_logins()

    @transaction.atomic
    def _set_the_stage(self) -> User:
        """Staff and catalogue, all of it or nothing."""
        now = timezone.now()
        if taken := catalogue.taken_names():
            names = ", ".join(item.name for item in taken)
            raise CommandError(f"The demo would add items that are here already: {names}.")
        since = now - story.DAYS_OF_CATALOGUE
        catalogue.make(since=since, price_rise=catalogue.price_rise(started_at=now))
        try:
            return people.hire(now=now)
        except people.RoleMissing as role:
            raise CommandError(f"The group {role} is missing: migrate the database.") from None

    def _play(self, admin: User) -> None:
        stage = Stage(password=make_password(people.PASSWORD))
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            steps = story.steps(started_at=admin.created_at)
            for step in progress.track(steps, description="Half a year of customers"):
                step.play(stage)
        with transaction.atomic():
            events.record(Event(name=LOADED, user=admin, payload={"steps": len(steps)}))
        invoices = Invoice.objects.filter(user__in=stage.users.values()).count()
        self.console.print(f"Loaded {len(stage.users)} customers and {invoices} invoices.")

    def _print_logins(self) -> None:
        table = Table(title=f"Demo logins: the password of all is “{people.PASSWORD}”")
        for heading in ("E-mail", "Who", "Where"):
            table.add_column(heading)
        table.add_row(people.ADMIN, "superuser", "/admin/")
        for email, role in people.ROLES.items():
            table.add_row(email, f"staff: {role}", "/admin/")
        for person in people.NAMED:
            name = f"{person.details['first_name']} {person.details['last_name']}"
            table.add_row(person.email, f"customer: {name}, pays in {person.currency}", "the API")
        self.console.print(table)
