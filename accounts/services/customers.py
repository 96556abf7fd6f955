"""Accounts in the hands of staff: opened, changed, shut and let in again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.services import accounts, details, passwords, sessions
from config import history
from config.errors import DomainError


class EmailInUse(DomainError):
    """What ``EmailTaken`` is to a stranger, told to staff."""

    code = "email_in_use"
    http_status = 409


class OutOfReach(DomainError):
    code = "account_out_of_reach"
    http_status = 403


def is_within_reach(*, user: User, by: User) -> bool:
    """Staff are so for superusers only: whoever changes a member of staff could become them."""
    return by.is_superuser or not user.is_employed


def refusal_to_change(*, user: User, by: User) -> str:
    """Why somebody may not change this account, or "" where they may."""
    if user == by:
        return "this is you."
    if not is_within_reach(user=user, by=by):
        return "only a superuser can change staff."
    return ""


def create(
    *, email: str, password: str | None, given: Mapping[str, str], by: User, now: datetime
) -> User:
    """
    Open an account for a customer.

    :param password: without one they are mailed a link to set theirs
    :param given: columns of ``BillingDetails``
    :raises EmailInUse: if there is an account with this e-mail
    :raises WeakPassword: if a password validator refuses the password
    :raises UnknownCountry: if the country is none
    """
    email = User.objects.normalize_email(email)
    if password is not None:
        passwords.check_strength(password=password, user=User(email=email), field="password")
    with transaction.atomic(), history.noted(by=by.pk, reason=""):
        user = User(email=email, created_at=now)
        user.set_password(password)
        _save(user)
        if given:
            details.update(user=user, **given)
        if password is None:
            passwords.forget(email=email)
    return user


@transaction.atomic
def edit(
    *, user: User, email: str | None, given: Mapping[str, str], by: User, now: datetime
) -> User:
    """
    Change the e-mail or the billing details of a customer; what is not named stays.

    A new e-mail ends every session: whoever had the account signs in anew.

    :raises OutOfReach: if the account is staff's, or one's own
    :raises EmailInUse: if there is another account with this e-mail
    :raises UnknownCountry: if the country is none
    """
    with history.noted(by=by.pk, reason=""):
        locked = _lock(user, by)
        if email is not None and User.objects.normalize_email(email) != locked.email:
            locked.email = User.objects.normalize_email(email)
            _save(locked)
            sessions.end_all(user=locked, now=now)
        if given:
            details.update(user=locked, **given)
    return locked


@transaction.atomic
def suspend(*, user: User, by: User, reason: str, now: datetime) -> User:
    """
    Shut a customer out, at once.

    :raises OutOfReach: if the account is staff's, or one's own
    :raises AccountClosed: if it is closed
    """
    with history.noted(by=by.pk, reason=reason):
        return accounts.suspend(user=_lock(user, by), now=now)


@transaction.atomic
def activate(*, user: User, by: User, reason: str, now: datetime) -> User:
    """
    Let a customer in again.

    :raises OutOfReach: if the account is staff's, or one's own
    :raises AccountClosed: if it is closed
    """
    with history.noted(by=by.pk, reason=reason):
        return accounts.activate(user=_lock(user, by), now=now)


@transaction.atomic
def close(*, user: User, by: User, reason: str, now: datetime) -> User:
    """
    End an account for good.

    :raises OutOfReach: if the account is staff's, or one's own
    """
    with history.noted(by=by.pk, reason=reason):
        return accounts.close(user=_lock(user, by), now=now)


def _lock(user: User, by: User) -> User:
    locked = User.objects.lock(user.pk)
    if reason := refusal_to_change(user=locked, by=by):
        raise OutOfReach(f"{locked}: {reason}")
    return locked


def _save(user: User) -> None:
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        if not User.objects.filter(email=user.email).exclude(pk=user.pk).exists():
            raise
        raise EmailInUse("email: There is an account with this e-mail already.") from None
