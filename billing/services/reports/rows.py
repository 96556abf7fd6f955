"""The rows behind a month's figures."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.models import Invoice, Payment
from billing.services.reports.months import Month

Status = Invoice.Status


def issued(*, month: Month, currency: str) -> QuerySet[Invoice]:
    """Invoices issued in the month."""
    return Invoice.objects.filter(currency=currency, **within("invoiced_at", month))


def open_at_end(*, month: Month, currency: str) -> QuerySet[Invoice]:
    """Invoices that were still to be paid when the month ended; of one that is not over: now."""
    return Invoice.objects.filter(open_at(month.end), currency=currency)


def money_moved(*, month: Month, currency: str) -> QuerySet[Payment]:
    """Payments that came in or went back in the month."""
    moved = Q(**within("received_at", month)) | Q(**within("refunded_at", month))
    return Payment.objects.filter(moved, currency=currency)


def open_at(moment: datetime) -> Q:
    """
    Of invoices: issued before the moment, and neither paid nor cancelled before it.

    An invoice is paid when its money was received, whenever that was booked; one of zero, which
    gets no payment, at its ``paid_at``.
    """
    paid_later = Payment.objects.filter(invoice=OuterRef("pk"), received_at__gte=moment)
    return Q(invoiced_at__lt=moment) & (
        Q(status__in=(Status.PENDING, Status.FAILED))
        | Q(status=Status.CANCELLED, cancelled_at__gte=moment)
        | Q(status__in=(Status.PAID, Status.REFUNDED))
        & (Exists(paid_later) | Q(total_amount=0, paid_at__gte=moment))
    )


def waiting_at(moment: datetime) -> Q:
    """Of payments: received before the moment, without an invoice, and not sent back before it."""
    kept = Q(refunded_at=None) | Q(refunded_at__gte=moment)
    return kept & Q(invoice=None, received_at__lt=moment)


def within(column: str, month: Month) -> dict[str, datetime]:
    return {f"{column}__gte": month.start, f"{column}__lt": month.end}
