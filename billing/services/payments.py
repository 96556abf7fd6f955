"""Money that arrived: every way in ends in ``capture``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from django.db import transaction
from django.db.models import Case, QuerySet, Subquery, Sum, When

from accounts.models import User
from billing.models import Event, Invoice, InvoiceLineItem, Payment, TokenBundlePurchase
from billing.services import activation, events
from billing.services.invoices import require_reason
from catalog.money import Money
from config import history, rows
from config.errors import DomainError
from config.locking import retried

Line = InvoiceLineItem.Type
BY_HAND = "manual"  # the provider of what staff take


class InvalidPaymentAmount(DomainError):
    code = "invalid_payment_amount"


class PaymentReferenceConflict(DomainError):
    code = "payment_reference_conflict"
    http_status = 409


class PaymentNotUnmatched(DomainError):
    code = "payment_not_unmatched"


class PaymentInFuture(DomainError):
    code = "payment_in_future"


class PaymentReferenceMissing(DomainError):
    code = "payment_reference_missing"


class PaymentUnmatched(DomainError):
    """The payment is kept for finance to resolve; its subclasses say why it fits nothing."""

    sentence: str


class InvoiceNotFound(PaymentUnmatched):
    code = "invoice_not_found"
    sentence = "There is no such invoice."


class InvoiceAlreadyPaid(PaymentUnmatched):
    code = "invoice_already_paid"
    sentence = "The invoice is paid already."


class InvoiceCancelled(PaymentUnmatched):
    code = "invoice_cancelled"
    sentence = "The invoice is cancelled."


class InvoiceRefunded(PaymentUnmatched):
    code = "invoice_refunded"
    sentence = "The invoice was refunded."


class WrongCurrency(PaymentUnmatched):
    code = "wrong_currency"
    sentence = "The payment is in another currency than the invoice."


class WrongAmount(PaymentUnmatched):
    code = "wrong_amount"
    sentence = "The payment is not the total of the invoice."


class SubscriptionEnded(PaymentUnmatched):
    code = "subscription_ended"
    sentence = "The subscription that the invoice belongs to has ended."


UNMATCHED = {refusal.code: refusal for refusal in PaymentUnmatched.__subclasses__()}
_NOT_PAYABLE = {
    Invoice.Status.PAID: InvoiceAlreadyPaid,
    Invoice.Status.CANCELLED: InvoiceCancelled,
    Invoice.Status.REFUNDED: InvoiceRefunded,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """
    What a provider, or a person at the bank account, says has arrived.

    :param invoice_reference: the id of the invoice as the payer named it, whatever it is
    :param reference: the provider's own id of the payment, unique with it
    """

    provider: str
    reference: str
    invoice_reference: str
    money: Money
    method: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a payment did: read from rows that never change, so a repeat gives the same."""

    invoice_id: UUID
    payment_reference: str
    subscription_activated: bool
    tokens_credited: int
    add_ons_activated: int
    bundles_credited: int


def capture(*, notice: Notice, now: datetime) -> Receipt:
    """
    Take a payment: mark the invoice paid and make live what it is for.

    The same notice again does nothing and gives the same receipt. A payment that fits nothing is
    kept as unmatched with its reason, and only then refused. Not to be called inside a
    transaction: the refusal would roll back what is kept.

    :raises PaymentUnmatched: if it fits nothing; the payment is kept
    :raises PaymentReferenceConflict: if the reference is of another payment
    :raises InvalidPaymentAmount: if the amount is not positive
    """
    if notice.money.amount <= 0:
        raise InvalidPaymentAmount("amount: a payment must be more than zero.")
    payment = _settle(notice, received_at=now, now=now)
    if payment.invoice_id is None:
        refusal = UNMATCHED[payment.unmatched_reason]
        raise refusal(
            f"{refusal.sentence} The payment is kept for resolution.", payment_id=str(payment.id)
        )
    return receipt(invoice_id=payment.invoice_id, payment=payment)


