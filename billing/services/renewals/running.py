"""Everything that is due, in batches, until nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from accounts.models import User
from billing.services import notices, trials
from billing.services.renewals import collecting, ending, invoicing
from billing.services.renewals.whose import is_run

BATCH = 100


@dataclass(slots=True)
class Summary:
    """What a run did."""

    invoiced: int = 0
    paid: int = 0
    failed: int = 0
    parked: int = 0
    expired: int = 0
    given_up: int = 0
    trials_over: int = 0

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(self))
        )


def run(
    *,
    now: datetime,
    user_id: UUID | None = None,
    batch: int = BATCH,
    progress: Callable[[Summary], None] = lambda _done: None,
    must_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """
    Do everything that is due at ``now``, and what becomes due by that.

    Any number may run at once, and each may be killed at any moment: what was committed is not
    done again, and what was not is done by the next. Not to be called inside a transaction.

    :param user_id: of a customer whose clock is turned; None: of everybody else
    :param progress: called after each batch with what was done so far
    :param must_stop: asked before each batch; the next run goes on from there
    """
    total = Summary()
    user = User.objects.get(pk=user_id) if user_id else None
    while not must_stop():
        ended = ending.end_due(now=now, limit=batch, user_id=user_id)
        begun = trials.end_paid(now=now, limit=batch, among=is_run(user_id))
        told = notices.trial_ending(now=now, limit=batch, user=user)
        told += notices.renewals_coming(now=now, limit=batch, user=user)
        renewed = invoicing.invoice_due(now=now, limit=batch, user_id=user_id)
        collected = collecting.collect_due(now=now, limit=batch, user_id=user_id)
        if not (begun or told) and ended.is_empty and renewed.is_empty and collected.is_empty:
            break
        total += Summary(
            invoiced=renewed.invoiced,
            paid=collected.paid,
            failed=collected.failed,
            parked=renewed.parked,
            expired=ended.expired,
            given_up=ended.given_up,
            trials_over=begun,
        )
        progress(total)
    return total
