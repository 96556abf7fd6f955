"""Browsers of people who are signed in to the admin, and their phones."""

from __future__ import annotations

import time

from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def code_of(phone: TOTPDevice, ahead: int = 0) -> str:
    """What the phone shows, some steps of 30 seconds ahead."""
    totp = TOTP(phone.bin_key)
    totp.time = time.time() + ahead * 30
    return f"{totp.token():06}"
