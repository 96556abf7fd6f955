"""Sign a webhook's body as a payment provider would."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from standardwebhooks import Webhook
from uuid_utils.compat import uuid7


class Command(BaseCommand):
    help = (
        "Print the headers of the Standard Webhooks scheme for the body in FILE, as curl reads "
        "them: manage.py sign_webhook body.json | curl -H @- --data-binary @body.json …"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the body, exactly as it will be sent")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        if not settings.BILLING_WEBHOOK_SECRETS:
            raise CommandError("BILLING_WEBHOOK_SECRETS is empty: there is nothing to sign with.")
        try:
            body = file.read_bytes().decode()  # not as text: line ends are signed as they are
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise CommandError(f"{file} cannot be read: it is not UTF-8.") from None
        now = timezone.now()
        message_id = f"msg_{uuid7()}"
        signature = Webhook(settings.BILLING_WEBHOOK_SECRETS[0]).sign(message_id, now, body)
        self.stdout.write(f"webhook-id: {message_id}")
        self.stdout.write(f"webhook-timestamp: {int(now.timestamp())}")
        self.stdout.write(f"webhook-signature: {signature}")
        self.stdout.write("content-type: application/json")
