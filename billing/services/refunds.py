"""Money that goes back, and what goes with it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Sum

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    InvoiceLineItem,
    Payment,
    Subscription,
    TokenBundlePurchase,
    TokenTransaction,
)
from billing.models.subscription import LIVE
from billing.services import activation, customer_credit, ended_at_once, events, token_returns
from billing.services.invoices import InvoiceStateForbids, require_reason
from billing.services.payments import PaymentNotUnmatched
from config import history
from config.errors import DomainError
from config.locking import retried

Line = InvoiceLineItem.Type
ENDED_BY_REFUND = "refunded"


class NothingToRefund(DomainError):
    code = "nothing_to_refund"


class RefundReferenceMissing(DomainError):
    code = "refund_reference_missing"


@retried
def refund(*, invoice: Invoice, reference: str, by: User, reason: str, now: datetime) -> Invoice:
    """
    Give the whole of a paid invoice back, and end at once what it made live, or what it has paid
    the current period of. Of a period that is over, and of a change, only the money goes back.

    What was used of the customer's credit is credited again. The money itself is sent by whoever
    calls, at the bank or the provider, under ``reference``. Bought tokens are taken back as far as
    they are still there: what was used already cannot be, and is told by ``tokens_used`` and in the
    event ``invoice.refunded``. The same reference again: nothing happens.

    :raises InvoiceStateForbids: if it is not paid, or was refunded under another reference
    :raises NothingToRefund: if it was free
    :raises RefundReferenceMissing: without a reference
    :raises ReasonMissing: without a reason
    """
    _require(reference, reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        locked = Invoice.objects.lock(invoice.pk)
        User.objects.lock(locked.user_id)
        if _is_done_before(locked, reference):
            return locked
        payment = _payment_of(locked)
        # Nothing ends before it began, whoever waited for the locks.
        now = max(activation.not_before_what_stands(locked, now), locked.paid_at or now)
        happened = _end_what_it_pays_for(locked, by, now)
        customer_credit.give_back(
            invoice_ids=[locked.pk], kind=customer_credit.Type.REFUNDED, now=now
        )
        taken, used = _take_tokens_back(locked, now)
        _mark_refunded(payment, reference, now)
        locked.status = Invoice.Status.REFUNDED
        locked.save(update_fields=["status"])
        payload = {
            "number": locked.number,
            "reference": reference,
            "amount": str(payment.money),
            "currency": payment.currency,
            "tokens_taken_back": taken,
            "tokens_used_before": used,
        }
        happened.append(_event("invoice.refunded", locked, locked.pk, by, reason, now, **payload))
        events.record(*happened)
        return locked


def tokens_used(*, invoice: Invoice) -> int:
    """Tokens of a refunded invoice that had been used by then, and so were not taken back."""
    purchases = TokenBundlePurchase.objects.filter(
        invoice=invoice, status=TokenBundlePurchase.Status.REFUNDED
    )
    bought = dict(purchases.values_list("pk", "token_amount"))
    taken = TokenTransaction.objects.filter(
        account_id=invoice.user_id,
        transaction_type=TokenTransaction.Type.REFUND,
        reference_id__in=[str(pk) for pk in bought],
    ).aggregate(total=Sum("amount"))["total"]
    return sum(bought.values()) + (taken or 0)


@retried
def refund_payment(
    *, payment: Payment, reference: str, by: User, reason: str, now: datetime
) -> Payment:
    """
    Send a payment back that fits no invoice. The same reference again: nothing happens.

    :raises PaymentNotUnmatched: if it paid an invoice (that is refunded instead), or was sent back
        under another reference
    :raises RefundReferenceMissing: without a reference
    :raises ReasonMissing: without a reason
    """
    _require(reference, reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        locked = Payment.objects.lock(payment.pk)
        if locked.status == Payment.Status.REFUNDED and locked.refund_reference == reference:
            return locked
        if locked.status != Payment.Status.UNMATCHED:
            raise PaymentNotUnmatched(
                f"A payment that is {locked.status} cannot be sent back: refund its invoice.",
                status=locked.status,
            )
        _mark_refunded(locked, reference, now)
        payload = {"reference": reference, "amount": str(locked.money), "currency": locked.currency}
        events.record(_event("payment.refunded", locked, locked.pk, by, reason, now, **payload))
        return locked


def _require(reference: str, reason: str) -> None:
    if not reference.strip():
        raise RefundReferenceMissing("refund_reference: Name the transfer that gives it back.")
    require_reason(reason)


def _is_done_before(invoice: Invoice, reference: str) -> bool:
    if invoice.status == Invoice.Status.REFUNDED:
        given_back = Payment.objects.filter(
            invoice=invoice, status=Payment.Status.REFUNDED, refund_reference=reference
        )
        if given_back.exists():
            return True
        raise InvoiceStateForbids(
            "The invoice was refunded before, under another reference.", status=invoice.status
        )
    if invoice.status != Invoice.Status.PAID:
        raise InvoiceStateForbids(
            f"An invoice that is {invoice.status} cannot be refunded.", status=invoice.status
        )
    return False


def _payment_of(invoice: Invoice) -> Payment:
    payment = Payment.objects.filter(invoice=invoice, status=Payment.Status.CAPTURED).first()
    if payment is None:
        raise NothingToRefund("The invoice was free: no money came in that could go back.")
    return Payment.objects.lock(payment.pk)


def _end_what_it_pays_for(invoice: Invoice, by: User, now: datetime) -> list[Event]:
    """
    What a checkout has made live ends, whatever has been renewed since; of a renewal, what it has
    paid the newest period of.
    """
    if invoice.reason == Invoice.Reason.CHECKOUT:
        happened = _end_subscription(invoice, by, now) if invoice.plan_id else []
        _end_add_ons(Q(invoice=invoice), now)
        return happened
    if invoice.reason == Invoice.Reason.CHANGE:
        return []
    newest = _paid_last(invoice)
    happened = _end_subscription(invoice, by, now) if invoice.subscription_id in newest else []
    _end_add_ons(Q(pk__in=newest), now)
    return happened


def _paid_last(invoice: Invoice) -> list[UUID]:
    """Of what is on a renewal: subscription and add-ons whose last period that is paid is on it."""
    own = InvoiceLineItem.objects.filter(invoice=invoice, type__in=(Line.SUBSCRIPTION, Line.ADD_ON))
    later = InvoiceLineItem.objects.filter(
        user_id=OuterRef("user_id"),
        item_id=OuterRef("item_id"),
        period_start__gt=OuterRef("period_start"),
        invoice__subscription=invoice.subscription_id,
        invoice__reason=Invoice.Reason.RENEWAL,
        invoice__status=Invoice.Status.PAID,
    )
    return list(own.filter(~Exists(later)).values_list("item_id", flat=True))


def _end_subscription(invoice: Invoice, by: User, now: datetime) -> list[Event]:
    """With every add-on that runs with it."""
    assert invoice.subscription_id  # noqa: S101 - it is of a plan, or of a renewal
    subscription = Subscription.objects.lock(invoice.subscription_id)
    if subscription.status not in LIVE and not subscription.is_running_at(now):
        return []
    activation.end_subscriptions(
        subscription_ids=[subscription.pk], reason=ENDED_BY_REFUND, now=now
    )
    return [_event("subscription.cancelled", invoice, subscription.pk, by, ENDED_BY_REFUND, now)]


def _end_add_ons(which: Q, now: datetime) -> None:
    AddOnSubscription.objects.filter(
        Q(status__in=LIVE) | Q(pk__in=AddOnSubscription.objects.running(now)), which
    ).update(**ended_at_once.columns(ENDED_BY_REFUND, now))


def _take_tokens_back(invoice: Invoice, now: datetime) -> tuple[int, int]:
    """How many were there still, and how many not."""
    purchases = TokenBundlePurchase.objects.filter(
        invoice=invoice, status=TokenBundlePurchase.Status.COMPLETED
    )
    bought = list(purchases.order_by("pk"))
    taken = token_returns.take_back(user_id=invoice.user_id, purchases=bought, now=now)
    purchases.update(status=TokenBundlePurchase.Status.REFUNDED)
    return taken, sum(purchase.token_amount for purchase in bought) - taken


def _mark_refunded(payment: Payment, reference: str, now: datetime) -> None:
    payment.status = Payment.Status.REFUNDED
    payment.refund_reference = reference
    payment.refunded_at = now
    payment.save(update_fields=["status", "refund_reference", "refunded_at"])


def _event(
    name: str,
    row: Invoice | Payment,
    subject_id: UUID,
    by: User,
    reason: str,
    now: datetime,
    **payload: object,
) -> Event:
    return Event(
        name=name,
        user_id=row.user_id,
        subject_id=subject_id,
        payload={**payload, "by": str(by.pk), "reason": reason},
        created_at=now,
    )
