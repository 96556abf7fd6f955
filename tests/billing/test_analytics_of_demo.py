"""Every figure of the demo data, held against a plain recomputation from all rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from django.utils import timezone

from billing.models import (
    AddOnSubscription,
    Invoice,
    Payment,
    Subscription,
    SubscriptionChange,
    TokenTransaction,
)
from billing.services.analytics import cash, recurring, spans, summary, usage
from billing.services.analytics.spans import Step
from tests.billing.standing import count_running, demo

__all__ = ["demo"]  # the fixture

TWELFTHS = {"weekly": 52, "monthly": 12, "quarterly": 4, "yearly": 1, "one_time": 0}


LIVE = ("trialing", "active", "paused")


@dataclass
class Held:
    """What somebody had, from when to when; ``end`` is None where it goes on."""

    user_id: UUID
    plan_id: UUID | None
    monthly: Fraction
    start: datetime
    end: datetime | None

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment and (self.end is None or self.end > moment)


def ended_at(row) -> datetime | None:
    ends = [] if row.status in LIVE else [row.cancelled_at, row.expires_at]
    if isinstance(row, AddOnSubscription):
        ends.append(row.subscription.cancelled_at)
    return min((end for end in ends if end), default=None)


def history_of(row) -> list[Held]:
    """Each step from one change to the next, with the trial as the first."""
    own = row.subscription if isinstance(row, AddOnSubscription) else row
    plan_id = None if isinstance(row, AddOnSubscription) else row.plan_id
    end = ended_at(row)
    changes = SubscriptionChange.objects.filter(
        subscription=own,
        status="applied",
        add_on_subscription=row if isinstance(row, AddOnSubscription) else None,
    ).order_by("applied_at", "id")
    steps, begun = [], row.started_at
    for change in changes:
        was = Fraction(change.was_amount) * TWELFTHS[change.was_period] / 12
        steps.append(Held(row.user_id, change.was_plan_id, was, begun, change.applied_at))
        begun = change.applied_at
    now = Fraction(row.amount) * row.quantity * TWELFTHS[row.billing_period] / 12
    steps.append(Held(row.user_id, plan_id, now, begun, end))
    trial_ends = None if own.is_trial_paid else own.trial_ends_at
    if trial_ends is None or trial_ends <= row.started_at:
        return steps
    paid = [replace(step, start=max(step.start, trial_ends)) for step in steps]
    trial = Held(
        row.user_id, plan_id, Fraction(0), row.started_at, min(trial_ends, end or trial_ends)
    )
    return [trial, *(step for step in paid if step.end is None or step.start < step.end)]


class Recomputed:
    """The same figures from all rows, in plain Python."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        rows = [*Subscription.objects.all()]
        rows += AddOnSubscription.objects.select_related("subscription")
        started = [row for row in rows if row.started_at and row.currency == currency]
        self.held = [held for row in started for held in history_of(row)]

    def by_customer(self, moment: datetime) -> dict:
        found: dict = defaultdict(Fraction)
        for held in self.held:
            if held.monthly and held.holds(moment):
                found[held.user_id] += held.monthly
        return found

    def moved(self, start: datetime, end: datetime) -> dict[str, Fraction]:
        before, after = self.by_customer(start), self.by_customer(end)
        found = dict.fromkeys(("new", "expansion", "contraction", "churn"), Fraction(0))
        for user in {*before, *after}:
            old, new = before.get(user, Fraction(0)), after.get(user, Fraction(0))
            if new > old:
                found["expansion" if old else "new"] += new - old
            elif new < old:
                found["contraction" if new else "churn"] += old - new
        return found

    def revenue(self, start: datetime, end: datetime) -> Decimal:
        total = Decimal(0)
        for payment in Payment.objects.filter(currency=self.currency):
            if payment.invoice_id:
                total += payment.amount if start <= payment.received_at < end else 0
                back = payment.refunded_at
                total -= payment.amount if back and start <= back < end else 0
        return total


