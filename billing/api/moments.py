"""What time it is in a call: the world's, or that of a customer whose clock has been turned."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.services import clocks

_own: ContextVar[datetime | None] = ContextVar("own_time", default=None)


def now() -> datetime:
    """This moment, for whom the call is about."""
    return _own.get() or timezone.now()


class OwnTime(APIView):
    """Of a customer's own calls: what they see and do is as of their clock."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        before = _own.set(None)
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            _own.reset(before)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        _own.set(clocks.own_time(user_id=request.user.pk))
