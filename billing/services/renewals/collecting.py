"""Asking for the money of an invoice: intent committed, provider called, outcome recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from accounts.models import User
from billing.models import Event, Invoice, PaymentAttempt
from billing.models.subscription import SubscriptionStatus
from billing.services import events, providers
from billing.services.renewals import dunning, taking
from billing.services.renewals.whose import is_run
from config import rows
from config.errors import DomainError

logger = logging.getLogger(__name__)

Outcome = PaymentAttempt.Outcome
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)
# How long an attempt may be without an outcome before another run asks again under its key.
PATIENCE = timedelta(minutes=2)


class NothingToCollect(DomainError):
    code = "nothing_to_collect"
    http_status = 409


@dataclass(slots=True)
class Collected:
    """What one batch did."""

    paid: int = 0
    failed: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.paid or self.failed)


def collect_due(
    *,
    now: datetime,
    limit: int,
    user_id: UUID | None = None,
    patience: timedelta = PATIENCE,
) -> Collected:
    """
    Ask for the money of up to ``limit`` invoices that are to be tried.

    An attempt without an outcome, which a crash has left behind, is asked again under the same
    key. Not to be called inside a transaction.

    :param patience: how old such an attempt must be
    """
    attempts = _abandoned(now - patience, user_id, limit) or _begin(now, limit, user_id)
    if not attempts:
        return Collected()
    answers = _ask(attempts)
    paid = [(attempt, answer) for attempt, answer in answers if answer.is_paid]
    taken = taking.take_together(paid, now=now)
    for attempt, answer in answers:
        if not answer.is_paid:
            _refuse(attempt, answer, now)
        elif attempt.pk not in taken:
            taking.take(attempt, answer, now=now)
    return Collected(paid=len(paid), failed=len(answers) - len(paid))


def collect_one(*, invoice: Invoice, told: Event, now: datetime) -> PaymentAttempt:
    """
    Ask for the money of one invoice now, because a person wants it.

    Not to be called inside a transaction.

    :param told: the event of who wants it, recorded with the attempt
    :raises NothingToCollect: if it is not to be paid, or is being asked for at this moment
    """
    attempt = _begin_one(invoice, told, now)
    ((_same, answer),) = _ask([attempt])
    if answer.is_paid:
        taking.take(attempt, answer, now=now)
    else:
        _refuse(attempt, answer, now)
    attempt.refresh_from_db()
    return attempt


@transaction.atomic(durable=True)
def _begin_one(invoice: Invoice, told: Event, now: datetime) -> PaymentAttempt:
    locked = Invoice.objects.lock(invoice.pk)
    attempts = PaymentAttempt.objects.filter(invoice=locked)
    if not locked.is_payable or attempts.filter(outcome=Outcome.STARTED).exists():
        raise NothingToCollect(
            "The invoice is not to be paid any more, or its payment is under way."
        )
    attempt = PaymentAttempt(
        invoice=locked,
        user_id=locked.user_id,
        number=attempts.count() + 1,
        provider=providers.configured(),
        started_at=now,
    )
    attempt.save(force_insert=True)
    locked.next_attempt_at = None
    locked.save(update_fields=["next_attempt_at"])
    events.record(told)
    return attempt


def _abandoned(before: datetime, user_id: UUID | None, limit: int) -> list[PaymentAttempt]:
    attempts = PaymentAttempt.objects.filter(
        is_run(user_id), outcome=Outcome.STARTED, started_at__lte=before
    )
    return list(attempts.select_related("invoice").order_by("started_at")[:limit])


@transaction.atomic(durable=True)
def _begin(now: datetime, limit: int, user_id: UUID | None) -> list[PaymentAttempt]:
    """Claim what is to be tried, and commit that it is."""
    due = Invoice.objects.filter(next_attempt_at__lte=now, status__in=OPEN)
    claimed = due.filter(is_run(user_id)).order_by("next_attempt_at", "pk")
    locked = claimed.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = [invoice.pk for invoice in locked[:limit]]
    if not ids:
        return []
    # What another run had tried between the look and the lock is seen only now.
    invoices = list(due.filter(pk__in=ids).annotate(tried=Count("attempts")))
    attempts = [
        PaymentAttempt(
            invoice=invoice,
            user_id=invoice.user_id,
            number=invoice.tried + 1,
            provider=providers.configured(),
            started_at=now,
        )
        for invoice in invoices
    ]
    rows.insert(*attempts)
    Invoice.objects.filter(pk__in=ids).update(next_attempt_at=None)
    return attempts


def _ask(attempts: Sequence[PaymentAttempt]) -> list[tuple[PaymentAttempt, providers.Charge]]:
    """Nobody is asked for what was paid or cancelled meanwhile, or for what has ended."""
    invoices = Invoice.objects.filter(pk__in=[attempt.invoice_id for attempt in attempts])
    of_ended = Q(reason=Invoice.Reason.RENEWAL, subscription__status=SubscriptionStatus.CANCELLED)
    still_open = invoices.filter(status__in=OPEN).exclude(of_ended)
    payable = set(still_open.values_list("pk", flat=True))
    over = providers.Charge(failure="The invoice was no longer to be paid.")
    return [
        (attempt, providers.charge(attempt=attempt) if attempt.invoice_id in payable else over)
        for attempt in attempts
    ]


@transaction.atomic(durable=True)
def _refuse(attempt: PaymentAttempt, answer: providers.Charge, now: datetime) -> None:
    invoice = Invoice.objects.lock(attempt.invoice_id)
    User.objects.lock(invoice.user_id)
    locked = PaymentAttempt.objects.lock(attempt.pk)
    if locked.outcome != Outcome.STARTED:
        return  # another run has asked as well, and was faster
    locked.outcome = Outcome.FAILED
    locked.failure = answer.failure
    locked.finished_at = now
    locked.save(update_fields=["outcome", "failure", "finished_at"])
    logger.info("Attempt %s of invoice %s was refused: %s", locked.pk, invoice, locked.failure)
    if invoice.is_payable:
        dunning.note_failure(invoice=invoice, attempt=locked, now=now)
