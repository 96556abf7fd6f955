"""How the API reads a body, and how much of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_orjson_renderer.parsers import ORJSONParser
from rest_framework.exceptions import ParseError

from config.errors import DomainError

# A string, whole: brackets in it are text. Without its end it is no JSON, and the parser says so.
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
BRACKET = re.compile(rb"[\[\]{}]")


class BodyTooComplex(DomainError):
    code = "body_too_complex"


class BoundedJSONParser(ORJSONParser):
    """
    JSON, strictly, of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes and within the bounds of API_MAX_….

    Read by way of ``HttpRequest.body``, which keeps that bound; a stream would be read whole.
    Always UTF-8: a charset in the header has no meaning for JSON (RFC 8259, sections 8.1 and 11),
    and some that Python knows do not even give text. A key that comes twice is refused: who reads
    the first of them and who reads the last would see two different orders (section 4).
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.body if isinstance(stream, HttpRequest) else stream.read()
        _check_depth(body)
        read = super().parse(
            BytesIO(body), media_type, {**(parser_context or {}), "encoding": "utf-8"}
        )
        _check_objects(body)
        _check_lists(read)
        return read


def _check_depth(body: bytes) -> None:
    """Before anything is built: what is nested deepest costs its reader the most."""
    deepest = settings.API_MAX_DEPTH
    if body.count(b"[") + body.count(b"{") <= deepest:
        return
    depth = 0
    for bracket in BRACKET.finditer(STRING.sub(b"", body)):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > deepest:
            raise BodyTooComplex(f"The body is nested more than {deepest} levels deep.")


def _check_objects(body: bytes) -> None:
    """The fast reader forgets the first of two equal keys, so this one looks for them."""
    most, seen = settings.API_MAX_FIELDS, 0

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal seen
        seen += len(pairs)
        if seen > most:
            raise BodyTooComplex(f"The body has more than {most} fields.")
        keys = {key for key, _value in pairs}
        if len(keys) < len(pairs):
            names = [key for key, _value in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise ParseError(f"JSON parse error - the key {twice!r:.60} comes twice.")

    json.loads(body, object_pairs_hook=look)


def _check_lists(read: Any) -> None:
    most = settings.API_MAX_LIST_LENGTH
    for found in _lists(read):
        if len(found) > most:
            raise BodyTooComplex(f"A list in the body has more than {most} entries.")


def _lists(read: Any) -> Iterator[list[Any]]:
    left = [read]
    while left:
        part = left.pop()
        if isinstance(part, list):
            yield part
            left += part
        elif isinstance(part, dict):
            left += part.values()
