"""What the invoices of a list come to, all pages of it together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Q, QuerySet, Sum

from billing.admin.columns import money
from billing.models import Invoice

_PARTS = {
    "is_open": Q(status__in=[Invoice.Status.PENDING, Invoice.Status.FAILED]),
    "is_paid": Q(status=Invoice.Status.PAID),
    "is_refunded": Q(status=Invoice.Status.REFUNDED),
    "is_cancelled": Q(status=Invoice.Status.CANCELLED),
}


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one currency; amounts as people read them. What is owed, paid… make up the total."""

    currency: str
    invoices: int
    net: str
    tax: str
    total: str
    owed: str
    paid: str
    refunded: str
    cancelled: str


def of_invoices(invoices: QuerySet[Invoice]) -> list[Sums]:
    """By currency, in one statement, however many there are."""
    rows = (
        invoices.order_by()
        .values("currency")
        .annotate(
            invoices=Count("pk"),
            net=Sum("subtotal"),
            tax=Sum("tax_amount"),
            total=Sum("total_amount"),
            **{part: Sum("total_amount", filter=which) for part, which in _PARTS.items()},
        )
        .order_by("currency")
    )
    return [_sums(row) for row in rows]


def _sums(row: dict) -> Sums:
    def shown(part: str) -> str:
        return money(row[part] or Decimal(0), row["currency"])

    return Sums(
        currency=row["currency"],
        invoices=row["invoices"],
        net=shown("net"),
        tax=shown("tax"),
        total=shown("total"),
        owed=shown("is_open"),
        paid=shown("is_paid"),
        refunded=shown("is_refunded"),
        cancelled=shown("is_cancelled"),
    )


def by_status(invoices: QuerySet[Invoice]) -> QuerySet[Invoice, dict]:
    """``status``, ``currency``, ``count`` and ``total``, in one statement."""
    return (
        invoices.order_by()
        .values("status", "currency")
        .annotate(count=Count("pk"), total=Sum("total_amount"))
        .order_by("status", "currency")
    )
