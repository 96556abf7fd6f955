"""The figures of how the business stands; those of docs/billing-rules.md are the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from django.utils import timezone

from billing.models import AddOnSubscription, Invoice, Payment, Subscription, TestClock
from billing.services import changes, subscriptions, tokens
from billing.services.analytics import cash, recurring, spans, summary, usage
from billing.services.analytics.recurring import Kind
from billing.services.analytics.spans import Step
from billing.services.renewals import playing
from tests.billing.purchases import check_out, pay, subscribe
from tests.billing.standing import NOW, at, count_running, march, mrr, runs
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    SubscriptionFactory,
    TokenBundleFactory,
    UserFactory,
)


def takings_of(month: int) -> cash.Takings:
    (found,) = cash.takings(currency="USD", periods=[(at(month, 1, 0), at(month + 1, 1, 0))])
    return found


def last_30_days() -> summary.Summary:
    return summary.summarize(currency="USD", span=spans.rolling(days=30, now=NOW))


@pytest.mark.django_db
class TestMrr:
    @pytest.mark.parametrize(
        ("period", "expected"),
        [
            ("weekly", "433.33"),
            ("monthly", "100.00"),
            ("quarterly", "33.33"),
            ("yearly", "8.33"),
            ("one_time", "0.00"),
        ],
    )
    def test_takes_a_month_of_each_period(self, period, expected):
        runs("100.00", since=at(2, 1), period=period)

        assert mrr(NOW) == expected

    def test_rounds_the_sum_and_not_its_parts(self):
        for _ in range(3):
            runs("100.00", since=at(2, 1), period="yearly")

        assert mrr(NOW) == "25.00"

    def test_has_the_places_of_the_currency(self):
        runs("1000", since=at(2, 1), period="yearly", currency="JPY")

        assert mrr(NOW, "JPY") == "83"
        assert mrr(NOW, "USD") == "0.00"

    def test_begins_with_the_start_and_ends_with_the_end_itself(self):
        runs("29.00", since=at(2, 1), until=at(3, 1))
        microsecond = timedelta(microseconds=1)

        levels = [mrr(at(2, 1) - microsecond), mrr(at(2, 1)), mrr(at(3, 1) - microsecond)]

        assert [*levels, mrr(at(3, 1))] == ["0.00", "29.00", "29.00", "0.00"]

    def test_ends_when_what_is_paid_for_has_run_out(self):
        runs("29.00", since=at(2, 1), expires_at=at(3, 1), status="expired")

        assert [mrr(at(2, 28)), mrr(at(3, 1))] == ["29.00", "0.00"]

    def test_goes_on_over_the_end_of_a_period_that_is_to_be_renewed(self):
        runs("29.00", since=at(2, 1), expires_at=at(3, 1))

        assert mrr(at(3, 1)) == "29.00"

    def test_counts_seats(self):
        runs("29.00", since=at(2, 1), quantity=3)

        assert mrr(at(2, 28)) == "87.00"

    def test_begins_when_a_trial_is_over(self):
        tried = PlanFactory(prices={"USD": "30.00"}, trial_days=14)
        support = AddOnFactory(prices={"USD": "5.00"})
        user = UserFactory()
        check_out(user, plan=tried, add_ons=[support], now=at(2, 1))
        playing.play(begins=at(2, 1), until=at(2, 16))

        assert [mrr(at(2, 14)), mrr(at(2, 15, 13))] == ["0.00", "35.00"]
        assert Subscription.objects.filter(recurring.subscription_runs(at=at(2, 14))).exists()

    def test_counts_a_trial_that_is_paid_for_from_its_begin(self):
        plan = PlanFactory(prices={"USD": "30.00"}, trial_days=14, is_trial_paid=True)
        subscribe(UserFactory(), plan=plan, now=at(2, 1))

        assert mrr(at(2, 2)) == "30.00"

    def test_never_begins_in_a_trial_that_was_cancelled(self):
        made = check_out(UserFactory(), plan=PlanFactory(trial_days=14), now=at(2, 1))
        subscriptions.cancel(subscription=made.subscription, now=at(2, 3))
        playing.play(begins=at(2, 3), until=at(3, 1))

        assert [mrr(at(2, 14)), mrr(at(2, 20))] == ["0.00", "0.00"]

    def test_is_what_was_held_at_the_time(self):
        basic, pro = PlanFactory(), PlanFactory(prices={"USD": "99.00"})
        subscription = subscribe(UserFactory(), plan=basic, now=at(2, 1))
        asked = changes.request(subscription=subscription, plan=pro, now=at(2, 11))
        pay(asked.invoice, now=at(2, 11))
        changes.request(subscription=subscription, plan=basic, now=at(2, 20))
        for invoice in subscription.invoices.filter(status="pending"):
            pay(invoice, now=at(2, 20))

        held = [mrr(at(2, day)) for day in (10, 12, 21)]
        plans = [recurring.plans(currency="USD", at=at(2, day), limit=8) for day in (10, 12, 21)]

        assert held == ["29.00", "99.00", "29.00"]
        assert [[plan.plan_id for plan in held_then] for held_then in plans] == [
            [basic.pk],
            [pro.pk],
            [basic.pk],
        ]

    def test_changes_with_a_renewal(self):
        basic, pro = PlanFactory(), PlanFactory(prices={"USD": "99.00"})
        subscription = subscribe(UserFactory(), plan=pro, now=at(2, 1))
        changes.at_period_end(subscription=subscription, plan=basic, now=at(2, 11))
        playing.play(begins=at(2, 11), until=at(3, 2))

        assert [mrr(at(2, 20)), mrr(at(3, 2))] == ["99.00", "29.00"]
        assert march(Kind.CONTRACTION) == "70.00"

    def test_of_an_add_ons_seats(self):
        made = check_out(
            UserFactory(),
            plan=PlanFactory(),
            add_ons=[AddOnFactory(prices={"USD": "5.00"})],
            now=at(2, 20),
        )
        pay(made.invoice, now=at(2, 20))
        add_on = made.subscription.add_ons.get()
        asked = changes.request(
            subscription=made.subscription, add_on=add_on, quantity=4, now=at(3, 5)
        )
        pay(asked.invoice, now=at(3, 5))

        assert [mrr(at(3, 4)), mrr(at(3, 6))] == ["34.00", "49.00"]
        assert march(Kind.EXPANSION) == "15.00"

    def test_falls_to_nothing_on_the_free_plan_and_comes_back(self, settings):
        settings.BILLING_UNPAID_PLAN = "free"
        PlanFactory(name="Free", slug="free", prices={"USD": "0"}, billing_period="one_time")
        user = UserFactory()
        subscription = subscribe(user, plan=PlanFactory(), now=at(1, 1))
        TestClock.objects.create(user=user, now_at=at(1, 1), behaviour="never_pays")
        playing.play(begins=at(1, 1), until=at(2, 20), user_id=user.pk)
        pay(Invoice.objects.get(subscription=subscription, reason="renewal"), now=at(2, 21))

        assert [mrr(at(2, 7)), mrr(at(2, 9)), mrr(at(2, 22))] == ["29.00", "0.00", "29.00"]

    def test_counts_a_paused_one_beyond_its_end(self):
        runs("29.00", since=at(1, 1), expires_at=at(2, 1), status="paused", paused_at=at(1, 20))

        assert mrr(NOW) == "29.00"

    def test_does_not_count_what_was_never_paid(self):
        SubscriptionFactory()

        assert mrr(timezone.now()) == "0.00"

    def test_counts_add_ons_no_longer_than_their_subscription(self):
        customer, plan = UserFactory(), PlanFactory()
        add_on = AddOnFactory(prices={"USD": "5.00"})
        made = check_out(customer, plan=plan, add_ons=[add_on], now=at(3, 1))
        pay(made.invoice, now=at(3, 1))
        before = mrr(at(3, 10))
        subscriptions.cancel(subscription=made.subscription, now=at(3, 10))

        assert before == "34.00"
        assert mrr(at(3, 10)) == "0.00"
        assert AddOnSubscription.objects.get().status == "active"
        assert count_running(AddOnSubscription, at(3, 9)) == 1
        assert count_running(AddOnSubscription, at(3, 10)) == 0


@pytest.mark.django_db
class TestMovement:
    """Of March, up to NOW; the figures of docs/billing-rules.md."""

    def test_of_somebody_who_came(self):
        runs("29.00", since=at(3, 5))

        assert march(Kind.NEW) == "29.00"

    def test_of_somebody_who_came_back(self):
        customer = UserFactory()
        runs("29.00", since=at(1, 1), until=at(2, 1), user=customer)
        runs("29.00", since=at(3, 5), user=customer)

        assert march(Kind.NEW) == "29.00"

    def test_of_somebody_who_left(self):
        runs("29.00", since=at(2, 1), until=at(3, 5))

        assert march(Kind.CHURN) == "29.00"

    def test_of_a_larger_plan(self):
        customer = UserFactory()
        runs("29.00", since=at(2, 1), until=at(3, 5), user=customer)
        runs("99.00", since=at(3, 5), user=customer)

        assert march(Kind.EXPANSION) == "70.00"
        assert march(Kind.NEW) == march(Kind.CHURN) == march(Kind.CONTRACTION) == "0.00"

    def test_of_a_smaller_plan(self):
        customer = UserFactory()
        runs("99.00", since=at(2, 1), until=at(3, 5), user=customer)
        runs("29.00", since=at(3, 5), user=customer)

        assert march(Kind.CONTRACTION) == "70.00"

    def test_of_somebody_who_came_and_left_within_the_month_is_none(self):
        runs("29.00", since=at(3, 5), until=at(3, 10))

        assert {march(kind) for kind in Kind} == {"0.00"}

    def test_adds_up_exactly_where_the_shown_figures_cannot(self):
        runs("5.00", since=at(1, 1), period="yearly")
        runs("5.00", since=at(3, 5), period="yearly")

        (month,) = recurring.movements(
            currency="USD", months=[spans.month(first_on=date(2026, 3, 1), now=NOW)]
        )

        figures = [month.start, month.moved[Kind.NEW], month.end]
        assert month.start + month.moved[Kind.NEW] == month.end == Fraction(10, 12)
        assert [str(recurring.money(figure, "USD")) for figure in figures] == [
            "0.42",
            "0.42",
            "0.83",
        ]

    def test_falls_into_the_month_of_the_seller(self, settings):
        settings.BILLING_TIME_ZONE = "Asia/Tokyo"
        runs("29.00", since=datetime(2026, 2, 28, 16, tzinfo=UTC))  # 1 March, 1 o'clock

        assert march(Kind.NEW) == "29.00"


@pytest.mark.django_db
class TestTakings:
    def test_are_payments_less_refunds_each_by_its_own_day(self):
        made = check_out(UserFactory(), plan=PlanFactory(), now=at(1, 31))
        pay(made.invoice, now=at(1, 31))
        Payment.objects.update(status="refunded", refunded_at=at(2, 1), refund_reference="r")

        january, february = takings_of(1), takings_of(2)

        assert [str(january.received), str(january.refunded)] == ["29.00", "0.00"]
        assert [str(february.received), str(february.refunded)] == ["0.00", "29.00"]
        assert str(february.revenue) == "-29.00"

    def test_leave_out_what_fits_no_invoice(self):
        self.stray("r1")
        self.stray("r2", status="refunded", refunded_at=at(2, 3), refund_reference="back")

        assert str(takings_of(2).received) == "0.00"
        assert str(takings_of(2).refunded) == "0.00"
        (waiting,) = cash.unmatched()
        assert (waiting.payments, str(waiting.amount)) == (1, "10.00")

    def test_fall_on_the_day_of_the_seller(self, settings):
        settings.BILLING_TIME_ZONE = "Asia/Tokyo"
        made = check_out(UserFactory(), plan=PlanFactory(), now=at(3, 10, 20))
        pay(made.invoice, now=at(3, 10, 20))  # 5 o'clock on the 11th
        span = spans.between(first=date(2026, 3, 10), last=date(2026, 3, 12), now=NOW)

        found = cash.takings_by(step=Step.DAY, currency="USD", span=span)

        assert [str(day.revenue) for day in found] == ["0.00", "29.00", "0.00"]

    def stray(self, reference: str, **columns: object) -> None:
        state = {"status": "unmatched", "unmatched_reason": "invoice_not_found"} | columns
        Payment.objects.create(
            provider="bank",
            reference=reference,
            invoice_reference="?",
            amount=Decimal("10.00"),
            currency="USD",
            received_at=at(2, 2),
            **state,
        )


@pytest.mark.django_db
class TestReceivables:
    @pytest.mark.parametrize(
        ("days", "age"),
        [
            (0, "0–30"),
            (30, "0–30"),
            (31, "31–60"),
            (60, "31–60"),
            (61, "61–90"),
            (90, "61–90"),
            (91, "over 90"),
        ],
    )
    def test_are_as_old_as_the_days_since_the_invoice(self, days, age):
        issued = datetime(2026, 3, 16, 0, tzinfo=UTC) - timedelta(days=days)
        check_out(UserFactory(), plan=PlanFactory(), now=issued)

        found = cash.receivables(currency="USD", now=NOW)

        assert {a.label: str(a.owed) for a in found if a.invoices} == {age: "29.00"}

    def test_are_of_open_invoices_alone(self):
        made = check_out(UserFactory(), plan=PlanFactory(), now=at(3, 1))
        pay(made.invoice, now=at(3, 1))
        given_up = check_out(UserFactory(), plan=PlanFactory(), now=at(3, 1))
        subscriptions.cancel(subscription=given_up.subscription, now=at(3, 1))

        found = cash.receivables(currency="USD", now=NOW)

        assert sum(age.invoices for age in found) == 0


@pytest.mark.django_db
class TestUsage:
    def test_is_sold_and_used_and_nothing_else(self):
        customer, bundle = UserFactory(), TokenBundleFactory(token_amount=500)
        pay(check_out(customer, bundles=[bundle], now=at(3, 10)).invoice, now=at(3, 10))
        tokens.spend(user_id=customer.id, amount=120, reference="a", now=at(3, 12))
        gift = tokens.Movement(7, "gift")
        tokens.credit(
            user_id=customer.id, movements=[gift], transaction_type="bonus", now=at(3, 12)
        )
        span = spans.between(first=date(2026, 3, 10), last=date(2026, 3, 12), now=NOW)

        by_day = usage.by(step=Step.DAY, span=span)
        by_week = usage.by(step=Step.WEEK, span=span)

        assert [(day.sold, day.used) for day in by_day] == [(500, 0), (0, 0), (0, 120)]
        assert [(week.sold, week.used) for week in by_week] == [(500, 120)]


@pytest.mark.django_db
class TestSummary:
    """Of the 30 days to 16 March, held against the 30 days to 14 February."""

    def test_of_nothing_is_zero_and_changes_by_nothing(self):
        found = last_30_days()

        figures = [found.mrr, found.revenue, found.churn, found.conversion, found.arpu]
        assert [figure.total for figure in figures] == [0, 0, 0, 0, 0]
        assert [figure.change_percent for figure in figures] == [None] * 5

    def test_of_churn_is_the_share_of_customers_who_left(self):
        for _ in range(3):
            runs("29.00", since=at(1, 1))
        runs("29.00", since=at(1, 1), until=at(3, 1), currency="EUR")
        runs("29.00", since=at(3, 1), until=at(3, 2))  # came and left: was not there before

        found = last_30_days()

        assert found.churn.total == 25
        assert found.churn.before == 0
        assert found.churn.change_percent is None

    def test_of_arpu_is_the_mrr_of_each_who_brings_some(self):
        customer = UserFactory()
        runs("30.00", since=at(1, 1), user=customer)
        runs("45.00", since=at(3, 1))
        runs("0.00", since=at(3, 1))

        found = last_30_days()

        assert (found.arpu.total, found.arpu.before) == (Fraction(75, 2), 30)
        assert found.arpu.change_percent == 25.0
        assert (found.mrr.total, found.mrr.change_percent) == (75, 150.0)

    def test_of_somebody_who_left_is_the_one_of_the_rules(self):
        for amount in ("30.00", "30.00"):
            runs(amount, since=at(1, 1))
        runs("40.00", since=at(1, 1), until=at(3, 1))

        found = last_30_days()

        assert (found.mrr.total, found.mrr.before, found.mrr.change_percent) == (60, 100, -40.0)
        assert str(recurring.money(found.arpu.before, "USD")) == "33.33"
        assert (found.arpu.total, found.arpu.change_percent) == (30, -10.0)
        assert summary.to_one_place(found.churn.total) == 33.3

    def test_of_subscriptions_counts_every_currency_and_period(self):
        runs("30.00", since=at(1, 1))
        runs("30.00", since=at(3, 1), currency="EUR")
        runs("30.00", since=at(3, 1), period="one_time", expires_at=None)

        figure = last_30_days().active_subscriptions

        assert (figure.total, figure.before, figure.change_percent) == (3, 1, 200.0)

    def test_of_conversion_is_the_share_of_new_customers_who_paid(self):
        free = PlanFactory(prices={"USD": "0.00"}, billing_period="one_time")
        plan = PlanFactory()
        paying, later, _idle, gratis = (UserFactory(created_at=at(3, 1)) for _ in range(4))
        UserFactory(created_at=at(2, 1))
        StaffFactory(created_at=at(3, 1))
        subscribe(paying, plan=plan, now=at(3, 2))
        check_out(later, plan=plan, now=at(3, 2))
        check_out(gratis, plan=free, now=at(3, 2))

        found = last_30_days()

        assert (found.user_growth.total, found.user_growth.change_percent) == (4, 300.0)
        assert found.conversion.total == 25

    def test_of_revenue_is_what_came_in_less_what_went_back(self):
        subscribe(UserFactory(), plan=PlanFactory(), now=at(2, 1))
        for _ in range(2):
            subscribe(UserFactory(), plan=PlanFactory(), now=at(3, 1))
        payment = Payment.objects.filter(received_at=at(3, 1)).first()
        payment.status, payment.refunded_at = "refunded", at(3, 5)
        payment.save()

        figure = last_30_days().revenue

        assert (figure.total, figure.before, figure.change_percent) == (29, 29, 0.0)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [("12.34", 12.3), ("12.35", 12.4), ("-12.35", -12.4), ("-0.04", 0.0), ("0", 0.0)],
    )
    def test_shows_percents_to_one_place_half_away_from_zero(self, value, shown):
        assert summary.to_one_place(Fraction(value)) == shown
