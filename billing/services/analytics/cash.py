"""Money that came in, money that is owed, and money that nobody knows yet what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, DateTimeField, F, Q, QuerySet, Sum
from django.db.models.functions import Trunc

from billing.models import Invoice, Payment
from billing.services.analytics import spans
from billing.services.analytics.spans import Span, Step
from catalog.money import Money

OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)
AGES = ((0, 30), (31, 60), (61, 90), (91, None))  # days since it was issued, both included


@dataclass(frozen=True, slots=True)
class Takings:
    """What came in for invoices, and what of such money went back."""

    received: Money
    refunded: Money

    @property
    def revenue(self) -> Money:
        return self.received - self.refunded


@dataclass(frozen=True, slots=True)
class Age:
    """
    What is owed on invoices issued from ``since`` (None: ever) to before ``until``.

    :param label: in days: "0–30"
    """

    label: str
    since: datetime | None
    until: datetime | None
    invoices: int
    owed: Money


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Payments that wait to be resolved, of one currency."""

    payments: int
    amount: Money


def matched() -> QuerySet[Payment]:
    """Payments that paid an invoice, those refunded later too: what has none is not ours yet."""
    return Payment.objects.filter(invoice__isnull=False)


def takings(*, currency: str, periods: Sequence[tuple[datetime, datetime]]) -> list[Takings]:
    """What came in and went back in each of these periods, half open. One statement."""
    sums = {}
    for number, (start, end) in enumerate(periods):
        received = Q(received_at__gte=start, received_at__lt=end)
        refunded = Q(refunded_at__gte=start, refunded_at__lt=end)
        sums[f"received_{number}"] = Sum("amount", filter=received, default=Decimal(0))
        sums[f"refunded_{number}"] = Sum("amount", filter=refunded, default=Decimal(0))
    found = matched().filter(currency=currency).aggregate(**sums)
    return [
        Takings(
            Money(found[f"received_{number}"], currency),
            Money(found[f"refunded_{number}"], currency),
        )
        for number in range(len(periods))
    ]


def takings_by(*, step: Step, currency: str, span: Span) -> list[Takings]:
    """For each part of the span, in order. Two statements."""
    received = _by_part("received_at", step, currency, span)
    refunded = _by_part("refunded_at", step, currency, span)
    zero = Decimal(0)
    return [
        Takings(
            Money(received.get(part.first_on, zero), currency),
            Money(refunded.get(part.first_on, zero), currency),
        )
        for part in span.parts(step)
    ]


def receivables(*, currency: str, now: datetime) -> list[Age]:
    """What is owed on open invoices, by the days of the seller's since they were issued."""
    today = spans.today(now=now)
    bounds = [(_days_ago(today, last), _days_ago(today, first - 1)) for first, last in AGES]
    sums: dict[str, Count | Sum] = {}
    for number, (since, until) in enumerate(bounds):
        # Today's invoices are in the first bound, whatever the clock of who made them said.
        issued = Q(invoiced_at__gte=since) if since else Q()
        issued &= Q(invoiced_at__lt=until) if number else Q()
        sums[f"invoices_{number}"] = Count("pk", filter=issued)
        sums[f"owed_{number}"] = Sum("total_amount", filter=issued, default=Decimal(0))
    found = Invoice.objects.filter(status__in=OPEN, currency=currency).aggregate(**sums)
    return [
        Age(
            label=f"{first}–{last}" if last else f"over {first - 1}",
            since=since,
            until=until if number else None,
            invoices=found[f"invoices_{number}"],
            owed=Money(found[f"owed_{number}"], currency),
        )
        for number, ((first, last), (since, until)) in enumerate(zip(AGES, bounds, strict=True))
    ]


def unmatched() -> list[Unmatched]:
    """Of each currency that has any, the most first."""
    rows = (
        Payment.objects.filter(status=Payment.Status.UNMATCHED)
        .values("currency")
        .annotate(payments=Count("pk"), sum=Sum("amount"))
        .order_by("-payments", "currency")
    )
    return [Unmatched(row["payments"], Money(row["sum"], row["currency"])) for row in rows]


def _days_ago(today: date, days: int | None) -> datetime | None:
    return None if days is None else spans.midnight(day=today - timedelta(days=days))


def _by_part(column: str, step: Step, currency: str, span: Span) -> dict[date, Decimal]:
    within = {f"{column}__gte": span.start, f"{column}__lt": span.end}
    zone = spans.zone()
    rows = (
        matched()
        .filter(currency=currency, **within)
        .annotate(part=Trunc(column, step.value, tzinfo=zone, output_field=DateTimeField()))
        .values("part")
        .annotate(sum=Sum(F("amount")))
        .order_by("part")
    )
    return {row["part"].astimezone(zone).date(): row["sum"] for row in rows}
