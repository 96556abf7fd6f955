"""What was mailed, that which is sent in the background included."""

from __future__ import annotations

from django.core import mail
from django.core.mail import EmailMessage

from config import background

PATIENCE = 10  # seconds


def letters() -> list[EmailMessage]:
    assert background.wait_for_all(seconds=PATIENCE), "It takes too long."
    return list(mail.outbox)
