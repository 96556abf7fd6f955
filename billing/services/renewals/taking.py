"""Money that a provider took for attempts: many renewals settled together, or one alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet

from accounts.models import User
from billing.models import Event, Invoice, Payment, PaymentAttempt, Subscription
from billing.services import activation, events, payments, renewed
from billing.services.providers import Charge
from config import rows

logger = logging.getLogger(__name__)

Outcome = PaymentAttempt.Outcome
Row = TypeVar("Row", bound=Model)
Paid = tuple[PaymentAttempt, Charge]


def take(attempt: PaymentAttempt, answer: Charge, *, now: datetime) -> None:
    """Capture the payment of one attempt. Not to be called inside a transaction."""
    invoice = attempt.invoice
    notice = payments.Notice(
        provider=attempt.provider,
        reference=answer.reference,
        invoice_reference=str(invoice.pk),
        money=invoice.total,
        method=attempt.provider,
    )
    try:
        payments.capture(notice=notice, now=now)
    except payments.PaymentUnmatched as refusal:
        # It was paid in another way meanwhile: the money is kept for finance to resolve.
        logger.warning("Attempt %s is unmatched: %s", attempt.pk, refusal.message)
    _finish([attempt.pk], now)


def take_together(paid: Sequence[Paid], *, now: datetime) -> set[UUID]:
    """
    Capture the payments of many renewals in one transaction, and return the attempts it was
    done for; whatever is not plain is left to ``take``.

    Nothing is waited for: what somebody else holds is not plain.
    """
    if not paid:
        return set()
    try:
        with transaction.atomic(durable=True):
            return _take_plain(paid, now)
    except IntegrityError:
        # One of the references came in by another way at the same moment.
        return set()


def _take_plain(paid: Sequence[Paid], now: datetime) -> set[UUID]:
    held = _hold([attempt.invoice_id for attempt, _answer in paid])
    plain = [(attempt, answer) for attempt, answer in paid if attempt.invoice_id in held]
    if not plain:
        return set()
    invoices = [held[attempt.invoice_id][0] for attempt, _answer in plain]
    captured = [_payment(attempt, answer, now) for attempt, answer in plain]
    rows.insert(*captured)
    events.record(*(_captured(payment, now) for payment in captured))
    activation.settle_renewals(
        invoices=invoices,
        subscriptions=[held[invoice.pk][1] for invoice in invoices],
        payments=captured,
        now=now,
    )
    done = {attempt.pk for attempt, _answer in plain}
    _finish(done, now)
    return done


def _hold(invoice_ids: Sequence[UUID]) -> dict[UUID, tuple[Invoice, Subscription]]:
    """
    Lock renewals, their customers and their subscriptions, and keep those that are to be paid.
    """
    invoices = Invoice.objects.filter(pk__in=invoice_ids, reason=Invoice.Reason.RENEWAL)
    invoices = invoices.select_related("user")
    payable = [one for one in _free(invoices) if one.is_payable]
    users = User.objects.filter(pk__in=[invoice.user_id for invoice in payable])
    held_users = {user.pk for user in _free(users)}
    subscriptions = Subscription.objects.filter(
        pk__in=[invoice.subscription_id for invoice in payable if invoice.user_id in held_users]
    ).select_related("pending_plan", "pending_price")
    held = {
        subscription.pk: subscription
        for subscription in _free(subscriptions)
        if renewed.is_possible(subscription=subscription)
    }
    return {
        invoice.pk: (invoice, held[invoice.subscription_id])
        for invoice in payable
        if invoice.subscription_id in held
    }


def _free(rows_of: QuerySet[Row]) -> QuerySet[Row]:
    return rows_of.select_for_update(skip_locked=True, no_key=True, of=("self",))


def _payment(attempt: PaymentAttempt, answer: Charge, now: datetime) -> Payment:
    return Payment(
        provider=attempt.provider,
        reference=answer.reference,
        method=attempt.provider,
        invoice_reference=str(attempt.invoice_id),
        invoice_id=attempt.invoice_id,
        user_id=attempt.user_id,
        amount=attempt.invoice.total_amount,
        currency=attempt.invoice.currency,
        received_at=now,
        status=Payment.Status.CAPTURED,
    )


def _captured(payment: Payment, now: datetime) -> Event:
    return payments.payment_event("payment.captured", payment, now)


def _finish(attempt_ids: Sequence[UUID] | set[UUID], now: datetime) -> None:
    PaymentAttempt.objects.filter(pk__in=attempt_ids, outcome=Outcome.STARTED).update(
        outcome=Outcome.PAID, finished_at=now
    )
