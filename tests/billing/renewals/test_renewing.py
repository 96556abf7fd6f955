from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    InvoiceLineItem,
    Payment,
    PaymentAttempt,
    Subscription,
    TestClock,
)
from billing.services import subscriptions
from billing.services.renewals import invoicing, running
from tests.billing.renewals.story import (
    Behaviour,
    at,
    periods,
    renewals,
    run,
    subscriber,
)
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

pytestmark = pytest.mark.django_db


class TestAPeriodEnds:
    def test_the_next_one_is_invoiced_paid_and_begun(self):
        subscription = subscriber()

        done = run(subscription, at(2, 28))

        assert (done.invoiced, done.paid, done.failed) == (1, 1, 0)
        (invoice,) = renewals(subscription)
        assert invoice.status == "paid"
        assert invoice.total_amount == Decimal("29.00")
        assert invoice.period_start == at(2, 28)
        assert invoice.next_attempt_at is None
        assert subscription.status == "active"
        assert (subscription.period_start, subscription.expires_at) == (at(2, 28), at(3, 31))
        assert subscription.period_value == Decimal("29.00")
        (attempt,) = PaymentAttempt.objects.all()
        assert (attempt.number, attempt.outcome, attempt.provider) == (1, "paid", "sandbox")
        assert Payment.objects.get(invoice=invoice).reference == f"sandbox-{attempt.pk}"
        call_command("verify_books")

    def test_nothing_happens_a_moment_before(self):
        subscription = subscriber()

        done = run(subscription, at(2, 28) - timedelta(microseconds=1))

        assert done == running.Summary()
        assert renewals(subscription) == []

    def test_again_nothing_is_left_to_do(self):
        subscription = subscriber()
        run(subscription, at(2, 28))

        done = run(subscription, at(2, 28))

        assert done == running.Summary()
        assert len(renewals(subscription)) == 1

    def test_of_a_year_that_was_missed_each_period_has_an_invoice(self):
        subscription = subscriber()

        done = run(subscription, at(1, 31, year=2027))

        assert done.invoiced == 12
        assert periods(subscription)[:4] == [
            ("paid", "2026-02-28", "2026-03-31"),
            ("paid", "2026-03-31", "2026-04-30"),
            ("paid", "2026-04-30", "2026-05-31"),
            ("paid", "2026-05-31", "2026-06-30"),
        ]
        assert periods(subscription)[-1] == ("paid", "2027-01-31", "2027-02-28")
        assert {invoice.invoiced_at for invoice in renewals(subscription)} == {at(1, 31, year=2027)}

    def test_the_subscriber_keeps_their_price(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        subscription = subscriber(plan=plan)
        plan.prices.update(valid_until=at(2, 1))
        plan.prices.create(currency="USD", amount=Decimal("99.00"), valid_from=at(2, 1))

        run(subscription, at(2, 28))

        assert renewals(subscription)[0].total_amount == Decimal("29.00")

    def test_an_archived_plan_is_renewed_all_the_same(self):
        plan = PlanFactory()
        subscription = subscriber(plan=plan)
        plan.is_active, plan.archived_at = False, at(2, 1)
        plan.save()

        run(subscription, at(2, 28))

        assert len(renewals(subscription)) == 1

    def test_bundles_are_not_bought_again(self):
        subscription = subscriber(bundles=[TokenBundleFactory(prices={"USD": "10.50"})])

        run(subscription, at(2, 28))

        assert renewals(subscription)[0].total_amount == Decimal("29.00")

    def test_all_seats_are_paid_for(self):
        subscription = subscriber()
        Subscription.objects.filter(pk=subscription.pk).update(quantity=3)

        run(subscription, at(2, 28))

        (line,) = InvoiceLineItem.objects.filter(invoice=renewals(subscription)[0])
        assert (line.quantity, line.unit_price, line.amount) == (3, Decimal(29), Decimal(87))

    def test_a_plan_for_ever_is_never_renewed(self):
        subscription = subscriber(plan=PlanFactory(billing_period="one_time"))

        assert run(subscription, at(1, 1, year=2030)) == running.Summary()

    def test_a_free_plan_goes_on_without_a_payment(self):
        subscription = subscriber(plan=PlanFactory(prices={"USD": "0.00"}))

        run(subscription, at(2, 28))

        (invoice,) = renewals(subscription)
        assert (invoice.status, invoice.payment_method) == ("paid", "none")
        assert subscription.expires_at == at(3, 31)
        assert not PaymentAttempt.objects.exists()

    @pytest.mark.parametrize("ended", ["cancel", "pause"])
    def test_what_is_cancelled_or_paused_is_not_renewed(self, ended):
        subscription = subscriber()
        getattr(subscriptions, ended)(subscription=subscription, now=at(2, 10))

        run(subscription, at(2, 28))

        assert renewals(subscription) == []

    def test_after_a_pause_periods_are_counted_from_where_it_ends_now(self):
        subscription = subscriber(now=at(3, 1))
        subscriptions.pause(subscription=subscription, now=at(3, 10))
        subscriptions.resume(subscription=subscription, now=at(3, 15))

        run(subscription, at(4, 6))

        assert periods(subscription) == [("paid", "2026-04-06", "2026-05-06")]

    def test_the_days_before_are_the_owners(self, settings):
        settings.BILLING_INVOICE_DAYS_BEFORE = 7
        subscription = subscriber()

        done = run(subscription, at(2, 21))

        (invoice,) = renewals(subscription)
        assert (done.invoiced, done.paid) == (1, 0)
        assert (invoice.status, invoice.next_attempt_at) == ("pending", at(2, 28))
        assert subscription.expires_at == at(2, 28)
        run(subscription, at(2, 28))
        assert subscription.expires_at == at(3, 31)


class TestAddOns:
    def test_with_the_same_period_are_on_the_same_invoice(self):
        add_on = AddOnFactory(name="Hotline", prices={"USD": "5.00"})
        subscription = subscriber(add_ons=[add_on])

        run(subscription, at(2, 28))

        (invoice,) = renewals(subscription)
        lines = invoice.line_items.values_list("type", "description", "amount")
        assert list(lines) == [
            ("subscription", "Pro", Decimal("29.000")),
            ("add_on", "Hotline", Decimal("5.000")),
        ]
        bought = AddOnSubscription.objects.get()
        assert (bought.paid_until, bought.expires_at) == (at(3, 31), at(3, 31))

    def test_a_yearly_one_on_a_monthly_plan_is_paid_once_a_year(self):
        add_on = AddOnFactory(billing_period="yearly", prices={"USD": "60.00"})
        subscription = subscriber(add_ons=[add_on], now=at(1, 1))

        run(subscription, at(1, 1, year=2027))

        bought = AddOnSubscription.objects.get()
        amounts = [invoice.total_amount for invoice in renewals(subscription)]
        assert amounts == [Decimal("29.00")] * 11 + [Decimal("89.00")]
        assert (bought.paid_until, bought.expires_at) == (at(1, 1, year=2028), at(2, 1, year=2027))

    def test_a_monthly_one_on_a_yearly_plan_is_paid_each_month(self):
        plan = PlanFactory(billing_period="yearly", prices={"USD": "290.00"})
        add_on = AddOnFactory(prices={"USD": "5.00"})
        subscription = subscriber(plan=plan, add_ons=[add_on], now=at(1, 31))

        run(subscription, at(3, 31))

        found = [(invoice.total_amount, invoice.period_start) for invoice in renewals(subscription)]
        assert found == [(Decimal("5.00"), at(2, 28)), (Decimal("5.00"), at(3, 31))]
        assert subscription.expires_at == at(1, 31, year=2027)
        assert AddOnSubscription.objects.get().expires_at == at(4, 30)

    def test_one_for_ever_lasts_as_long_as_its_subscription(self):
        add_on = AddOnFactory(billing_period="one_time", prices={"USD": "50.00"})
        subscription = subscriber(add_ons=[add_on])

        run(subscription, at(2, 28))

        assert renewals(subscription)[0].total_amount == Decimal("29.00")
        bought = AddOnSubscription.objects.get()
        assert (bought.paid_until, bought.expires_at) == (None, at(3, 31))


class TestPendingPlan:
    def test_takes_over_with_the_renewal(self):
        basic = PlanFactory(name="Basic", prices={"USD": "9.00"})
        subscription = subscriber()
        subscription.pending_plan = basic
        subscription.pending_price = basic.prices.get()
        subscription.save()

        run(subscription, at(2, 28))

        (invoice,) = renewals(subscription)
        assert (invoice.plan, invoice.total_amount) == (basic, Decimal("9.00"))
        assert (subscription.plan, subscription.name) == (basic, "Basic")
        assert (subscription.amount, subscription.period_value) == (Decimal(9), Decimal(9))
        assert subscription.pending_plan is None
        assert subscription.pending_price is None
        assert subscription.expires_at == at(3, 31)

    def test_of_another_period_is_counted_from_there(self):
        yearly = PlanFactory(name="Year", billing_period="yearly", prices={"USD": "290.00"})
        subscription = subscriber()
        subscription.pending_plan = yearly
        subscription.pending_price = yearly.prices.get()
        subscription.save()

        run(subscription, at(2, 28))

        assert periods(subscription) == [("paid", "2026-02-28", "2027-02-28")]
        assert subscription.anchor_at == at(2, 28)

    def test_until_it_is_paid_nothing_changes(self):
        basic = PlanFactory(name="Basic", prices={"USD": "9.00"})
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        subscription.pending_plan = basic
        subscription.pending_price = basic.prices.get()
        subscription.save()

        run(subscription, at(2, 28))

        assert subscription.name == "Pro"
        assert subscription.pending_plan == basic


class TestWhose:
    def test_a_turned_clock_is_left_alone_by_the_billing_of_everybody(self):
        subscription = subscriber()

        done = running.run(now=at(2, 28))

        assert done == running.Summary()
        assert renewals(subscription) == []

    def test_everybody_elses_is_run(self):
        subscription = subscriber()
        TestClock.objects.all().delete()

        done = running.run(now=at(2, 28))

        assert (done.invoiced, done.paid) == (1, 1)
        subscription.refresh_from_db()
        assert subscription.expires_at == at(3, 31)


class TestOnce:
    def test_the_constraint_stands_behind_it(self):
        subscription = subscriber()
        run(subscription, at(2, 28))
        (invoice,) = renewals(subscription)

        with (
            pytest.raises(IntegrityError, match="invoice_renews_period_once"),
            transaction.atomic(),
        ):
            Invoice.objects.create(
                reason="renewal",
                number="INV-1",
                user=subscription.user,
                subscription=subscription,
                buyer={},
                currency="USD",
                subtotal=0,
                tax_amount=0,
                total_amount=0,
                period_start=invoice.period_start,
            )

    def test_a_cancelled_one_does_not_count(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run(subscription, at(2, 28))
        Invoice.objects.filter(reason="renewal").update(
            status="cancelled", cancelled_at=at(2, 28), next_attempt_at=None
        )

        run(subscription, at(2, 28))

        assert [invoice.status for invoice in renewals(subscription)] == ["cancelled", "failed"]


class TestParking:
    @pytest.fixture
    def bad(self):
        """One that cannot be invoiced: its currency never was one."""
        subscription = subscriber()
        Subscription.objects.filter(pk=subscription.pk).update(currency="XXX")
        TestClock.objects.all().delete()
        return subscription

    @pytest.fixture
    def good(self):
        found = [subscriber(plan=PlanFactory(name=f"Good {n}")) for n in range(3)]
        TestClock.objects.all().delete()
        return found

    def test_one_bad_subscription_does_not_stop_the_others(self, good, bad):
        done = running.run(now=at(2, 28))

        assert (done.invoiced, done.paid, done.parked) == (3, 3, 1)
        bad.refresh_from_db()
        assert bad.parked_at == at(2, 28)
        assert bad.parked_reason.startswith("unknown_currency: The currency 'XXX'")
        assert Event.objects.get(name="subscription.parked").subject_id == bad.pk
        assert renewals(bad) == []

    def test_it_is_left_alone_until_somebody_wants_it_again(self, bad):
        running.run(now=at(2, 28))
        Subscription.objects.filter(pk=bad.pk).update(currency="USD")

        assert running.run(now=at(3, 1)) == running.Summary()

        invoicing.unpark(subscription=bad)
        assert running.run(now=at(3, 1)).invoiced == 1
