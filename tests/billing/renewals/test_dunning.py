from datetime import timedelta
from decimal import Decimal

import pytest

from billing.models import AddOnSubscription, Event, Payment, PaymentAttempt, TestClock
from billing.services import invoices, subscriptions
from billing.services.renewals import running
from tests.billing.purchases import check_out, pay, subscribe
from tests.billing.renewals.story import Behaviour, at, periods, renewals, run, subscriber
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
DUE = at(2, 28)  # of a subscription since 31 January
TRIES = [DUE, DUE + DAY, DUE + 3 * DAY, DUE + 5 * DAY, DUE + 7 * DAY]


def outcomes(subscription):
    attempts = PaymentAttempt.objects.filter(user=subscription.user).order_by("number")
    return [(attempt.number, attempt.outcome, attempt.started_at) for attempt in attempts]


def run_to(subscription, *moments):
    for moment in moments:
        run(subscription, moment)


class TestARenewalIsNotPaid:
    def test_access_goes_on_and_it_is_tried_again_the_next_day(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)

        done = run(subscription, DUE)

        assert (done.invoiced, done.paid, done.failed) == (1, 0, 1)
        (invoice,) = renewals(subscription)
        assert (invoice.status, invoice.next_attempt_at) == ("failed", DUE + DAY)
        assert (subscription.status, subscription.past_due_since) == ("active", DUE)
        assert subscription.grace_until == DUE + 7 * DAY
        assert subscription.is_valid_at(DUE + 7 * DAY - timedelta(seconds=1))
        assert not subscription.is_valid_at(DUE + 7 * DAY)
        (attempt,) = PaymentAttempt.objects.all()
        assert (attempt.outcome, attempt.failure) == ("failed", "The card was declined.")
        (event,) = Event.objects.filter(name="payment.failed")
        assert event.payload == {
            "number": invoice.number,
            "attempt": 1,
            "failure": "The card was declined.",
            "next_attempt_at": "2026-03-01T12:00:00+00:00",
        }

    def test_it_is_tried_on_the_days_that_the_owner_chose(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)

        for hours in range(0, 9 * 24, 6):
            run(subscription, DUE + timedelta(hours=hours))

        assert outcomes(subscription) == [
            (number, "failed", moment) for number, moment in enumerate(TRIES, start=1)
        ]

    def test_other_days(self, settings):
        settings.BILLING_RETRY_DAYS = [2]
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)

        run_to(subscription, DUE, DUE + DAY, DUE + 2 * DAY, DUE + 3 * DAY)

        assert [moment for _number, _outcome, moment in outcomes(subscription)] == [
            DUE,
            DUE + 2 * DAY,
        ]
        assert subscription.status == "expired"

    def test_no_days_end_it_at_once(self, settings):
        settings.BILLING_RETRY_DAYS = []
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)

        run(subscription, DUE)

        assert subscription.status == "expired"

    def test_who_pays_the_third_time_is_as_one_who_paid_at_once(self):
        subscription = subscriber(behaviour=Behaviour.FAILS_TWICE)

        run_to(subscription, *TRIES)

        assert [outcome for _number, outcome, _moment in outcomes(subscription)] == [
            "failed",
            "failed",
            "paid",
        ]
        assert (subscription.past_due_since, subscription.grace_until) == (None, None)
        assert periods(subscription) == [("paid", "2026-02-28", "2026-03-31")]
        assert subscription.expires_at == at(3, 31)

    def test_a_bank_transfer_pays_it_too(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run(subscription, DUE)

        pay(renewals(subscription)[0], now=DUE + 2 * DAY)

        subscription.refresh_from_db()
        assert (subscription.expires_at, subscription.past_due_since) == (at(3, 31), None)
        assert run(subscription, DUE + 3 * DAY) == running.Summary()

    def test_without_a_provider_the_customer_is_reminded_on_the_same_days(self, settings):
        settings.BILLING_PAYMENT_PROVIDER = ""
        subscription = subscriber()

        run_to(subscription, *TRIES)

        assert [attempt.failure for attempt in PaymentAttempt.objects.all()] == [
            "No payment has arrived."
        ] * 5
        assert subscription.status == "expired"

    def test_no_further_period_is_invoiced_while_one_is_unpaid(self):
        plan = PlanFactory(billing_period="weekly")
        subscription = subscriber(plan=plan, behaviour=Behaviour.NEVER_PAYS, now=at(2, 1))

        run_to(subscription, at(2, 8), at(2, 9), at(2, 11), at(2, 13))

        assert len(renewals(subscription)) == 1

    def test_voided_it_ends_with_what_is_paid_for(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run(subscription, DUE)

        invoices.void(
            invoice=renewals(subscription)[0], by=StaffFactory(), reason="Goodwill.", now=DUE + DAY
        )

        subscription.refresh_from_db()
        assert (subscription.status, subscription.cancel_reason) == ("cancelled", "voided")
        assert not subscription.is_valid_at(DUE + DAY)
        assert run(subscription, DUE + 2 * DAY).failed == 0

    def test_cancelled_by_the_customer_nothing_more_is_asked(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run(subscription, DUE)

        subscriptions.cancel(subscription=subscription, now=DUE + DAY)

        (invoice,) = renewals(subscription)
        assert invoice.status == "cancelled"
        assert run(subscription, DUE + 2 * DAY) == running.Summary()

    def test_it_cannot_be_paused_before_it_is_paid(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run(subscription, DUE)

        with pytest.raises(subscriptions.SubscriptionStateForbids, match="past due"):
            subscriptions.pause(subscription=subscription, now=DUE + DAY)

        assert renewals(subscription)[0].status == "failed"


class TestTheEnd:
    @pytest.fixture
    def ended(self):
        subscription = subscriber(
            behaviour=Behaviour.NEVER_PAYS,
            add_ons=[
                AddOnFactory(name="Hotline", prices={"USD": "5.00"}),
                AddOnFactory(name="Logo", billing_period="one_time", prices={"USD": "9.00"}),
            ],
        )
        run_to(subscription, *TRIES)
        return subscription

    def test_comes_with_the_last_try(self, ended):
        assert (ended.status, ended.cancel_reason) == ("expired", "unpaid")
        assert (ended.past_due_since, ended.grace_until) == (None, None)
        add_ons = AddOnSubscription.objects.filter(subscription=ended)
        assert {(one.status, one.grace_until) for one in add_ons} == {("expired", None)}
        (event,) = Event.objects.filter(name="subscription.expired")
        assert event.payload["reason"] == "unpaid"

    def test_a_late_payment_brings_it_back_for_a_full_period(self, ended):
        pay(renewals(ended)[0], now=at(3, 20))

        ended.refresh_from_db()
        assert (ended.status, ended.cancel_reason) == ("active", "")
        assert (ended.period_start, ended.expires_at) == (at(3, 20), at(4, 20))
        hotline, logo = AddOnSubscription.objects.filter(subscription=ended).order_by("pk")
        assert (hotline.status, hotline.paid_until, hotline.expires_at) == (
            "active",
            at(4, 20),
            at(4, 20),
        )
        assert (logo.status, logo.paid_until, logo.expires_at) == ("active", None, at(4, 20))
        run(ended, at(4, 20))
        assert len(renewals(ended)) == 2

    def test_a_payment_is_unmatched_where_the_customer_has_another_by_now(self, ended):
        subscribe(ended.user, plan=PlanFactory(), now=at(3, 10))

        with pytest.raises(Exception, match="has ended"):
            pay(renewals(ended)[0], now=at(3, 20))

        ended.refresh_from_db()
        assert ended.status == "expired"
        assert Payment.objects.get(status="unmatched").unmatched_reason == "subscription_ended"

    def test_its_invoice_is_given_up_after_thirty_days(self, ended):
        done = run(ended, DUE + 30 * DAY)

        (invoice,) = renewals(ended)
        assert done.given_up == 1
        assert (invoice.status, invoice.cancelled_at) == ("cancelled", DUE + 30 * DAY)
        with pytest.raises(Exception, match="is cancelled"):
            pay(invoice, now=DUE + 31 * DAY)


class TestTheFreePlan:
    @pytest.fixture
    def fallen(self, settings):
        PlanFactory(name="Free", slug="free", prices={"USD": "0.00"})
        settings.BILLING_UNPAID_PLAN = "free"
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run_to(subscription, *TRIES)
        return subscription

    def test_goes_on_for_good(self, fallen):
        assert (fallen.status, fallen.name, fallen.expires_at) == ("active", "Free", None)
        assert fallen.amount == 0
        assert fallen.is_valid_at(at(1, 1, year=2030))
        run(fallen, at(6, 1))
        assert len(renewals(fallen)) == 1

    def test_a_late_payment_brings_the_old_plan_back(self, fallen):
        pay(renewals(fallen)[0], now=at(3, 20))

        fallen.refresh_from_db()
        assert (fallen.name, fallen.amount) == ("Pro", Decimal(29))
        assert (fallen.billing_period, fallen.expires_at) == ("monthly", at(4, 20))
        assert fallen.pending_plan is None

    def test_once_its_invoice_is_given_up_the_free_plan_is_all_there_is(self, fallen):
        run(fallen, DUE + 30 * DAY)

        assert (fallen.name, fallen.pending_plan, fallen.cancel_reason) == ("Free", None, "")
        assert renewals(fallen)[0].status == "cancelled"

    def test_in_a_currency_that_it_has_not_it_ends(self, settings):
        PlanFactory(name="Free", slug="free", prices={"EUR": "0.00"})
        settings.BILLING_UNPAID_PLAN = "free"
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)

        run_to(subscription, *TRIES)

        assert subscription.status == "expired"


class TestAnAddOnOfItsOwn:
    def test_alone_ends_and_leaves_the_plan_as_it_is(self):
        plan = PlanFactory(billing_period="yearly", prices={"USD": "290.00"})
        add_on = AddOnFactory(prices={"USD": "5.00"})
        subscription = subscriber(plan=plan, add_ons=[add_on], behaviour=Behaviour.NEVER_PAYS)

        run_to(subscription, *TRIES)

        bought = AddOnSubscription.objects.get()
        assert (bought.status, bought.cancel_reason) == ("expired", "unpaid")
        assert (subscription.status, subscription.expires_at) == ("active", at(1, 31, year=2027))
        assert subscription.grace_until is None

    def test_comes_back_alone(self):
        plan = PlanFactory(billing_period="yearly", prices={"USD": "290.00"})
        add_on = AddOnFactory(prices={"USD": "5.00"})
        subscription = subscriber(plan=plan, add_ons=[add_on], behaviour=Behaviour.NEVER_PAYS)
        run_to(subscription, *TRIES)

        pay(renewals(subscription)[0], now=at(3, 20))

        bought = AddOnSubscription.objects.get()
        assert (bought.status, bought.paid_until) == ("active", at(4, 20))
        subscription.refresh_from_db()
        assert subscription.expires_at == at(1, 31, year=2027)


class TestWhatRunsOut:
    def test_a_cancelled_one_has_expired_when_its_time_is_over(self):
        subscription = subscriber()
        subscriptions.cancel(subscription=subscription, now=at(2, 10))

        assert run(subscription, DUE - DAY) == running.Summary()
        assert run(subscription, DUE).expired == 1

        assert (subscription.status, subscription.cancel_reason) == ("expired", "customer")
        assert subscription.cancelled_at == at(2, 10)
        assert Event.objects.get(name="subscription.expired").payload == {"reason": "customer"}

    def test_one_that_was_ended_at_once_stays_cancelled(self):
        subscription = subscriber()
        subscribe(subscription.user, plan=PlanFactory(), now=at(2, 10))

        run(subscription, at(2, 20))

        assert subscription.status == "cancelled"


class TestUnpaidCheckouts:
    def test_are_given_up_after_thirty_days(self):
        user = UserFactory()
        made = check_out(user, plan=PlanFactory(), now=at(1, 1))
        TestClock.objects.create(user=user, now_at=at(1, 1))

        run(made.subscription, at(1, 31) - timedelta(seconds=1))
        made.invoice.refresh_from_db()
        assert made.invoice.status == "pending"
        done = run(made.subscription, at(1, 31))

        made.invoice.refresh_from_db()
        assert done.given_up == 1
        assert (made.invoice.status, made.invoice.cancelled_at) == ("cancelled", at(1, 31))
        assert made.invoice.number.startswith("INV-20260101-01-")
        assert (made.subscription.status, made.subscription.cancel_reason) == (
            "cancelled",
            "not_paid_in_time",
        )

    def test_a_payment_that_comes_later_is_kept_unmatched(self):
        made = check_out(UserFactory(), plan=PlanFactory(), now=at(1, 1))
        running.run(now=at(2, 1))

        with pytest.raises(Exception, match="kept for resolution"):
            pay(made.invoice, now=at(2, 2))

        assert Payment.objects.get().unmatched_reason == "invoice_cancelled"
