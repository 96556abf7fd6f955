"""Browsers of people who are signed in to the admin."""

from __future__ import annotations

from django.test import Client

from accounts.models import User


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