def mark_paid(
    *,
    invoice: Invoice,
    reference: str,
    method: str,
    received_at: datetime,
    by: User,
    reason: str,
    now: datetime,
) -> Receipt:
    """
    Take a payment that somebody of staff has seen arrive, of the invoice's total.

    The same reference again does nothing and gives the same receipt. What cannot be paid is
    refused and nothing is kept: no money came by a clerk's mistake. Not to be called inside a
    transaction, as ``capture`` is not.

    :param reference: of the transfer, unique among those taken by hand
    :param received_at: when the money was there, by the bank's statement; its subscription runs
        from ``now`` all the same
    :raises PaymentUnmatched: if the invoice is not to be paid; nothing is kept
    :raises PaymentReferenceConflict: if the reference is of another payment
    :raises PaymentReferenceMissing: without a reference
    :raises PaymentInFuture: if ``received_at`` is after ``now``
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    if not reference.strip():
        raise PaymentReferenceMissing("payment_reference: Name the transfer.")
    if received_at > now:
        raise PaymentInFuture("The day on which the money arrived lies in the future.")
    notice = Notice(
        provider=BY_HAND,
        reference=reference,
        invoice_reference=str(invoice.pk),
        money=invoice.total,
        method=method,
    )
    with history.noted(by=by.pk, reason=reason):
        payment = _settle(notice, received_at=received_at, now=now, note=_note(by, reason))
    return receipt(invoice_id=invoice.pk, payment=payment)


@retried
@transaction.atomic
def assign(*, payment: Payment, invoice: Invoice, by: User, reason: str, now: datetime) -> Receipt:
    """
    Let an unmatched payment pay an invoice of its amount. Again: the same receipt.

    :raises PaymentNotUnmatched: if it paid another one, or was sent back
    :raises PaymentUnmatched: if it does not fit this one either; nothing changes
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    with history.noted(by=by.pk, reason=reason):
        locked = Invoice.objects.lock(invoice.pk)
        locked.user = User.objects.lock(locked.user_id)
        payment = Payment.objects.lock(payment.pk)
        if payment.status == Payment.Status.CAPTURED and payment.invoice_id == locked.pk:
            return receipt(invoice_id=locked.pk, payment=payment)
        if payment.status != Payment.Status.UNMATCHED:
            raise PaymentNotUnmatched(
                f"A payment that is {payment.status} cannot be assigned.", status=payment.status
            )
        if refusal := _refusal(locked, payment.money, now):
            raise refusal(refusal.sentence)
        payment.status = Payment.Status.CAPTURED
        payment.invoice = locked
        payment.user_id = locked.user_id
        payment.unmatched_reason = ""
        payment.save(update_fields=["status", "invoice", "user", "unmatched_reason"])
        note = {"invoice_id": str(locked.pk), **_note(by, reason)}
        events.record(payment_event("payment.assigned", payment, now, note))
        activation.settle(
            invoice=locked, method=payment.method, reference=payment.reference, now=now
        )
        return receipt(invoice_id=locked.pk, payment=payment)


def candidates(*, payment: Payment) -> QuerySet[Invoice]:
    """
    Invoices still to be paid, of an unmatched payment's amount and currency: its customer's
    first, then the newest.
    """
    return (
        Invoice.objects.filter(
            status__in=(Invoice.Status.PENDING, Invoice.Status.FAILED),
            currency=payment.currency,
            total_amount=payment.amount,
        )
        .alias(is_of_another=Case(When(user_id=payment.user_id, then=0), default=1))
        .order_by("is_of_another", "-id")
    )


def receipt(*, invoice_id: UUID, payment: Payment) -> Receipt:
    """What this payment did when it was captured for this invoice."""
    purchases = TokenBundlePurchase.objects.filter(invoice_id=invoice_id).order_by()
    credited = purchases.values("invoice").annotate(total=Sum("token_amount")).values("total")
    # The sum stands beside every line: one statement reads both.
    lines = InvoiceLineItem.objects.filter(invoice_id=invoice_id).annotate(
        credited=Subquery(credited)
    )
    found = list(lines.values_list("type", "credited"))
    types = [line_type for line_type, _tokens in found]
    return Receipt(
        invoice_id=invoice_id,
        payment_reference=payment.reference,
        subscription_activated=Line.SUBSCRIPTION in types,
        tokens_credited=(found[0][1] or 0) if found else 0,
        add_ons_activated=types.count(Line.ADD_ON),
        bundles_credited=types.count(Line.TOKEN_BUNDLE),
    )


