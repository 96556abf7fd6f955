"""Who is calling the API."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Session, User
from accounts.services import sessions
from accounts.services.sessions import InvalidAccessToken

SCHEME = "Bearer"


class SessionTokenAuthentication(BaseAuthentication):
    """
    ``Authorization: Bearer <access token>`` of a live session; ``request.auth`` is the session.

    One SQL statement, which brings the user and their billing details along. It is made on every
    call, so a sign-out or a suspension counts from the next call on.
    """

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        scheme, *tokens = get_authorization_header(request).split() or [b""]
        if scheme.lower() != SCHEME.lower().encode():
            return None
        if len(tokens) != 1:
            raise AuthenticationFailed("The header must read: Authorization: Bearer <token>.")
        try:
            session = sessions.find_live(
                access_token=tokens[0].decode("ascii", "replace"), now=timezone.now()
            )
        except InvalidAccessToken as refusal:
            # What DRF knows how to answer, with the WWW-Authenticate header.
            raise AuthenticationFailed(refusal.message) from None
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


# Beside the class, so that it is there whenever the class is in use.
class SessionTokenScheme(OpenApiAuthenticationExtension):
    target_class = SessionTokenAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
