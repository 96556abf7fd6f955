"""What stands in an address."""

from __future__ import annotations

from uuid import UUID

from config.errors import DomainError


class InvalidId(DomainError):
    code = "invalid_id"


def path_id(text: str) -> UUID:
    """
    Read an id from an address.

    :raises InvalidId: if it is no UUID: a mistake of the caller's, unlike an object that is not
        there
    """
    try:
        return UUID(text)
    except ValueError:
        raise InvalidId(f"The id {text!r:.60} is not a UUID.") from None