@retried
@transaction.atomic(durable=True)
def _settle(
    notice: Notice, *, received_at: datetime, now: datetime, note: dict[str, str] | None = None
) -> Payment:
    """
    Lock, check, write: the payment as it stands at the end, matched or not.

    :param note: who of staff takes it, and why; of them nothing unmatched is kept
    """
    invoice = _lock_invoice(notice.invoice_reference)
    before = _find(notice)
    if before:
        return before
    refusal = _refusal(invoice, notice.money, now)
    if refusal and note:
        raise refusal(refusal.sentence)
    payment = Payment(
        provider=notice.provider,
        reference=notice.reference,
        method=notice.method,
        invoice_reference=notice.invoice_reference,
        user_id=invoice.user_id if invoice else None,
        amount=notice.money.amount,
        currency=notice.money.currency,
        received_at=received_at,
        status=Payment.Status.UNMATCHED if refusal else Payment.Status.CAPTURED,
        unmatched_reason=refusal.code if refusal else "",
        invoice=None if refusal else invoice,
    )
    if not rows.insert_new(payment, unless="payment_reference_once"):
        # The same reference came for another invoice at the same moment, and was first.
        before = _find(notice)
        assert before  # noqa: S101 - it has just stood in the way, and payments are never deleted
        return before
    received = payment_event(f"payment.{payment.status}", payment, now, note or {})
    if refusal or invoice is None:
        events.record(received)
    else:
        activation.settle(
            invoice=invoice,
            method=notice.method,
            reference=notice.reference,
            before=[received],
            now=now,
        )
    return payment


def _lock_invoice(invoice_reference: str) -> Invoice | None:
    """Lock the invoice and then its customer, in that order; see docs/locking.md."""
    try:
        invoice = Invoice.objects.lock(UUID(invoice_reference))
    except (ValueError, Invoice.DoesNotExist):
        return None
    invoice.user = User.objects.lock(invoice.user_id)
    return invoice


def _find(notice: Notice) -> Payment | None:
    """
    The payment that was recorded under this reference.

    :raises PaymentReferenceConflict: if it was another one
    """
    payment = Payment.objects.filter(provider=notice.provider, reference=notice.reference).first()
    if payment and (payment.invoice_reference, payment.money) != (
        notice.invoice_reference,
        notice.money,
    ):
        raise PaymentReferenceConflict(
            "payment_reference: this reference is of another payment, "
            "for another invoice or of another amount.",
            payment_id=str(payment.id),
        )
    return payment


def _refusal(invoice: Invoice | None, money: Money, now: datetime) -> type[PaymentUnmatched] | None:
    if invoice is None:
        return InvoiceNotFound
    if not invoice.is_payable:
        return _NOT_PAYABLE[Invoice.Status(invoice.status)]
    if money.currency != invoice.currency:
        return WrongCurrency
    if money != invoice.total:
        return WrongAmount
    if not activation.is_possible(invoice=invoice, now=now):
        return SubscriptionEnded
    return None


def _note(by: User, reason: str) -> dict[str, str]:
    return {"by": str(by.pk), "note": reason}


def payment_event(
    name: str, payment: Payment, now: datetime, note: Mapping[str, str] = MappingProxyType({})
) -> Event:
    """What happened to a payment; ``note`` says who of staff did it, and why."""
    return Event(
        name=name,
        user_id=payment.user_id,
        subject_id=payment.id,
        payload={
            "provider": payment.provider,
            "reference": payment.reference,
            "amount": str(payment.money),
            "currency": payment.currency,
            "reason": payment.unmatched_reason,
            **note,
        },
        created_at=now,
    )
