"""Payments by bank transfer, for races."""

from __future__ import annotations

import inspect

from django.utils import timezone

from billing.models import Invoice
from billing.services import payments
from config.errors import DomainError


def notice(invoice: Invoice, reference: str) -> payments.Notice:
    return payments.Notice(
        provider="bank",
        reference=reference,
        invoice_reference=str(invoice.id),
        money=invoice.total,
        method="bank_transfer",
    )


def capture(invoice: Invoice, reference: str) -> str:
    """What came of it: ``captured``, or the code of the refusal."""
    try:
        payments.capture(notice=notice(invoice, reference), now=timezone.now())
    except DomainError as refusal:
        return refusal.code
    return "captured"


def capture_uncommitted(invoice: Invoice, reference: str) -> None:
    """The same within the caller's transaction, which ``capture`` itself does not join."""
    now = timezone.now()
    inspect.unwrap(payments._settle)(notice(invoice, reference), received_at=now, now=now)
