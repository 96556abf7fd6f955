"""The key figures of a span, each with what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from django.db.models import Count, Exists, OuterRef, Q

from accounts.models import User
from billing.models import Invoice, Payment, Subscription
from billing.services.analytics import cash, recurring
from billing.services.analytics.spans import Span


@dataclass(frozen=True, slots=True)
class Figure:
    """Exact, as it is and as it was. Money and rates are rounded where they are shown."""

    total: Fraction
    before: Fraction

    @property
    def change_percent(self) -> float | None:
        """Rounded to one place, half away from zero; None where there was nothing before."""
        if self.before == 0:
            return None
        return to_one_place((self.total - self.before) / abs(self.before) * 100)


@dataclass(frozen=True, slots=True)
class Summary:
    """``mrr``, ``revenue`` and ``arpu`` in the currency; ``churn``, ``conversion`` in percent."""

    currency: str
    mrr: Figure
    revenue: Figure
    user_growth: Figure
    active_subscriptions: Figure
    churn: Figure
    conversion: Figure
    arpu: Figure


def summarize(*, currency: str, span: Span) -> Summary:
    """Three statements, however much there is."""
    there = recurring.audience(
        currency=currency, before=span.before, start=span.start, end=span.end
    )
    current, former = cash.takings(
        currency=currency, periods=[(span.start, span.end), (span.before, span.start)]
    )
    growth, conversion = _registrations(span)
    return Summary(
        currency=currency,
        mrr=Figure(there.end_mrr, there.start_mrr),
        revenue=Figure(Fraction(current.revenue.amount), Fraction(former.revenue.amount)),
        user_growth=growth,
        active_subscriptions=Figure(
            Fraction(there.end_subscriptions), Fraction(there.start_subscriptions)
        ),
        churn=Figure(
            _percent(there.start_lost, there.start_customers),
            _percent(there.before_lost, there.before_customers),
        ),
        conversion=conversion,
        arpu=Figure(
            _per_head(there.end_mrr, there.end_payers),
            _per_head(there.start_mrr, there.start_payers),
        ),
    )


def is_anything_sold() -> bool:
    """Whether there is anything to show figures of."""
    return any(model.objects.exists() for model in (Subscription, Invoice, Payment))


def to_one_place(value: Fraction) -> float:
    """Rounded half away from zero: a percentage for people, never an amount."""
    tenths = int(abs(value) * 10 + Fraction(1, 2))
    return tenths / 10 if value >= 0 else -tenths / 10


def _registrations(span: Span) -> tuple[Figure, Figure]:
    """New customers, and how many percent of them had paid something by the end of the period."""
    new = Q(created_at__gte=span.start, created_at__lt=span.end)
    former = Q(created_at__gte=span.before, created_at__lt=span.start)
    paid = Invoice.objects.filter(user=OuterRef("pk"), total_amount__gt=0)
    found = (
        User.objects.filter(new | former, is_staff=False)
        .annotate(
            paid_by_end=Exists(paid.filter(paid_at__lt=span.end)),
            paid_by_start=Exists(paid.filter(paid_at__lt=span.start)),
        )
        .aggregate(
            new=Count("pk", filter=new),
            new_paid=Count("pk", filter=new & Q(paid_by_end=True)),
            former=Count("pk", filter=former),
            former_paid=Count("pk", filter=former & Q(paid_by_start=True)),
        )
    )
    growth = Figure(Fraction(found["new"]), Fraction(found["former"]))
    conversion = Figure(
        _percent(found["new_paid"], found["new"]), _percent(found["former_paid"], found["former"])
    )
    return growth, conversion


def _percent(part: int, whole: int) -> Fraction:
    """Of nobody, nobody left and nobody paid: zero."""
    return Fraction(part, whole) * 100 if whole else Fraction(0)


def _per_head(value: Fraction, heads: int) -> Fraction:
    return value / heads if heads else Fraction(0)
