"""Cancelling, pausing and resuming beside payments and each other, on real connections."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import AddOnSubscription, Invoice, Payment, Subscription
from billing.services import activation, subscriptions
from config.errors import DomainError
from tests.billing.purchases import check_out, subscribe
from tests.concurrency.paying import capture, capture_uncommitted
from tests.factories import AddOnFactory, PlanFactory
from tests.threads import at_once, overtaken

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
FREE = {"USD": "0"}


def changed(change, subscription):
    """The status that it has by then, or the code of the refusal."""
    try:
        return change(subscription=subscription, now=timezone.now()).status
    except DomainError as refusal:
        return refusal.code


@pytest.fixture
def live(customer):
    return subscribe(customer, plan=PlanFactory(), now=timezone.now() - timedelta(days=1))


@pytest.fixture
def paused(live):
    return subscriptions.pause(subscription=live, now=timezone.now())


@pytest.fixture(params=["cancel", "pause", "resume"])
def change_and_subscription(request, live):
    if request.param == "resume":
        subscriptions.pause(subscription=live, now=timezone.now())
    return getattr(subscriptions, request.param), live


class TestTwoChanges:
    def test_wait_for_the_customer(self, customer, change_and_subscription, held_by_another):
        change, subscription = change_and_subscription
        subscription.refresh_from_db()
        status = subscription.status

        with held_by_another(customer), pytest.raises(OperationalError, match="lock timeout"):
            change(subscription=subscription, now=timezone.now())

        subscription.refresh_from_db()
        assert subscription.status == status

    def test_see_what_the_subscription_has_become(self, change_and_subscription):
        """Though who changed it did not lock the customer."""
        change, subscription = change_and_subscription
        rows = Subscription.objects.filter(pk=subscription.pk)

        outcome = overtaken(
            lambda: changed(change, subscription),
            by=lambda: rows.update(status="expired", paused_at=None),
        )

        assert outcome == "subscription_state_forbids"
        assert rows.get().status == "expired"

    def test_of_eight_pauses_one_counts(self, live):
        outcomes = at_once(8, lambda number: changed(subscriptions.pause, live))

        assert Counter(outcomes) == {"paused": 1, "subscription_state_forbids": 7}

    def test_of_eight_resumes_one_prolongs(self, live, paused):
        ends = live.expires_at

        outcomes = at_once(8, lambda number: changed(subscriptions.resume, paused))

        assert Counter(outcomes) == {"active": 1, "subscription_state_forbids": 7}
        live.refresh_from_db()
        assert ends < live.expires_at < ends + timedelta(minutes=1)


class TestCancellingAnUnpaidOne:
    def test_beside_its_payment_has_one_outcome(self, customer):
        for _turn in range(5):
            made = check_out(customer, plan=PlanFactory(), now=timezone.now())

            def race(number, made=made):
                if number:
                    return capture(made.invoice, f"pay_{made.invoice.id}")
                return changed(subscriptions.cancel, made.subscription)

            cancelled, paid = at_once(2, race)

            made.invoice.refresh_from_db()
            payment = Payment.objects.get(reference=f"pay_{made.invoice.id}")
            assert cancelled == "cancelled"
            assert (paid, made.invoice.status, payment.status) in [
                ("captured", "paid", "captured"),
                ("invoice_cancelled", "cancelled", "unmatched"),
            ]

    def test_cancels_what_was_paid_meanwhile_as_a_paid_one(self, customer):
        made = check_out(customer, plan=PlanFactory(), now=timezone.now())

        outcome = overtaken(
            lambda: changed(subscriptions.cancel, made.subscription),
            by=lambda: capture_uncommitted(made.invoice, "pay_1"),
        )

        assert outcome == "cancelled"
        assert Invoice.objects.get().status == "paid"
        assert Subscription.objects.get().expires_at > timezone.now()

    def test_keeps_a_payment_that_comes_too_late(self, customer):
        made = check_out(customer, plan=PlanFactory(), now=timezone.now())

        outcome = overtaken(
            lambda: capture(made.invoice, "pay_1"),
            by=lambda: changed(subscriptions.cancel, made.subscription),
        )

        assert outcome == "invoice_cancelled"
        assert Payment.objects.get().unmatched_reason == "invoice_cancelled"

    def test_waits_for_the_invoice_before_it_holds_the_customer(self, customer, held_by_another):
        """In the other order it and a payment would wait for each other."""
        made = check_out(customer, plan=PlanFactory(), now=timezone.now())

        with (
            held_by_another(made.invoice),
            CaptureQueriesContext(connection) as statements,
            pytest.raises(OperationalError, match="lock timeout"),
        ):
            subscriptions.cancel(subscription=made.subscription, now=timezone.now())

        locking = [query["sql"] for query in statements if "FOR NO KEY UPDATE" in query["sql"]]
        assert ['FROM "billing_invoice"' in sql for sql in locking] == [True]


class TestReplacing:
    """Another plan is paid for while the live subscription is changed."""

    @pytest.fixture
    def other(self, customer):
        return check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

    def test_beside_a_change_leaves_the_new_one_live(self, change_and_subscription, other):
        change, subscription = change_and_subscription

        def race(number):
            return capture(other, "pay_1") if number else changed(change, subscription)

        outcome, paid = at_once(2, race)

        assert outcome in ("cancelled", "paused", "active", "subscription_state_forbids")
        assert paid == "captured"
        assert Subscription.objects.live().get().invoices.get() == other
        subscription.refresh_from_db()
        assert subscription.status == "cancelled"
        assert subscription.expires_at < timezone.now()

    def test_is_seen_by_a_change_that_waited(self, change_and_subscription, other):
        change, subscription = change_and_subscription

        outcome = overtaken(
            lambda: changed(change, subscription), by=lambda: capture_uncommitted(other, "pay_1")
        )

        assert outcome == "subscription_state_forbids"
        subscription.refresh_from_db()
        assert (subscription.status, subscription.cancel_reason) == ("cancelled", "superseded")

    def test_sees_a_change_that_it_waited_for(self, change_and_subscription, other):
        change, subscription = change_and_subscription

        outcome = overtaken(
            lambda: capture(other, "pay_1"), by=lambda: changed(change, subscription)
        )

        assert outcome == "captured"
        subscription.refresh_from_db()
        assert (subscription.status, subscription.cancel_reason) == ("cancelled", "superseded")
        assert subscription.expires_at < timezone.now()


class TestAddOnPaidMeanwhile:
    @pytest.fixture
    def add_on(self, customer, live):
        return check_out(customer, add_ons=[AddOnFactory()], now=timezone.now())

    def test_never_outlives_a_subscription_that_is_replaced(self, customer):
        for _turn in range(5):
            subscribe(customer, plan=PlanFactory(), now=timezone.now())
            add_on = check_out(customer, add_ons=[AddOnFactory()], now=timezone.now())
            other = check_out(customer, plan=PlanFactory(), now=timezone.now())
            both = (add_on.invoice, other.invoice)

            paid, replaced = at_once(
                2, lambda number, both=both: capture(both[number], f"pay_{both[number].id}")
            )

            assert replaced == "captured"
            assert paid in ("captured", "subscription_ended")
            [bought] = add_on.add_ons
            bought.refresh_from_db()
            assert bought.status == ("cancelled" if paid == "captured" else "pending")

    def test_sees_that_its_subscription_was_replaced(self, customer, add_on):
        other = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        outcome = overtaken(
            lambda: capture(add_on.invoice, "pay_1"), by=lambda: capture_uncommitted(other, "pay_2")
        )

        assert outcome == "subscription_ended"
        assert AddOnSubscription.objects.get().status == "pending"

    def test_is_ended_by_the_replacement_that_waited_for_it(self, customer, add_on):
        other = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        outcome = overtaken(
            lambda: capture(other, "pay_2"), by=lambda: capture_uncommitted(add_on.invoice, "pay_1")
        )

        assert outcome == "captured"
        assert AddOnSubscription.objects.get().status == "cancelled"

    def test_is_paused_by_the_pause_that_waited_for_it(self, live, add_on):
        outcome = overtaken(
            lambda: changed(subscriptions.pause, live),
            by=lambda: capture_uncommitted(add_on.invoice, "pay_1"),
        )

        assert outcome == "paused"
        assert AddOnSubscription.objects.get().status == "paused"

    def test_is_paused_where_it_waited_for_the_pause(self, live, add_on):
        outcome = overtaken(
            lambda: capture(add_on.invoice, "pay_1"),
            by=lambda: changed(subscriptions.pause, live),
        )

        assert outcome == "captured"
        assert AddOnSubscription.objects.get().status == "paused"

    def test_that_is_free_cannot_join_what_was_replaced(self, customer, live):
        other = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice
        free = AddOnFactory(prices=FREE)

        def join():
            with pytest.raises(activation.SubscriptionNotActive):
                check_out(customer, add_ons=[free], now=timezone.now())

        overtaken(join, by=lambda: capture_uncommitted(other, "pay_1"))

        assert not AddOnSubscription.objects.exists()
        assert Invoice.objects.count() == 2
