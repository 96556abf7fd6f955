"""What a command that goes on for long does where its database is not there yet."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.management.base import CommandError
from django.db import OperationalError

from config.connections import wait_until_there


def await_database(tell: Callable[[str], None]) -> None:
    """
    Wait for the database as long as ``DATABASE_START_TIMEOUT`` says.

    :param tell: told once, where there is something to wait for
    :raises CommandError: if it does not come
    """
    seconds = settings.DATABASE_START_TIMEOUT
    try:
        wait_until_there(seconds=seconds, tell=tell)
    except OperationalError as failure:
        raise CommandError(
            f"The database did not answer within {seconds:g} seconds: {failure}"
        ) from None
