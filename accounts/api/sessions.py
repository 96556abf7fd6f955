"""Signing up, in and out, and the way back in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.serializers import (
    CredentialsSerializer,
    DoneSerializer,
    ForgottenPasswordSerializer,
    NotSignedInSerializer,
    PasswordResetSerializer,
    RefreshTokenSerializer,
    RegistrationSerializer,
    SignedInSerializer,
    TokensSerializer,
)
from accounts.models import User
from accounts.services import entry, limits, passwords, registration, sessions
from accounts.services.limits import Tried
from accounts.staff_login.callers import address_of
from config.schema import ErrorSerializer


class PublicView(APIView):
    """For callers without a token; one that is sent along is not looked at."""

    authentication_classes = []
    permission_classes = []


class Register(PublicView):
    error_extra = {"success": False}

    @extend_schema(
        tags=["accounts"],
        operation_id="register",
        request=RegistrationSerializer,
        responses={
            200: SignedInSerializer,
            400: NotSignedInSerializer,
            429: NotSignedInSerializer,
        },
    )
    def post(self, request: Request) -> Response:
        """Open an account and sign in."""
        given = _checked(RegistrationSerializer, request)
        now = timezone.now()
        limits.count(Tried("register", address_of(request)), now=now)
        tokens = registration.register(**given, now=now)
        return Response(SignedInSerializer(tokens).data)


class Login(PublicView):
    error_extra = {"success": False}

    @extend_schema(
        tags=["accounts"],
        operation_id="login",
        request=CredentialsSerializer,
        responses={
            200: SignedInSerializer,
            400: NotSignedInSerializer,
            401: NotSignedInSerializer,
            429: NotSignedInSerializer,
        },
    )
    def post(self, request: Request) -> Response:
        """Sign in. An unknown e-mail, a wrong password and a suspended account look alike."""
        given = _checked(CredentialsSerializer, request)
        code = given.pop("code")
        now = timezone.now()
        tried = (
            Tried("log_in_account", User.objects.normalize_email(given["email"])),
            Tried("log_in_address", address_of(request)),
        )
        limits.count(*tried, now=now)
        user = authenticate(request, **given)
        tokens = entry.enter(user=user, password=given["password"], code=code, now=now)
        limits.take_back(*tried, now=now)
        return Response(SignedInSerializer(tokens).data)


class Refresh(PublicView):
    @extend_schema(
        tags=["accounts"],
        operation_id="refresh",
        request=RefreshTokenSerializer,
        responses={200: TokensSerializer, 401: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Take a refresh token for a new pair. Used twice, it ends the session."""
        given = _checked(RefreshTokenSerializer, request)
        tokens = sessions.rotate(**given, now=timezone.now())
        return Response(TokensSerializer(tokens).data)


class Logout(PublicView):
    @extend_schema(
        tags=["accounts"],
        operation_id="logout",
        request=RefreshTokenSerializer,
        responses={200: DoneSerializer, 401: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """End the session: its refresh token and its access tokens are dead."""
        given = _checked(RefreshTokenSerializer, request)
        sessions.end(**given, now=timezone.now())
        return Response({"success": True, "message": "You are signed out."})


class ForgotPassword(PublicView):
    @extend_schema(
        tags=["accounts"],
        operation_id="forgot_password",
        request=ForgottenPasswordSerializer,
        responses={200: DoneSerializer, 429: ErrorSerializer},
    )
    def post(self, request: Request) -> Response:
        """Mail a link for a new password; the answer is the same for an unknown e-mail."""
        given = _checked(ForgottenPasswordSerializer, request)
        limits.count(Tried("forgot_password", address_of(request)), now=timezone.now())
        passwords.forget(**given)
        message = "If there is an account with this e-mail, a link is on its way to it."
        return Response({"success": True, "message": message})


class ResetPassword(PublicView):
    @extend_schema(
        tags=["accounts"],
        operation_id="reset_password",
        request=PasswordResetSerializer,
        responses=DoneSerializer,
    )
    def post(self, request: Request) -> Response:
        """Set a new password by a mailed token, once. All sessions end."""
        given = _checked(PasswordResetSerializer, request)
        passwords.reset(**given, now=timezone.now())
        return Response({"success": True, "message": "The new password is set."})


def _checked(form: Any, request: Request) -> dict[str, Any]:
    filled = form(data=request.data)
    filled.is_valid(raise_exception=True)
    return filled.validated_data
