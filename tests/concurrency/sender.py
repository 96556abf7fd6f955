"""A process that sends mails and can be killed between any two statements of it."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection

from django.conf import settings
from django.db import connection

from tests.concurrency import server  # which sets Django up

assert server

from billing.services import outbox  # noqa: E402
from tests.concurrency.moments import NOON  # noqa: E402


def send(database: str, name: str, port: int, dies_before: int | None, report: Connection) -> None:
    """
    Send what is due at noon, but die by SIGKILL before a step, and say before which.

    :param name: by which the database knows this process; mails say its id, for whoever kills it
    """
    connection.settings_dict["NAME"] = database
    connection.settings_dict["OPTIONS"]["application_name"] = name
    settings.EMAIL_BACKEND = "config.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.BILLING_SELLER_NAME = str(os.getpid())

    def die(step: str) -> None:
        report.send(step)
        os.kill(os.getpid(), signal.SIGKILL)

    with server.interrupted(before=dies_before or 0, by=die):
        outbox.send_due(now=NOON, limit=10)
