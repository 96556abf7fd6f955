"""Those who take money for us: how a payment is started."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from billing.models import Invoice
from billing.services import payments
from config.errors import DomainError


class NoPaymentProvider(DomainError):
    code = "no_payment_provider"
    http_status = 503


class InvoiceNotPayable(DomainError):
    code = "invoice_not_payable"


def start_payment(*, invoice: Invoice, now: datetime) -> payments.Receipt:
    """
    Start the payment of an invoice with the configured provider.

    :raises InvoiceNotPayable: if it is paid, cancelled or refunded; nothing is asked of anybody
    :raises NoPaymentProvider: if none is configured
    """
    if not invoice.is_payable:
        raise InvoiceNotPayable(
            f"The invoice {invoice.number} is {invoice.get_status_display().lower()} already.",
            status=invoice.status,
        )
    if settings.BILLING_PAYMENT_PROVIDER != "sandbox":
        raise NoPaymentProvider("No payment provider is configured; pay by bank transfer.")
    return _pay_in_sandbox(invoice, now)


def _pay_in_sandbox(invoice: Invoice, now: datetime) -> payments.Receipt:
    """Take the whole total at once. One reference per invoice: two calls at once pay it once."""
    notice = payments.Notice(
        provider="sandbox",
        reference=f"sandbox-{invoice.id}",
        invoice_reference=str(invoice.id),
        money=invoice.total,
        method="sandbox",
    )
    return payments.capture(notice=notice, now=now)
