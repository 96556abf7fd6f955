"""What ends before its time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Value, When
from django.db.models.functions import Least

from billing.models import AddOnSubscription
from billing.models.subscription import LIVE, SubscriptionStatus


def end_add_ons(*, subscription_ids: Sequence[UUID], reason: str, now: datetime) -> None:
    """
    End at once what runs with subscriptions that end at once, and what was still to be renewed with
    them.
    """
    add_ons = AddOnSubscription.objects.filter(subscription_id__in=subscription_ids)
    (add_ons.filter(status__in=LIVE) | add_ons.running(now)).update(**columns(reason, now))


def columns(reason: str, now: datetime) -> dict[str, Any]:
    """What is written into it."""
    return {
        "status": SubscriptionStatus.CANCELLED,
        "cancelled_at": now,
        "cancel_reason": reason,
        "grace_until": None,
        # A paused one has time left: its clock stands. Of one that never ends LEAST leaves now; of
        # one that has lapsed, when it did.
        "expires_at": Case(
            When(status=SubscriptionStatus.PAUSED, then=Value(now)),
            default=Least("expires_at", Value(now)),
        ),
    }
