"""How the API reads a body."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.http import HttpRequest
from drf_orjson_renderer.parsers import ORJSONParser


class BoundedJSONParser(ORJSONParser):
    """
    JSON, strictly, of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Read by way of ``HttpRequest.body``, which keeps that bound; a stream would be read whole.
    Always UTF-8: a charset in the header has no meaning for JSON (RFC 8259, sections 8.1 and 11),
    and some that Python knows do not even give text.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if isinstance(stream, HttpRequest):
            stream = BytesIO(stream.body)
        return super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})
