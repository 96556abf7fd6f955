"""The API's router, and the only place where a refusal becomes an answer."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path, re_path
from django.utils.encoding import escape_uri_path
from django.views.decorators.csrf import csrf_exempt
from drf_orjson_renderer.renderers import ORJSONRenderer
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from config import error_pages
from config.connections import is_away
from config.documentation import Documentation, Schema
from config.errors import DomainError
from config.health import Live, Ready
from config.metrics import note_refusal

logger = logging.getLogger(__name__)


# --- Errors: every one has the same shape ---

SENTENCES = {
    400: ("bad_request", "The request cannot be understood."),
    403: ("permission_denied", "You are not allowed to do this."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not answer this method."),
    413: ("request_too_large", "The request is too large."),
    500: ("server_error", "Something went wrong on our side."),
    503: (
        "database_unavailable",
        "The database does not answer, and the request may or may not have been carried out. "
        "Send it again, a checkout with the same Idempotency-Key.",
    ),
}
RETRY_AFTER = "1"  # seconds: a database that restarts is back soon
PLAIN = (
    (Http404, 404),
    (PermissionDenied, 403),
    (RequestDataTooBig, 413),
    (SuspiciousOperation, 400),
)
CODES: dict[type[APIException], str] = {
    exceptions.NotAuthenticated: "not_authenticated",
    exceptions.AuthenticationFailed: "authentication_failed",
    exceptions.PermissionDenied: "permission_denied",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "too_many_requests",
    exceptions.ParseError: "malformed_json",
}


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response:
    """Turn whatever a view raised into the error body of the API; see docs/errors.md."""
    set_rollback()
    answer = _answer_to(exception)
    note_refusal(code=answer.data["code"], status=answer.status_code)
    if answer.status_code == 500 or is_away(exception):
        request = context["request"]
        address = escape_uri_path(request.path)  # no line breaks of the caller's in the log
        logger.error("%s %s failed", request.method, address, exc_info=exception)
    answer.data = {**getattr(context["view"], "error_extra", {}), **answer.data}
    # JSON also where the view answers with a page or a file, or nothing that the caller accepts.
    context["request"].accepted_renderer = ORJSONRenderer()
    context["request"].accepted_media_type = ORJSONRenderer.media_type
    return answer


def _answer_to(exception: Exception) -> Response:
    if isinstance(exception, DomainError):
        body: dict[str, Any] = {"error": exception.message, "code": exception.code}
        if exception.fields:
            body["fields"] = exception.fields
        if exception.context:
            body["context"] = exception.context
        wait = exception.context.get("retry_after")
        headers = {"Retry-After": str(wait)} if wait else None
        return Response(body, status=exception.http_status, headers=headers)
    if isinstance(exception, exceptions.ValidationError):
        fields = dict(_by_field(exception.detail))
        return Response(
            {"error": _sentence(fields), "code": "validation_error", "fields": fields}, status=400
        )
    if isinstance(exception, tuple(CODES)):
        code = next(c for kind, c in CODES.items() if isinstance(exception, kind))
        headers = {
            name: value
            for name, value in (
                ("WWW-Authenticate", getattr(exception, "auth_header", None)),
                ("Retry-After", _seconds(getattr(exception, "wait", None))),
            )
            if value
        }
        return Response(
            {"error": str(exception.detail), "code": code},
            status=exception.status_code,
            headers=headers,
        )
    status_code = 503 if is_away(exception) else 500
    status_code = next((code for kind, code in PLAIN if isinstance(exception, kind)), status_code)
    answer = _plain(status_code)
    if status_code == 503:
        answer["Retry-After"] = RETRY_AFTER
    return answer


def _plain(status_code: int) -> Response:
    code, sentence = SENTENCES[status_code]
    return Response({"error": sentence, "code": code}, status=status_code)


def _seconds(wait: float | None) -> str | None:
    return None if wait is None else str(int(wait) + 1)


def _by_field(detail: Any, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """Flatten nested messages: ``{"token_bundle_ids": {1: ["…"]}}`` → ``token_bundle_ids.1``."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            own = "" if key == "non_field_errors" else str(key)
            yield from _by_field(inner, ".".join(part for part in (name, own) if part))
    elif isinstance(detail, list) and any(isinstance(inner, dict | list) for inner in detail):
        for position, inner in enumerate(detail):
            if inner:
                yield from _by_field(inner, f"{name}.{position}" if name else str(position))
    else:
        messages = detail if isinstance(detail, list) else [detail]
        yield name or "body", [str(message) for message in messages]


def _sentence(fields: dict[str, list[str]]) -> str:
    return " ".join(f"{name}: {messages[0]}" for name, messages in fields.items())


def django_error(status_code: int) -> Any:
    """A view for what fails outside of a view of the API: the same shape, a page in the admin."""

    @csrf_exempt
    def answer(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        # Django hands no exception to the view for 500; it is the one that is being handled.
        status = 503 if is_away(exception or sys.exc_info()[1]) else status_code
        code, sentence = SENTENCES[status]
        if request.path.startswith("/admin/"):
            response: HttpResponse = error_pages.page(status)
        else:
            note_refusal(code=code, status=status)
            response = JsonResponse({"error": sentence, "code": code}, status=status)
        if status == 503:
            response.headers["Retry-After"] = RETRY_AFTER
        return response

    return answer


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's
    """A form without a token of this session: of the admin, as the API has no forms."""
    return error_pages.page(403, error_pages.FORM_TOO_OLD)


# --- Routes ---


@extend_schema(exclude=True)
class StaffArea(APIView):
    """What lies under /admin/ and is no route: 401 for strangers, 403 for customers, 404."""

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not request.user.is_staff:
            raise exceptions.PermissionDenied
        raise exceptions.NotFound(SENTENCES[status.HTTP_404_NOT_FOUND][1])


urlpatterns = [
    path("health", Live.as_view(), name="health"),
    path("health/ready", Ready.as_view(), name="health-ready"),
    path("schema", Schema.as_view(), name="schema"),
    path("docs", Documentation.as_view(), name="docs"),
    path("", include("accounts.api.urls")),
    path("", include("catalog.api.urls")),
    path("", include("billing.api.urls")),
    re_path(r"^admin(/|$)", StaffArea.as_view()),
]
