"""What a value must be beyond its type."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

MAX_DEPTH = 20  # levels; Python's own JSON writer fails from about a thousand


def validate_storable(value: Any) -> None:
    """
    Refuse JSON that PostgreSQL's ``jsonb`` cannot hold, or that nobody could show.

    :raises ValidationError: for a NUL character anywhere, or more than ``MAX_DEPTH`` levels
    """
    left: list[tuple[Any, int]] = [(value, 1)]
    while left:
        part, depth = left.pop()
        if depth > MAX_DEPTH:
            raise ValidationError(f"This is nested more than {MAX_DEPTH} levels deep.")
        if isinstance(part, str) and "\0" in part:
            raise ValidationError("Null characters are not allowed.")
        if isinstance(part, dict):
            left += [(key, depth) for key in part]
            left += [(inner, depth + 1) for inner in part.values()]
        elif isinstance(part, list):
            left += [(inner, depth + 1) for inner in part]
