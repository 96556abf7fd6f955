"""How a business stands on 16 March 2026, for tests of its figures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import User
from billing.models import AddOnSubscription, Payment, Subscription
from billing.services import changes, subscriptions
from billing.services.analytics import recurring, spans
from billing.services.analytics.recurring import Kind
from billing.services.renewals import playing
from catalog.models import BillingPeriod
from tests.billing.purchases import check_out, subscribe
from tests.factories import PlanFactory, SubscriptionFactory, UserFactory

NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def runs(
    amount: str,
    *,
    since: datetime,
    until: datetime | None = None,
    user: User | None = None,
    period: str = BillingPeriod.MONTHLY,
    currency: str = "USD",
    **columns: object,
) -> Subscription:
    """A subscription that ran from ``since`` until it was cancelled, or runs on."""
    plan = PlanFactory(billing_period=period, prices={currency: amount})
    ended = {"status": "cancelled", "cancelled_at": until} if until else {"status": "active"}
    state = {"started_at": since, "expires_at": at(12, 31)} | ended | columns
    return SubscriptionFactory(user=user or UserFactory(), plan=plan, **state)


def mrr(moment: datetime, currency: str = "USD") -> str:
    (level,) = recurring.levels(currency=currency, points=[moment])
    return str(recurring.money(level, currency))


def march(kind: Kind) -> str:
    (month,) = recurring.movements(
        currency="USD", months=[spans.month(first_on=date(2026, 3, 1), now=NOW)]
    )
    return str(recurring.money(month.moved[kind], "USD"))


def count_running(kind, moment: datetime) -> int:
    runs_then = {
        Subscription: recurring.subscription_runs,
        AddOnSubscription: recurring.add_on_runs,
    }
    return kind.objects.filter(runs_then[kind](at=moment)).count()


@pytest.fixture
def demo(roles) -> None:
    """The demo data, with what it lacks: pauses, refunds, trials, seats and other periods."""
    call_command("load_demo", stdout=StringIO())
    yearly = PlanFactory(name="Yearly", billing_period="yearly", prices={"USD": "100.00"})
    weekly = PlanFactory(name="Weekly", billing_period="weekly", prices={"USD": "7.99"})
    now = timezone.now()
    for days in (5, 40, 100):
        subscribe(UserFactory(), plan=yearly, now=now - timedelta(days=days))
        subscribe(UserFactory(), plan=weekly, now=now - timedelta(days=days))
    tried = PlanFactory(name="Tried", trial_days=14, prices={"USD": "30.00"})
    for days in (5, 45):
        made = check_out(UserFactory(), plan=tried, quantity=3, now=now - timedelta(days=days))
        playing.play(begins=now - timedelta(days=days), until=now)
        assert made.subscription
        changes.request(subscription=made.subscription, quantity=2, now=now)
    for subscription in Subscription.objects.filter(status="active", expires_at__gt=now)[:4]:
        subscriptions.pause(subscription=subscription, now=now - timedelta(days=2))
    for payment in Payment.objects.filter(status="captured").order_by("id")[40:60:5]:
        payment.status = "refunded"
        payment.refunded_at = payment.received_at + timedelta(days=3)
        payment.save()
