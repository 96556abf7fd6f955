"""What becomes of an invoice that nobody pays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.models import User
from billing.models import AddOnSubscription, Event, Invoice, Subscription, TokenBundlePurchase
from billing.models.subscription import SubscriptionStatus
from billing.services import changed, events, renewed
from billing.services.withdrawal import withdraw
from config import history
from config.errors import DomainError
from config.locking import retried


class InvoiceStateForbids(DomainError):
    code = "invoice_state_forbids"


class ReasonMissing(DomainError):
    code = "reason_missing"


@retried
def void(*, invoice: Invoice, by: User, reason: str, now: datetime) -> Invoice:
    """
    Cancel an invoice that was not paid, and give up all that it is for. Its number is kept.

    A payment that comes later is kept as unmatched.

    :raises InvoiceStateForbids: if it is paid, refunded, or cancelled before: whoever voids it
        gives a reason, and that of another stands there already
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        locked = Invoice.objects.lock(invoice.pk)
        User.objects.lock(locked.user_id)
        if not locked.is_payable:
            raise InvoiceStateForbids(
                f"An invoice that is {locked.status} cannot be voided.", status=locked.status
            )
        voided = Event(
            name="invoice.voided",
            user_id=locked.user_id,
            subject_id=locked.pk,
            payload={"number": locked.number, "by": str(by.pk), "reason": reason},
            created_at=now,
        )
        events.record(voided)
        _give_up_what_waits(locked, by, now)
        locked.refresh_from_db()
        return locked


def give_up(
    *,
    invoice_ids: Sequence[UUID],
    subscription: Subscription | None,
    reason: str,
    by: UUID | None = None,
    note: str = "",
    now: datetime,
) -> None:
    """
    Cancel unpaid invoices, and all that waits for them. Their numbers are kept.

    The caller has locked the invoices, their customer and the subscription.

    :param subscription: the pending one that the invoices are to make live, if there is one
    :param reason: a word for ``cancel_reason``
    :param by: who of staff does it, if it is not the customer
    :param note: why, in their own words, where no other event tells it
    """
    TokenBundlePurchase.objects.filter(invoice__in=invoice_ids).update(
        status=TokenBundlePurchase.Status.CANCELLED
    )
    cancelled = {
        "status": SubscriptionStatus.CANCELLED,
        "cancelled_at": now,
        "cancel_reason": reason,
    }
    AddOnSubscription.objects.filter(invoice__in=invoice_ids).update(**cancelled)
    withdraw(invoice_ids=invoice_ids, now=now)
    if subscription is None:
        return
    for column, value in cancelled.items():
        setattr(subscription, column, value)
    subscription.save(update_fields=list(cancelled))
    who = ({"by": str(by)} if by else {}) | ({"note": note} if note else {})
    events.record(
        Event(
            name="subscription.cancelled",
            user_id=subscription.user_id,
            subject_id=subscription.pk,
            payload={"status": subscription.status, "reason": reason, **who},
            created_at=now,
        )
    )


def require_reason(reason: str) -> None:
    """
    Ask for the why of what staff do.

    :raises ReasonMissing: if there is none
    """
    if not reason.strip():
        raise ReasonMissing("reason: Say why, for whoever asks later.")


def _give_up_what_waits(invoice: Invoice, by: User, now: datetime) -> None:
    if invoice.reason == Invoice.Reason.RENEWAL:
        withdraw(invoice_ids=[invoice.pk], now=now)
        renewed.give_up(invoice=invoice, reason="voided", by=by.pk, now=now)
    elif invoice.reason == Invoice.Reason.CHANGE:
        withdraw(invoice_ids=[invoice.pk], now=now)
        changed.give_up(invoice=invoice)
    else:
        give_up(
            invoice_ids=[invoice.pk],
            subscription=subscription_of_checkout(invoice),
            reason="voided",
            by=by.pk,
            now=now,
        )


def subscription_of_checkout(invoice: Invoice) -> Subscription | None:
    """Lock what the invoice is to make live: one without a plan is of add-ons that join it."""
    if invoice.reason != Invoice.Reason.CHECKOUT:
        return None
    if not (invoice.plan_id and invoice.subscription_id):
        return None
    subscription = Subscription.objects.lock(invoice.subscription_id)
    return subscription if subscription.status == SubscriptionStatus.PENDING else None
