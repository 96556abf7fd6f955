"""History of rows that people change, kept by database triggers and shown in the admin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

import pghistory
from django.db import models

Tracked = TypeVar("Tracked", bound=type[models.Model])


def tracked(*, exclude: Sequence[str] = ()) -> Callable[[Tracked], Tracked]:
    """
    Keep what a row was before each change and before its deletion, as its ``history``.

    The old row is kept, not the new one: with the row as it is now, that is every state it ever
    had, and creation, which is its own record, costs nothing.
    """

    def track(model: Tracked) -> Tracked:
        return pghistory.track(
            pghistory.UpdateEvent(row=pghistory.Old),
            pghistory.DeleteEvent(),
            exclude=exclude,
            model_name=f"{model.__name__}History",
            obj_field=pghistory.ObjForeignKey(related_name="history"),
        )(model)

    return track


@contextmanager
def noted(*, by: UUID, reason: str) -> Iterator[None]:
    """Keep with the history of all that is changed inside who changed it, and why."""
    with pghistory.context(user=str(by), reason=reason):
        yield
