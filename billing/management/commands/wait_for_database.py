"""Wait until the database answers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from billing.management.waiting import await_database


class Command(BaseCommand):
    help = (
        "Wait until the database answers, DATABASE_START_TIMEOUT seconds at most. To be run before "
        "migrate where both are started at once."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        await_database(self.stderr.write)
