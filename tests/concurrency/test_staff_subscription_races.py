"""Staff and subscriptions, beside payments and each other, on real connections."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from billing.models import AddOnSubscription, Invoice, Subscription
from billing.services import staff_subscriptions, subscriptions
from catalog.models import Plan
from config.errors import DomainError
from tests.billing.purchases import check_out, pay
from tests.concurrency.paying import capture_uncommitted
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory
from tests.locks import locked_by
from tests.threads import at_once, overtaken

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def member():
    return StaffFactory()


@pytest.fixture
def subscription(customer, now):
    """Active, with an add-on that ends with it."""
    made = check_out(customer, plan=PlanFactory(), add_ons=[AddOnFactory()], now=now)
    pay(made.invoice, now=now)
    made.subscription.refresh_from_db()
    return made.subscription


class TestStart:
    def test_waits_for_the_customer(self, customer, member, now, held_by_another):
        with held_by_another(customer), pytest.raises(OperationalError, match="lock timeout"):
            staff_subscriptions.start(customer=customer, plan=PlanFactory(), by=member, now=now)

        assert not Invoice.objects.exists()

    def test_sees_what_is_paid_meanwhile(self, customer, member, now):
        other = check_out(customer, plan=PlanFactory(), now=now).invoice
        plan = PlanFactory()

        def start():
            try:
                staff_subscriptions.start(customer=customer, plan=plan, by=member, now=now)
            except DomainError as refusal:
                return refusal.code

        outcome = overtaken(start, by=lambda: capture_uncommitted(other, "pay_1"))

        assert outcome == "subscription_is_live"
        assert Invoice.objects.get() == other

    def test_of_a_plan_that_is_deleted_meanwhile_is_refused(self, customer, member, now):
        plan = PlanFactory()
        check_out(UserFactory(), plan=PlanFactory(), now=now)  # which opens the series

        def start():
            try:
                staff_subscriptions.start(customer=customer, plan=plan, by=member, now=now)
            except DomainError as refusal:
                return refusal.code

        def delete():
            """And hold up whoever takes a number: by then they have read the plan."""
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE billing_invoiceseries IN EXCLUSIVE MODE")
            Plan.objects.filter(pk=plan.pk).delete()

        assert overtaken(start, by=delete) == "item_withdrawn"
        assert not Subscription.objects.filter(user=customer).exists()

    def test_of_four_at_once_makes_one_live(self, customer, member, now):
        plan = PlanFactory(prices={"USD": "0"})

        def start(number):
            try:
                staff_subscriptions.start(customer=customer, plan=plan, by=member, now=now)
            except DomainError as refusal:
                return refusal.code
            return "started"

        assert sorted(at_once(4, start)) == ["started", *["subscription_is_live"] * 3]
        assert Invoice.objects.count() == 1


class TestExtend:
    def test_by_two_at_once_counts_twice(self, subscription, member, now):
        ends = subscription.expires_at

        at_once(
            2,
            lambda number: staff_subscriptions.extend(
                subscription=subscription, days=10, by=member, reason="x", now=now
            ),
        )

        subscription.refresh_from_db()
        assert subscription.expires_at == ends + timedelta(days=20)


CHANGES = {
    "activate": lambda **who: staff_subscriptions.activate(**who),
    "cancel at once": lambda **who: staff_subscriptions.cancel(at_once=True, **who),
    "cancel": lambda **who: staff_subscriptions.cancel(at_once=False, **who),
    "extend": lambda **who: staff_subscriptions.extend(days=1, **who),
}


class TestLocks:
    @pytest.fixture
    def paused(self, subscription, now):
        return subscriptions.pause(subscription=subscription, now=now)

    @pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
    def test_come_in_the_order_that_is_written_down(self, paused, member, now, change):
        locked = locked_by(lambda: change(subscription=paused, by=member, reason="x", now=now))

        assert locked[:2] == ["accounts_user", "billing_subscription"]

    @pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
    def test_let_nobody_decide_on_what_has_changed_meanwhile(self, paused, member, now, change):
        """Though who changed it did not lock the customer."""
        rows = Subscription.objects.filter(pk=paused.pk)

        def try_to():
            try:
                change(subscription=paused, by=member, reason="x", now=now)
            except DomainError as refusal:
                return refusal.code

        outcome = overtaken(
            try_to, by=lambda: rows.update(status="expired", paused_at=None, expires_at=now)
        )

        assert outcome == "subscription_state_forbids"
        assert rows.get().status == "expired"
        AddOnSubscription.objects.update(status="expired", expires_at=now)  # as it would be, too

    @pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
    def test_make_it_wait_for_the_customer(
        self, customer, paused, member, now, change, held_by_another
    ):
        with held_by_another(customer), pytest.raises(OperationalError, match="lock timeout"):
            change(subscription=paused, by=member, reason="x", now=now)

    def test_let_a_cancellation_be_taken_back_beside_a_new_one_only_if_that_is_not_live(
        self, customer, subscription, member, now
    ):
        subscriptions.cancel(subscription=subscription, now=now)
        other = check_out(customer, plan=PlanFactory(), now=now).invoice

        def take_back():
            try:
                staff_subscriptions.activate(
                    subscription=subscription, by=member, reason="x", now=now
                )
            except DomainError as refusal:
                return refusal.code

        outcome = overtaken(take_back, by=lambda: capture_uncommitted(other, "pay_1"))

        assert outcome == "subscription_state_forbids"
        assert Subscription.objects.live().get().invoices.get() == other
