"""Whoever has signed in to the admin shows the second factor before anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django_otp.middleware import OTPMiddleware

from accounts.models import User
from accounts.services import second_factor

GetResponse = Callable[[HttpRequest], HttpResponse]
ADMIN = "/admin/"


class SecondFactor:
    """
    Sends staff to the code, or to setting it up where it is demanded.

    The admin only: the API's sessions are opened with the code, so they need no question per call.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.verified = OTPMiddleware(self._pass_or_send)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(ADMIN):
            return self.verified(request)
        return self.get_response(request)

    def _pass_or_send(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in _open_pages() and request.user.is_authenticated:
            page = _missing(request)
            if page is not None:
                query = urlencode({"next": request.get_full_path()})
                return redirect(f"{reverse(page)}?{query}")
        return self.get_response(request)


def _open_pages() -> set[str]:
    names = ("admin:login", "admin:logout", "second-factor", "second-factor-set-up")
    return {reverse(name) for name in names}


def _missing(request: HttpRequest) -> str | None:
    """The page that is to be passed first."""
    user = cast(User, request.user)
    if user.is_verified():  # type: ignore[attr-defined]  # given by the middleware of django-otp
        return None
    if second_factor.is_set_up(user=user):
        return "second-factor"
    return "second-factor-set-up" if settings.STAFF_TWO_FACTOR_REQUIRED else None
