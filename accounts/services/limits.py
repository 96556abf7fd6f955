"""
How often something may be tried: counted in the database, so that it holds across processes.

A window begins with the first try, and counts until it is over. One statement counts and tells, in
a transaction of its own: of many at the same moment, exactly as many get through as may.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.crypto import salted_hmac

from accounts.models import RateLimit
from config.errors import DomainError

_COUNT = """
    INSERT INTO accounts_ratelimit AS known (scope, subject, count, began_at)
    VALUES (%(scope)s, %(subject)s, 1, %(now)s)
    ON CONFLICT (scope, subject) DO UPDATE
       SET count = CASE WHEN known.began_at > %(over)s THEN LEAST(known.count + 1, %(full)s)
                        ELSE 1 END,
           began_at = CASE WHEN known.began_at > %(over)s THEN known.began_at
                           ELSE excluded.began_at END
    RETURNING count, began_at
"""
_TAKE_BACK = """
    UPDATE accounts_ratelimit SET count = count - 1
     WHERE scope = %(scope)s AND subject = %(subject)s AND count > 0 AND began_at > %(over)s
"""
LONGEST = timedelta(days=1)  # of any window: what is older counts for nothing


class TooManyRequests(DomainError):
    code = "too_many_requests"
    http_status = 429


@dataclass(frozen=True, slots=True)
class Tried:
    """
    Something that counts against a limit of the settings.

    :param scope: a name of ``RATE_LIMITS``
    :param subject: who tries, or of whom: an e-mail, an address
    """

    scope: str
    subject: str

    @property
    def limit(self) -> tuple[int, timedelta] | None:
        """How often in how long; None is as often as one likes."""
        return settings.RATE_LIMITS[self.scope]

    def values(self, now: datetime) -> dict[str, Any]:
        assert self.limit  # noqa: S101 - who asks has looked
        most, length = self.limit
        hashed = salted_hmac(f"limit:{self.scope}", self.subject, algorithm="sha256").hexdigest()
        return {
            "scope": self.scope,
            "subject": hashed,
            "now": now,
            "over": now - length,
            "full": most + 1,
        }


def count(*tried: Tried, now: datetime) -> None:
    """
    Count a try. Not for use inside a transaction, which might take it back.

    :raises TooManyRequests: if it is one too many; ``context.retry_after`` says how many seconds
        it takes until the next one counts
    """
    for each in tried:
        if each.limit is None:
            continue
        most, length = each.limit
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, each.values(now))
            found, began_at = cursor.fetchone()
        if found == 1:
            _forget_old(now)
        if found > most:
            wait = max(1, math.ceil((began_at + length - now).total_seconds()))
            raise TooManyRequests(f"Too many tries: wait {wait} seconds.", retry_after=wait)


def take_back(*tried: Tried, now: datetime) -> None:
    """It was a success: only failures count."""
    for each in tried:
        if each.limit is not None:
            with connection.cursor() as cursor:
                cursor.execute(_TAKE_BACK, each.values(now))


def _forget_old(now: datetime) -> None:
    RateLimit.objects.filter(began_at__lt=now - LONGEST).delete()
