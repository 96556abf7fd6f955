"""Time that has not come yet, played step by step: for development and tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, Min, Q, QuerySet

from billing.models import AddOnSubscription, Invoice, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import notices
from billing.services.renewals import running
from billing.services.renewals.running import Summary
from billing.services.renewals.whose import is_run
from catalog.models import BillingPeriod

Status = SubscriptionStatus


def play(
    *,
    begins: datetime,
    until: datetime,
    user_id: UUID | None = None,
    batch: int = running.BATCH,
    progress: Callable[[Summary], None] = lambda _done: None,
    must_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """
    Run the billing at each moment at which something comes due, in order, and at ``until``.

    :param user_id: of the customer whose clock is turned
    :param must_stop: as of ``running.run``
    """
    total = Summary()
    now = begins
    while True:
        total += running.run(now=now, user_id=user_id, batch=batch, must_stop=must_stop)
        progress(total)
        if now >= until or must_stop():
            return total
        coming = next_moment(after=now, user_id=user_id)
        now = min(coming, until) if coming else until


def next_moment(*, after: datetime, user_id: UUID | None = None) -> datetime | None:
    """The first moment after this one at which something comes due by itself."""
    before = timedelta(days=settings.BILLING_INVOICE_DAYS_BEFORE)
    subscriptions = Subscription.objects.filter(is_run(user_id))
    renewing = Q(status__in=(Status.TRIALING, Status.ACTIVE), parked_at=None)
    runs_out = Q(status=Status.CANCELLED, expires_at__gt=F("cancelled_at"))
    invoices = Invoice.objects.filter(is_run(user_id), status__in=("pending", "failed"))
    add_ons = AddOnSubscription.objects.filter(
        is_run(user_id), status__in=(Status.TRIALING, Status.ACTIVE)
    )
    moments = [
        _first(subscriptions.filter(renewing), "expires_at", after + before),
        _first(subscriptions.filter(runs_out), "expires_at", after),
        _first(subscriptions.filter(status=Status.TRIALING), "trial_ends_at", after),
        _first(add_ons, "paid_until", after + before),
        _first(invoices, "next_attempt_at", after),
        *_notices(subscriptions, after),
        _first(invoices, "expires_at", after),
    ]
    for place in (0, 3):
        found = moments[place]
        moments[place] = found - before if found else None
    return min((moment for moment in moments if moment), default=None)


def _notices(subscriptions: QuerySet[Subscription], after: datetime) -> list[datetime | None]:
    """When somebody is to be told of what comes."""
    coming = (
        (subscriptions.filter(status=Status.TRIALING), notices.TRIAL_NOTICE),
        (
            subscriptions.filter(status=Status.ACTIVE, billing_period=BillingPeriod.YEARLY),
            timedelta(days=settings.BILLING_RENEWAL_NOTICE_DAYS),
        ),
    )
    found = []
    for rows, before in coming:
        moment = _first(rows, "expires_at", after + before)
        found.append(moment - before if moment else None)
    return found


def _first(rows: QuerySet, column: str, after: datetime) -> datetime | None:
    return rows.filter(**{f"{column}__gt": after}).aggregate(first=Min(column))["first"]
