"""Money that arrived: every way in ends in ``capture``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum

from accounts.models import User
from billing.models import Event, Invoice, InvoiceLineItem, Payment, TokenBundlePurchase
from billing.services import activation, events
from catalog.money import Money
from config.errors import DomainError

Line = InvoiceLineItem.Type


class InvalidPaymentAmount(DomainError):
    code = "invalid_payment_amount"


class PaymentReferenceConflict(DomainError):
    code = "payment_reference_conflict"
    http_status = 409


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
    payment = _settle(notice, now)
    if payment.invoice_id is None:
        refusal = UNMATCHED[payment.unmatched_reason]
        raise refusal(
            f"{refusal.sentence} The payment is kept for resolution.", payment_id=str(payment.id)
        )
    return receipt(invoice_id=payment.invoice_id, payment=payment)


def receipt(*, invoice_id: UUID, payment: Payment) -> Receipt:
    """What this payment did when it was captured for this invoice."""
    lines = InvoiceLineItem.objects.filter(invoice_id=invoice_id)
    types = list(lines.values_list("type", flat=True))
    purchases = TokenBundlePurchase.objects.filter(invoice_id=invoice_id)
    return Receipt(
        invoice_id=invoice_id,
        payment_reference=payment.reference,
        subscription_activated=Line.SUBSCRIPTION in types,
        tokens_credited=purchases.aggregate(total=Sum("token_amount"))["total"] or 0,
        add_ons_activated=types.count(Line.ADD_ON),
        bundles_credited=types.count(Line.TOKEN_BUNDLE),
    )


@transaction.atomic(durable=True)
def _settle(notice: Notice, now: datetime) -> Payment:
    """Lock, check, write: the payment as it stands at the end, matched or not."""
    invoice = _lock_invoice(notice.invoice_reference)
    before = _find(notice)
    if before:
        return before
    refusal = _refusal(invoice, notice, now)
    payment = Payment(
        provider=notice.provider,
        reference=notice.reference,
        method=notice.method,
        invoice_reference=notice.invoice_reference,
        user_id=invoice.user_id if invoice else None,
        amount=notice.money.amount,
        currency=notice.money.currency,
        received_at=now,
        status=Payment.Status.UNMATCHED if refusal else Payment.Status.CAPTURED,
        unmatched_reason=refusal.code if refusal else "",
        invoice=None if refusal else invoice,
    )
    try:
        with transaction.atomic():
            payment.save(force_insert=True)
    except IntegrityError:
        # The same reference came for another invoice at the same moment, and was first.
        before = _find(notice)
        if before is None:
            raise
        return before
    events.record(_payment_event(payment, now))
    if invoice and not refusal:
        activation.settle(
            invoice=invoice, method=notice.method, reference=notice.reference, now=now
        )
    return payment


def _lock_invoice(invoice_reference: str) -> Invoice | None:
    """Lock the invoice and then its customer, in that order; see docs/locking.md."""
    try:
        invoice = Invoice.objects.lock(UUID(invoice_reference))
    except (ValueError, Invoice.DoesNotExist):
        return None
    User.objects.lock(invoice.user_id)
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


def _refusal(
    invoice: Invoice | None, notice: Notice, now: datetime
) -> type[PaymentUnmatched] | None:
    if invoice is None:
        return InvoiceNotFound
    if not invoice.is_payable:
        return _NOT_PAYABLE[Invoice.Status(invoice.status)]
    if notice.money.currency != invoice.currency:
        return WrongCurrency
    if notice.money != invoice.total:
        return WrongAmount
    if not activation.is_possible(invoice=invoice, now=now):
        return SubscriptionEnded
    return None


def _payment_event(payment: Payment, now: datetime) -> Event:
    return Event(
        name=f"payment.{payment.status}",
        user_id=payment.user_id,
        subject_id=payment.id,
        payload={
            "provider": payment.provider,
            "reference": payment.reference,
            "amount": str(payment.money),
            "currency": payment.currency,
            "reason": payment.unmatched_reason,
        },
        created_at=now,
    )
