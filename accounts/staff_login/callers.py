"""Who tries to sign in, and from where."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User


def username_of(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The e-mail that was typed; another spelling of it is not another account."""
    typed = (credentials or {}).get("username") or request.POST.get("username", "")
    return User.objects.normalize_email(typed)[:255]


def address_of(request: HttpRequest) -> str:
    """
    The client's address, as the outermost of our own proxies saw it.

    Without proxies X-Forwarded-For is whatever the client wrote, and is not looked at.
    """
    direct = request.META.get("REMOTE_ADDR") or "127.0.0.1"  # a Unix socket has none
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    depth = settings.TRUSTED_PROXIES
    if not depth or len(forwarded) < depth:
        return direct
    return _checked(forwarded[-depth]) or direct


def _checked(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
