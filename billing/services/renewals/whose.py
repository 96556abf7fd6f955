"""Whose billing is run: everybody's, or that of one customer whose clock is turned."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from billing.models import TestClock


def is_run(user_id: UUID | None) -> Q:
    """
    The condition on rows with a ``user``: that customer's, or of all whose time is the world's.
    """
    if user_id:
        return Q(user_id=user_id)
    return ~Q(Exists(TestClock.objects.filter(user_id=OuterRef("user_id"))))
