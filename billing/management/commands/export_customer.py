"""Print all that is kept of a customer."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import User
from billing.services import personal_data


class Command(BaseCommand):
    help = "Print all that is kept of a customer, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("customer", metavar="E-MAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        email = User.objects.normalize_email(options["customer"])
        user = User.objects.filter(email=email).first()
        if user is None:
            raise CommandError(f"There is no customer {email}.")
        found = personal_data.collect(user=user, now=timezone.now())
        self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))
