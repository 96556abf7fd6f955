"""The project's addresses, and some that fail in ways that no address of ours should."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls
from config.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class Secretive(Exception):
    """Its message is not for the caller."""


class Fails(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request: Request) -> Response:
        raise Secretive("SELECT password FROM users")

    def post(self, request: Request) -> Response:
        return Response({"read": request.data})


class Unrenderable(APIView):
    """Fails after the view, when its answer is written."""

    authentication_classes = []
    permission_classes = []

    def get(self, request: Request) -> Response:
        return Response({"a lone surrogate": "\ud800"})


def fails_outside(request: HttpRequest) -> HttpResponse:
    kinds: dict[str, Any] = {
        "suspicious": SuspiciousOperation,
        "denied": PermissionDenied,
        "secretive": Secretive,
    }
    raise kinds[request.GET["kind"]]("SELECT password FROM users")


urlpatterns = [
    path("api/v1/fails", Fails.as_view()),
    path("api/v1/unrenderable", Unrenderable.as_view()),
    path("api/v1/fails-outside", fails_outside),
    path("admin/fails-outside", fails_outside),
    *urls.urlpatterns,
]