@pytest.mark.django_db
@pytest.mark.usefixtures("demo")
class TestDemoData:
    def test_gives_the_figures_of_a_plain_recomputation(self, settings):
        for zone in ("UTC", "Asia/Tokyo"):  # in one test: the demo takes long to load
            settings.BILLING_TIME_ZONE = zone
            self.assert_all(timezone.now())

    def assert_all(self, now: datetime) -> None:
        for currency in ("USD", "EUR", "JPY"):
            plain = Recomputed(currency)
            span = spans.last_months(months=12, now=now)
            self.assert_movements(plain, span)
            self.assert_levels(plain, spans.last_days(days=90, now=now))
            self.assert_revenue(plain, spans.last_days(days=90, now=now))
            self.assert_receivables(plain, now)
            self.assert_plans(plain, now)
            self.assert_counts(plain, spans.rolling(days=30, now=now))
        self.assert_tokens(spans.last_days(days=90, now=now))

    def assert_movements(self, plain: Recomputed, span: spans.Span) -> None:
        found = recurring.movements(currency=plain.currency, months=span.months())

        assert len(found) == 12
        assert any(month.end for month in found)
        for month in found:
            assert month.start == sum(plain.by_customer(month.month.start).values())
            assert month.end == sum(plain.by_customer(month.month.end).values())
            moved = {kind.value: value for kind, value in month.moved.items()}
            assert moved == plain.moved(month.month.start, month.month.end)
            gained = moved["new"] + moved["expansion"] - moved["contraction"] - moved["churn"]
            assert month.start + gained == month.end

    def assert_levels(self, plain: Recomputed, span: spans.Span) -> None:
        points = [part.end for part in span.parts(Step.DAY)]

        found = recurring.levels(currency=plain.currency, points=points)

        assert found == [sum(plain.by_customer(point).values()) for point in points]

    def assert_revenue(self, plain: Recomputed, span: spans.Span) -> None:
        found = cash.takings_by(step=Step.DAY, currency=plain.currency, span=span)

        parts = span.parts(Step.DAY)
        assert [day.revenue.amount for day in found] == [
            plain.revenue(part.start, part.end) for part in parts
        ]
        (whole,) = cash.takings(currency=plain.currency, periods=[(span.start, span.end)])
        assert whole.revenue.amount == sum(day.revenue.amount for day in found)

    def assert_receivables(self, plain: Recomputed, now: datetime) -> None:
        today = now.astimezone(spans.zone()).date()
        owed: dict[str, Decimal] = defaultdict(Decimal)
        for invoice in Invoice.objects.filter(currency=plain.currency):
            if invoice.status in ("pending", "failed"):
                age = (today - invoice.invoiced_at.astimezone(spans.zone()).date()).days
                bound = next((b for b in (30, 60, 90) if age <= b), None)
                label = {30: "0–30", 60: "31–60", 90: "61–90", None: "over 90"}[bound]
                owed[label] += invoice.total_amount

        found = cash.receivables(currency=plain.currency, now=now)

        assert {age.label: age.owed.amount for age in found if age.invoices} == owed

    def assert_plans(self, plain: Recomputed, now: datetime) -> None:
        value: dict = defaultdict(Fraction)
        users: dict = defaultdict(set)
        for held in plain.held:
            if held.plan_id and held.holds(now):
                value[held.plan_id] += held.monthly
                users[held.plan_id].add(held.user_id)

        found = recurring.plans(currency=plain.currency, at=now, limit=8)

        assert {plan.plan_id: plan.mrr for plan in found} == value
        assert {plan.plan_id: plan.subscribers for plan in found} == {
            plan: len(subscribers) for plan, subscribers in users.items()
        }
        assert [plan.mrr for plan in found] == sorted(value.values(), reverse=True)

    def assert_counts(self, plain: Recomputed, span: spans.Span) -> None:
        found = summary.summarize(currency=plain.currency, span=span)

        at_start, at_end = plain.by_customer(span.start), plain.by_customer(span.end)
        assert found.mrr.total == sum(at_end.values())
        assert found.arpu.total == sum(at_end.values()) / len(at_end)
        everybody = [Recomputed(code) for code in ("USD", "EUR", "JPY")]
        there = {user for one in everybody for user in one.by_customer(span.start)}
        still = {user for one in everybody for user in one.by_customer(span.end)}
        assert at_start
        assert found.churn.total == Fraction(len(there - still), len(there)) * 100
        assert found.active_subscriptions.total == count_running(Subscription, span.end)
        assert found.revenue.total == plain.revenue(span.start, span.end)

    def assert_tokens(self, span: spans.Span) -> None:
        sums: dict = defaultdict(int)
        for row in TokenTransaction.objects.all():
            if span.start <= row.created_at < span.end:
                day = row.created_at.astimezone(spans.zone()).date()
                sums[day - timedelta(days=day.weekday()), row.transaction_type] += row.amount

        found = usage.by(step=Step.WEEK, span=span)

        weeks = [part.first_on for part in span.parts(Step.WEEK)]
        assert [week.sold for week in found] == [sums[week, "purchase"] for week in weeks]
        assert [week.used for week in found] == [-sums[week, "usage"] for week in weeks]
        assert sum(week.sold for week in found) > 0
