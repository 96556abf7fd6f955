"""Who may still come in: accounts are suspended, brought back and closed, never deleted."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from accounts.models import User
from accounts.services import sessions
from config.errors import DomainError


class AccountClosed(DomainError):
    code = "account_closed"


def suspend(*, user: User, now: datetime) -> User:
    """
    Shut somebody out, at once: every session ends. Again: nothing happens.

    :raises AccountClosed: if the account is closed
    """
    return _move(user=user, status=User.Status.SUSPENDED, now=now)


def activate(*, user: User, now: datetime) -> User:
    """
    Let somebody in: a suspended account, or one that waits for it. Again: nothing happens.

    :raises AccountClosed: if the account is closed
    """
    return _move(user=user, status=User.Status.ACTIVE, now=now)


def close(*, user: User, now: datetime) -> User:
    """
    End an account for good. The row stays: invoices and payments refer to it.

    Its e-mail stays taken, so that nobody else can come after its invoices.
    """
    return _move(user=user, status=User.Status.DELETED, now=now)


@transaction.atomic
def _move(*, user: User, status: User.Status, now: datetime) -> User:
    locked = User.objects.lock(user.pk)
    if locked.status == User.Status.DELETED and status != User.Status.DELETED:
        raise AccountClosed("The account is closed for good.", user_id=str(locked.pk))
    if locked.status != status:
        locked.status = status
        locked.save(update_fields=["status"])
    if not locked.is_active:
        sessions.end_all(user=locked, now=now)
    return locked
