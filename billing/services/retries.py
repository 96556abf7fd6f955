"""What staff have tried again: a payment that was refused, and a renewal that was parked."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.models import User
from billing.models import Event, Invoice, PaymentAttempt, Subscription
from billing.services import events
from billing.services.invoices import require_reason
from billing.services.renewals import collecting, invoicing
from config import history
from config.errors import DomainError


class NotPastDue(DomainError):
    code = "not_past_due"


class NotParked(DomainError):
    code = "not_parked"


def take_payment(*, invoice: Invoice, by: User, reason: str, now: datetime) -> PaymentAttempt:
    """
    Ask the provider again for the money of a renewal, before its next turn.

    It changes nothing of when the next turn is, or the end. Nobody is asked for what has ended
    already: whoever left may not want it back. Not to be called inside a transaction.

    :return: the attempt, with its outcome
    :raises NotPastDue: if it is no renewal, or its subscription does not wait for it
    :raises NothingToCollect: if it is paid or cancelled meanwhile, or being tried at this moment
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    if not can_be_taken(invoice):
        raise NotPastDue("Only a renewal that is past due is tried again.")
    told = _event("payment.retried", invoice.user_id, invoice.pk, by, reason, now)
    with history.noted(by=by.pk, reason=reason):
        return collecting.collect_one(invoice=invoice, told=told, now=now)


def can_be_taken(invoice: Invoice) -> bool:
    """Whether there is a subscription that waits for its payment."""
    subscription = invoice.subscription
    return (
        invoice.reason == Invoice.Reason.RENEWAL
        and invoice.is_payable
        and subscription is not None
        and subscription.past_due_since is not None
    )


@transaction.atomic
def unpark(*, subscription: Subscription, by: User, reason: str, now: datetime) -> Subscription:
    """
    Let the next run of the billing try a renewal again that it had left alone.

    :raises NotParked: if it is not
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    with history.noted(by=by.pk, reason=reason):
        locked = Subscription.objects.lock(subscription.pk)
        if locked.parked_at is None:
            raise NotParked("The renewal is not parked.")
        was = locked.parked_reason
        invoicing.unpark(subscription=locked)
        told = _event("subscription.unparked", locked.user_id, locked.pk, by, reason, now)
        told.payload["after"] = was
        events.record(told)
    locked.refresh_from_db()
    return locked


def _event(
    name: str, user_id: UUID, subject_id: UUID, by: User, reason: str, now: datetime
) -> Event:
    return Event(
        name=name,
        user_id=user_id,
        subject_id=subject_id,
        payload={"by": str(by.pk), "reason": reason},
        created_at=now,
    )
