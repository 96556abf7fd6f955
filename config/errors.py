"""The one kind of refusal in the project."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """
    A rule says no.

    Services raise subclasses named as facts (``PlanNotActive``), each defined beside its rule.
    ``config.api.exception_handler`` turns them into the error body of the API.

    :param message: one sentence for a person, naming the field where there is one
    :param context: values worth showing, JSON-serialisable; shown under ``context``

    ``fields``: sentences by field, set by refusals that are about what was typed in.
    """

    code: ClassVar[str] = "refused"
    http_status: ClassVar[int] = 400
    fields: dict[str, list[str]] | None = None

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.context = context
