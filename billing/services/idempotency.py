"""The first answer to a request, kept for clients that have to send it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection

from billing.models import IdempotencyRecord
from config.errors import DomainError
from config.prepared import Prepared

# The lock is transactional: it is gone with the transaction, whatever becomes of the process.
_CLAIM = Prepared(
    "claim_key",
    """
    SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0)),
           record.fingerprint, record.status_code, record.body
      FROM (VALUES (1)) AS always
      LEFT JOIN billing_idempotencyrecord record
             ON record.user_id = %(user)s AND record.key = %(key)s
    """,
    lock="text",
    user="uuid",
    key="text",
)
_CONSTRAINT = "idempotency_key_once"


class IdempotencyRefusal(DomainError):
    """The request was not tried: it says nothing of what was asked for."""


class IdempotencyKeyReused(IdempotencyRefusal):
    code = "idempotency_key_reused"
    http_status = 422


class IdempotencyInProgress(IdempotencyRefusal):
    code = "idempotency_in_progress"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Key:
    """
    A customer's key for one request.

    :param fingerprint: SHA-256 of what was asked for: the same key may not ask for anything else
    """

    user_id: UUID
    text: str
    fingerprint: bytes

    @classmethod
    def of(cls, *, user_id: UUID, text: str, content: str) -> Key:
        return cls(user_id, text, hashlib.sha256(content.encode()).digest())


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets: the same bytes each time."""

    status_code: int
    body: bytes
    is_replay: bool = False


def claim(*, key: Key) -> Answer | None:
    """
    Claim the key to the end of the transaction; gives the answer where there is one already.

    The unique constraint is what makes it safe: this look-up saves the work, and tells a request
    that is still running from one that is over.

    :raises IdempotencyInProgress: if the first request is still running
    :raises IdempotencyKeyReused: if the key was used for another body
    """
    with connection.cursor() as cursor:
        _CLAIM.execute(
            cursor,
            lock=f"idempotency:{key.user_id}:{key.text}",
            user=key.user_id,
            key=key.text,
        )
        is_claimed, fingerprint, status_code, body = cursor.fetchone()
    if fingerprint is not None:
        if bytes(fingerprint) != key.fingerprint:
            raise IdempotencyKeyReused("This Idempotency-Key was used with another body before.")
        return Answer(status_code, bytes(body), is_replay=True)
    if not is_claimed:
        raise IdempotencyInProgress("A request with this Idempotency-Key is still running.")
    return None


def record(*, key: Key, answer: Answer, now: datetime) -> IdempotencyRecord:
    """What keeps the answer; to be written in the transaction of what it tells of."""
    return IdempotencyRecord(
        user_id=key.user_id,
        key=key.text,
        fingerprint=key.fingerprint,
        status_code=answer.status_code,
        body=answer.body,
        created_at=now,
    )


def is_conflict(error: Exception) -> bool:
    """Whether another request with the same key was first."""
    diagnostics = getattr(error.__cause__, "diag", None)
    is_refused = isinstance(error, IntegrityError)
    return is_refused and getattr(diagnostics, "constraint_name", "") == _CONSTRAINT
