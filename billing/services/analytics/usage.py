"""Tokens sold and used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import DateTimeField, Sum
from django.db.models.functions import Trunc

from billing.models import TokenTransaction
from billing.services.analytics import spans
from billing.services.analytics.spans import Span, Step

Type = TokenTransaction.Type


@dataclass(frozen=True, slots=True)
class Tokens:
    sold: int
    used: int


def by(*, step: Step, span: Span) -> list[Tokens]:
    """
    For each part of the span, in order. One statement.

    Sold are those of purchases, used those of usage: what staff grant, take or refund is neither.
    """
    zone = spans.zone()
    rows = (
        TokenTransaction.objects.filter(
            created_at__gte=span.start,
            created_at__lt=span.end,
            transaction_type__in=(Type.PURCHASE, Type.USAGE),
        )
        .annotate(part=Trunc("created_at", step.value, tzinfo=zone, output_field=DateTimeField()))
        .values("part", "transaction_type")
        .annotate(sum=Sum("amount"))
        .order_by("part")
    )
    sums: dict[tuple[date, str], int] = {
        (row["part"].astimezone(zone).date(), row["transaction_type"]): int(row["sum"])
        for row in rows
    }
    return [
        Tokens(
            sold=sums.get((part.first_on, Type.PURCHASE), 0),
            used=-sums.get((part.first_on, Type.USAGE), 0),
        )
        for part in span.parts(step)
    ]
