"""The API in this process, for callers that call it from whatever thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connections

from tests.access.table import undone

Application = Callable[[dict[str, Any], Any], Any]


@contextmanager
def application() -> Iterator[Application]:
    """A WSGI application whose rows are forgotten in the end: it uses this thread's connection."""
    inner = get_wsgi_application()
    own = connections["default"]
    own.inc_thread_sharing()

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        connections["default"] = own
        return inner(environ, start_response)

    signals = (request_started, request_finished)
    for signal in signals:  # as for Django's own test client: the transaction is open
        signal.disconnect(close_old_connections)
    try:
        with undone():
            yield answer
    finally:
        for signal in signals:
            signal.connect(close_old_connections)
        own.dec_thread_sharing()
