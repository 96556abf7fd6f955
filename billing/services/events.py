"""What happened, written in the same transaction as the thing, told to receivers after it."""

from __future__ import annotations

from django.db import transaction
from django.dispatch import Signal

from billing.models import Event

# Sent once per event after the commit, as ``event=``. A receiver that fails is logged and
# breaks neither the others nor what happened.
happened = Signal()


def record(*recorded: Event) -> None:
    """Write all of them in one statement."""
    Event.objects.bulk_create(recorded)
    announce(*recorded)


def announce(*recorded: Event) -> None:
    """Tell the receivers of what was written, once it is committed."""
    transaction.on_commit(lambda: _tell(recorded), robust=True)


def _tell(recorded: tuple[Event, ...]) -> None:
    for event in recorded:
        happened.send_robust(sender=Event, event=event)
