"""What every request passes through."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from pghistory.middleware import HistoryMiddleware

GetResponse = Callable[[HttpRequest], HttpResponse]


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
