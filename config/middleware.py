"""What every request passes through."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

import structlog
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path
from pghistory.middleware import HistoryMiddleware
from uuid_utils.compat import uuid7

from config import content_security, metrics

GetResponse = Callable[[HttpRequest], HttpResponse]
logger = logging.getLogger(__name__)


class Requests:
    """
    Gives each request an id, the caller's where that can be one, for its log lines and its
    answer; logs it in a line, and counts it.

    The id stays bound until the thread's next request: a streamed answer goes on after this.
    """

    header = "X-Request-ID"
    allowed = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        given = request.headers.get(self.header, "")
        request_id = given if self.allowed.fullmatch(given) else uuid7().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response.headers[self.header] = request_id
        seconds = time.perf_counter() - began
        metrics.note_request(
            path=request.path, method=request.method, status=response.status_code, seconds=seconds
        )
        if settings.LOG_REQUESTS:
            fields = {
                "method": request.method,
                "path": escape_uri_path(request.path),  # the query may say who is looked for
                "status": response.status_code,
                "milliseconds": round(seconds * 1000, 1),
            }
            logger.info("request", extra=fields)
        return response


class OptionalTrailingSlash:
    """
    Lets every API route answer with and without a trailing slash, directly.

    A redirect would lose the body of a POST, and twice the patterns would double the schema.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path.startswith("/api/") and path.endswith("/"):
            request.path_info = path[:-1]
        return self.get_response(request)


class AdminHistory(HistoryMiddleware):
    """Notes which of the staff changed a row; customers must not pay for it per statement."""

    areas = ("/admin/", "/api/v1/admin/")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(self.areas):
            return super().__call__(request)
        return self.get_response(request)


class PagePolicy(CSPMiddleware):
    """The policy of pages; what has one by then, as every answer of the API, costs nothing."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if "Content-Security-Policy" in response.headers:
            return response
        return super().process_response(request, response)


class PrivateAnswers:
    """
    Keeps answers out of caches, and whatever is no page from being shown as one.

    Pages have the policy of ``CONTENT_SECURITY_POLICY``, or their view's own.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        headers = response.headers
        headers.setdefault("Permissions-Policy", content_security.PERMISSIONS)
        is_admin = request.path_info.startswith("/admin/")
        if is_admin or _is_private(request):
            headers.setdefault("Cache-Control", "private, no-store")
        if not is_admin and not hasattr(response, "_csp_config"):
            headers.setdefault("Content-Security-Policy", content_security.NO_PAGE)
        return response


def _is_private(request: HttpRequest) -> bool:
    """All but what a stranger may read; who signs in gets a token in the answer."""
    return request.method not in ("GET", "HEAD") or "HTTP_AUTHORIZATION" in request.META
