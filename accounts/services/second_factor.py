"""
The second thing that staff show after their password: a code of their phone (TOTP, RFC 6238).

Ten recovery codes, each good once, stand in for a lost phone.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User
from accounts.services import sessions
from config.errors import DomainError

RECOVERY_CODES = 10
PHONE, PAPER = "phone", "recovery codes"


class SecondFactorRequired(DomainError):
    """The password was right, and a code is missing."""

    code = "second_factor_required"
    http_status = 401


class SecondFactorMissing(DomainError):
    """Somebody of staff has none yet, where all of them must."""

    code = "second_factor_missing"
    http_status = 403


class WrongCode(DomainError):
    code = "wrong_code"
    http_status = 401


class TooManyCodes(DomainError):
    """After each wrong code the wait is twice as long."""

    code = "too_many_codes"
    http_status = 429


def is_set_up(*, user: User) -> bool:
    return TOTPDevice.objects.filter(user=user, confirmed=True).exists()


def require_set_up(*, user: User) -> None:
    """
    Let nobody of staff work without a second factor where the settings demand one.

    :raises SecondFactorMissing: if it is demanded and there is none
    """
    if settings.STAFF_TWO_FACTOR_REQUIRED and not is_set_up(user=user):
        raise SecondFactorMissing("Set up two-factor sign-in in the admin first.")


@transaction.atomic
def begin(*, user: User) -> TOTPDevice:
    """Return the phone that is being set up: the same one until it is confirmed."""
    User.objects.lock(user.pk)
    waiting = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    return waiting or TOTPDevice.objects.create(user=user, name=PHONE, confirmed=False)


def confirm(*, user: User, code: str, now: datetime) -> tuple[TOTPDevice, list[str]]:
    """
    Turn the second factor on, by the first code of the new phone. It takes the old one's place.

    Every session of the API ends: from here on each one was opened with a code.

    :return: the phone, and the recovery codes, which are shown this once
    :raises WrongCode: if it is not the phone's code of now
    :raises TooManyCodes: if it has to wait
    """
    with transaction.atomic():
        User.objects.lock(user.pk)
        phone = TOTPDevice.objects.filter(user=user, confirmed=False).first()
        refusal = _refusal(phone, _typed(code))
        if phone is not None and refusal is None:
            TOTPDevice.objects.filter(user=user, confirmed=True).delete()
            phone.confirmed = True
            phone.save()
            codes = _new_recovery_codes(user)
            sessions.end_all(user=user, now=now)
            return phone, codes
    # Outside: that a wrong code was tried is to be remembered.
    raise refusal or WrongCode("Begin anew: there is no phone to set up.")


def verify(*, user: User, code: str) -> Device:
    """
    Check a code of the phone or a recovery code; each one is good once.

    The user's row is locked, so that one code lets one in, and tries are counted one by one. Not
    for use inside a transaction: the count must stay when this raises.

    :raises WrongCode: if it is none of the user's
    :raises TooManyCodes: if it has to wait
    """
    code = _typed(code)
    with transaction.atomic(durable=True):
        User.objects.lock(user.pk)
        kind = TOTPDevice if code.isdigit() else StaticDevice
        device = kind.objects.filter(user=user, confirmed=True).first()
        refusal = _refusal(device, code)
    if device is None or refusal is not None:
        raise refusal or WrongCode("The code is wrong.")
    return device


def ask(*, user: User, code: str) -> None:
    """
    Let pass whoever shows the code.

    :raises SecondFactorRequired: if there is none to check
    :raises WrongCode: as ``verify`` does
    :raises TooManyCodes: as ``verify`` does
    """
    if not code:
        raise SecondFactorRequired("code: The code of your authenticator app is missing.")
    verify(user=user, code=code)


@transaction.atomic
def remove(*, user: User, now: datetime) -> None:
    """Turn it off: for a superuser, when somebody has lost the phone and the recovery codes."""
    User.objects.lock(user.pk)
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    sessions.end_all(user=user, now=now)


def _refusal(device: Device | None, code: str) -> DomainError | None:
    """Try the code on the device, which counts it."""
    if device is None:
        return WrongCode("The code is wrong.")
    if not device.verify_is_allowed()[0]:
        return TooManyCodes("Too many wrong codes: wait a little before the next one.")
    return None if device.verify_token(code) else WrongCode("The code is wrong.")


def _typed(code: str) -> str:
    """As people type it: apps show the digits with a space, phones begin with a capital."""
    return "".join(code.split()).lower()


def _new_recovery_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    paper = StaticDevice.objects.create(user=user, name=PAPER)
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=paper, token=code) for code in codes)
    return codes
