"""Turning the clock of one customer: years of renewals, retries and ends in a moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings

from accounts.models import User
from billing.models import TestClock
from billing.services.renewals import playing
from billing.services.renewals.running import Summary
from config.errors import DomainError


class ClocksAreOff(DomainError):
    code = "test_clocks_are_off"


class ClockCannotGoBack(DomainError):
    code = "clock_cannot_go_back"


def own_time(*, user_id: UUID) -> datetime | None:
    """What a customer's clock shows; None where it is the world's. In production it always is."""
    if not settings.BILLING_TEST_CLOCKS:
        return None
    return TestClock.objects.filter(user=user_id).values_list("now_at", flat=True).first()


def turn(
    *,
    user: User,
    to: datetime,
    behaviour: str | None = None,
    progress: Callable[[Summary], None] = lambda _done: None,
    now: datetime,
) -> Summary:
    """
    Play everything that comes due for a customer until a moment, in order of time.

    The first turn takes the customer out of the world's time, for good. Not to be called inside a
    transaction. Interrupted, it is turned again: nothing is done twice.

    :param behaviour: how they pay from now on (``TestClock.Behaviour``); None: as before
    :raises ClocksAreOff: in production
    :raises ClockCannotGoBack: if the clock is later already
    """
    if not settings.BILLING_TEST_CLOCKS:
        raise ClocksAreOff("Clocks can be turned in development and tests only.")
    clock, _is_new = TestClock.objects.get_or_create(user=user, defaults={"now_at": now})
    if to < clock.now_at:
        raise ClockCannotGoBack(
            f"The customer's clock stands at {clock.now_at:%Y-%m-%d %H:%M}: it cannot go back.",
            now_at=clock.now_at.isoformat(),
        )
    if behaviour:
        clock.behaviour = behaviour
        clock.save(update_fields=["behaviour"])
    done = playing.play(begins=clock.now_at, until=to, user_id=user.pk, progress=progress)
    clock.now_at = to
    clock.save(update_fields=["now_at"])
    return done
