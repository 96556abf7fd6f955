"""What waits: for the next run, for the next sender, or for a person; and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, QuerySet

from billing.models import Event, Invoice, Mail, Payment, PaymentAttempt, Subscription
from billing.services import outbox
from billing.services.renewals.invoicing import renewable
from billing.services.renewals.whose import is_run

LATELY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Queue:
    """
    :param age: of what waits longest
    """

    size: int
    age: timedelta


@dataclass(frozen=True, slots=True)
class Queues:
    """
    :param due: what the next run is to do, from the moment when it was due: ``mails``,
        ``renewals``, ``collections``
    :param to_resolve: what a person is to look at: ``parked_mails``, ``parked_renewals``,
        ``unmatched_payments``
    :param unanswered: payments that a provider was asked for, and has not answered
    :param lately: how many events of each name the last five minutes had, whoever wrote them
    """

    due: dict[str, Queue]
    to_resolve: dict[str, Queue]
    unanswered: Queue
    lately: dict[str, int]


def measure(*, now: datetime) -> Queues:
    """
    Count in the database, by indexes that have nothing but what waits.

    Whose time is turned by a test clock waits for nobody.
    """
    renewals = renewable().filter(is_run(None), expires_at__lte=now)
    collections = Invoice.objects.filter(is_run(None), next_attempt_at__lte=now)
    mails = Mail.objects.filter(status=Mail.Status.PARKED)
    parked = Subscription.objects.filter(parked_at__isnull=False)
    unmatched = Payment.objects.filter(status=Payment.Status.UNMATCHED)
    unanswered = PaymentAttempt.objects.filter(outcome=PaymentAttempt.Outcome.STARTED)
    return Queues(
        due={
            "mails": _queue(outbox.due(now=now), "next_attempt_at", now),
            "renewals": _queue(renewals, "expires_at", now),
            "collections": _queue(collections, "next_attempt_at", now),
        },
        to_resolve={
            "parked_mails": _queue(mails, "created_at", now),
            "parked_renewals": _queue(parked, "parked_at", now),
            "unmatched_payments": _queue(unmatched, "received_at", now),
        },
        unanswered=_queue(unanswered, "started_at", now),
        lately=_lately(now),
    )


def _queue(rows: QuerySet[Any], since: str, now: datetime) -> Queue:
    found = rows.order_by().aggregate(size=Count("pk"), oldest=Min(since))
    age = now - found["oldest"] if found["oldest"] else timedelta()
    return Queue(found["size"], max(age, timedelta()))


def _lately(now: datetime) -> dict[str, int]:
    """By the primary key, which begins with the moment: there is no index on another."""
    rows = Event.objects.filter(pk__gte=_first_id(now - LATELY)).order_by()
    return dict(rows.values_list("name").annotate(Count("pk")))


def _first_id(moment: datetime) -> UUID:
    """The smallest UUIDv7 of a moment: 48 bits of milliseconds since 1970 (RFC 9562, 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
