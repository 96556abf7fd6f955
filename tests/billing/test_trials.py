"""Trials: see docs/billing-rules.md."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.models import AddOnSubscription, Event, Invoice, InvoiceLineItem, Subscription
from billing.services import customer_credit, payments, subscriptions, trials
from catalog.money import Money
from tests.billing.purchases import check_out, pay, subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory
from tests.threads import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, tzinfo=UTC)
TRIAL_ENDS = datetime(2026, 3, 15, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"


@pytest.fixture
def plan():
    """29.00 a month, 10.00 for the setup, 14 days to try it."""
    return PlanFactory(name="Pro", trial_days=14, prices={"USD": ("29.00", "10.00")})


@pytest.fixture
def paid_plan():
    """The same, paid for at the checkout."""
    prices = {"USD": ("29.00", "10.00")}
    return PlanFactory(name="Pro", trial_days=14, is_trial_paid=True, prices=prices)


@pytest.fixture
def support():
    return AddOnFactory(name="Support", prices={"USD": ("5.00", "1.50")})


def lines_of(invoice):
    lines = InvoiceLineItem.objects.filter(invoice=invoice).order_by("position")
    return [(line.type, line.description, str(line.amount)) for line in lines]


class TestOfNothing:
    """What a trial without payment makes of a checkout."""

    def test_begins_with_the_checkout(self, customer, plan):
        made = check_out(customer, plan=plan, quantity=3, now=NOON)

        assert made.is_paid
        assert lines_of(made.invoice) == [("subscription", "Pro (14 days of trial)", "0.000")]
        subscription = Subscription.objects.get()
        assert (subscription.status, subscription.started_at) == ("trialing", NOON)
        assert subscription.trial_ends_at == TRIAL_ENDS
        assert subscription.expires_at == TRIAL_ENDS
        assert (subscription.period_value, subscription.setup_fee) == (0, Decimal("10.00"))
        assert (subscription.quantity, subscription.amount) == (3, Decimal("29.00"))

    def test_what_follows_is_counted_from_its_end(self, customer, plan):
        check_out(customer, plan=plan, now=NOON)

        assert Subscription.objects.get().anchor_at == TRIAL_ENDS

    def test_of_one_day_says_so(self, customer):
        made = check_out(customer, plan=PlanFactory(name="Pro", trial_days=1), now=NOON)

        assert lines_of(made.invoice) == [("subscription", "Pro (1 day of trial)", "0.000")]

    def test_recurring_add_ons_are_tried_too(self, customer, plan, support):
        check_out(customer, plan=plan, add_ons=[support], now=NOON)

        add_on = AddOnSubscription.objects.get()
        assert (add_on.status, add_on.period_value) == ("trialing", 0)
        assert (add_on.expires_at, add_on.paid_until) == (TRIAL_ENDS, TRIAL_ENDS)
        assert add_on.anchor_at == TRIAL_ENDS
        # Both fees are owed with the first renewal.
        assert Subscription.objects.get().setup_fee == Decimal("11.50")

    def test_what_lasts_for_good_is_paid_and_the_trial_begins_then(self, customer, plan):
        guide = AddOnFactory(
            name="Guide", billing_period="one_time", prices={"USD": ("7.00", "2.00")}
        )
        bundle = TokenBundleFactory(name="Starter", prices={"USD": "10.50"})
        made = check_out(customer, plan=plan, bundles=[bundle], add_ons=[guide], now=NOON)
        assert lines_of(made.invoice) == [
            ("subscription", "Pro (14 days of trial)", "0.000"),
            ("token_bundle", "Starter", "10.500"),
            ("add_on", "Guide", "7.000"),
            ("setup_fee", "Setup of Guide", "2.000"),
        ]
        assert Subscription.objects.get().status == "pending"

        pay(made.invoice, now=LATER)

        subscription, add_on = Subscription.objects.get(), AddOnSubscription.objects.get()
        assert subscription.trial_ends_at == datetime(2026, 3, 16, 12, tzinfo=UTC)
        assert (add_on.paid_until, add_on.period_value) == (None, Decimal("7.00"))
        assert add_on.expires_at == datetime(2026, 3, 16, 12, tzinfo=UTC)

    def test_leaves_the_credit_alone(self, customer, plan):
        customer_credit.add(
            user_id=customer.id,
            money=Money.parse("12.00", "USD"),
            kind="cancellation",
            reference=customer.id,
            now=NOON,
        )

        check_out(customer, plan=plan, now=NOON)

        assert [str(left) for left in customer_credit.balances(user_id=customer.id)] == ["12.00"]

    def test_replaces_what_the_customer_has(self, customer, plan):
        old = subscribe(customer, plan=PlanFactory(), now=NOON)

        check_out(customer, plan=plan, now=LATER)

        old.refresh_from_db()
        assert (old.status, old.cancel_reason) == ("cancelled", "superseded")

    def test_an_add_on_that_joins_is_free_until_its_end(self, customer, plan, support):
        check_out(customer, plan=plan, now=NOON)

        made = check_out(customer, add_ons=[support], now=LATER)
        pay(made.invoice, now=LATER)

        assert lines_of(made.invoice) == [
            ("add_on", "Support (to the end of the trial)", "0.000"),
            ("setup_fee", "Setup of Support", "1.500"),
        ]
        add_on = AddOnSubscription.objects.get()
        assert (add_on.status, add_on.paid_until) == ("trialing", TRIAL_ENDS)

    def test_an_add_on_that_joins_and_is_paid_after_its_end_is_renewed_at_once(
        self, customer, plan, support
    ):
        check_out(customer, plan=plan, now=NOON)
        made = check_out(customer, add_ons=[support], now=LATER)
        renewed = datetime(2026, 4, 15, 12, tzinfo=UTC)
        Subscription.objects.update(status="active", expires_at=renewed)
        after = datetime(2026, 3, 20, 12, tzinfo=UTC)

        pay(made.invoice, now=after)

        add_on = AddOnSubscription.objects.get()
        assert (add_on.status, add_on.paid_until, add_on.expires_at) == ("active", after, after)

    def test_the_answer_says_so(self, clock, customer, plan, signed_in):
        response = signed_in(customer).post(URL, {"plan_id": str(plan.id)})

        answer = response.json()
        assert response.status_code == 201
        assert answer["message"] == (
            "Checkout completed. Your trial of 14 days has begun: there is nothing to pay until "
            "it is over."
        )
        subscription = answer["subscription"]
        assert (subscription["status"], subscription["is_valid"]) == ("trialing", True)
        assert subscription["trial_ends_at"] == "2026-03-15T12:00:00Z"
        assert subscription["days_remaining"] == 14
        assert answer["invoice"]["total_amount"] == "0.00"

    def test_the_event_tells_its_end(self, customer, plan):
        check_out(customer, plan=plan, now=NOON)

        event = Event.objects.get(name="subscription.activated")
        assert event.payload["trial_ends_at"] == "2026-03-15T12:00:00+00:00"


class TestPaid:
    """What one that is paid for makes of a checkout."""

    def test_is_paid_with_its_fee_and_followed_by_its_period(self, customer, paid_plan, support):
        made = check_out(customer, plan=paid_plan, add_ons=[support], quantity=2, now=NOON)
        assert lines_of(made.invoice) == [
            ("subscription", "Pro", "58.000"),
            ("add_on", "Support", "5.000"),
            ("setup_fee", "Setup of Pro", "10.000"),
            ("setup_fee", "Setup of Support", "1.500"),
        ]

        pay(made.invoice, now=NOON)

        subscription, add_on = Subscription.objects.get(), AddOnSubscription.objects.get()
        ends = datetime(2026, 4, 15, 12, tzinfo=UTC)
        assert (subscription.status, subscription.trial_ends_at) == ("trialing", TRIAL_ENDS)
        assert (subscription.period_start, subscription.anchor_at) == (TRIAL_ENDS, TRIAL_ENDS)
        assert (subscription.expires_at, subscription.period_value) == (ends, Decimal("58.00"))
        assert subscription.setup_fee == 0
        assert subscription.is_valid_at(NOON)
        assert (add_on.status, add_on.paid_until, add_on.expires_at) == ("trialing", ends, ends)
        assert add_on.period_value == Decimal("5.00")

    def test_an_add_on_of_another_period_has_its_own_after_it(self, customer, paid_plan):
        yearly = AddOnFactory(billing_period="yearly")
        made = check_out(customer, plan=paid_plan, add_ons=[yearly], now=NOON)

        pay(made.invoice, now=NOON)

        add_on = AddOnSubscription.objects.get()
        assert add_on.paid_until == datetime(2027, 3, 15, 12, tzinfo=UTC)
        assert add_on.expires_at == datetime(2026, 4, 15, 12, tzinfo=UTC)

    def test_the_answer_says_so(self, clock, customer, paid_plan, signed_in):
        response = signed_in(customer).post(URL, {"plan_id": str(paid_plan.id)})

        assert response.json()["message"] == (
            "Checkout created. Your trial of 14 days begins when it is paid."
        )


class TestOnce:
    def test_a_second_checkout_of_the_plan_has_none(self, customer, plan):
        check_out(customer, plan=plan, now=NOON)

        made = check_out(customer, plan=plan, now=LATER)

        assert lines_of(made.invoice) == [
            ("subscription", "Pro", "29.000"),
            ("setup_fee", "Setup of Pro", "10.000"),
        ]
        assert not made.is_paid

    def test_not_even_after_it_was_cancelled(self, customer, plan):
        first = check_out(customer, plan=plan, now=NOON)
        subscriptions.cancel(subscription=first.subscription, now=LATER)

        made = check_out(customer, plan=plan, now=LATER + timedelta(days=100))

        assert str(made.invoice.total) == "39.00"

    def test_another_plan_and_another_customer_have_theirs(self, customer, plan):
        check_out(customer, plan=plan, now=NOON)

        other = check_out(customer, plan=PlanFactory(trial_days=7), now=LATER)
        another = check_out(UserFactory(), plan=plan, now=LATER)

        assert (other.subscription.status, another.subscription.status) == ("trialing", "trialing")

    def test_one_that_was_given_up_before_it_began_is_still_to_be_had(self, customer, plan):
        first = check_out(customer, plan=plan, bundles=[TokenBundleFactory()], now=NOON)
        subscriptions.cancel(subscription=first.subscription, now=NOON)

        again = check_out(customer, plan=plan, now=LATER)

        assert again.subscription.status == "trialing"

    def test_the_second_of_two_that_wait_begins_without_it(self, customer, plan, support):
        """Nothing is paid for its plan, so it is over at once, and its renewal is due."""
        orders = [
            check_out(
                customer,
                plan=plan,
                bundles=[TokenBundleFactory(prices={"USD": "10.50"})],
                add_ons=[support],
                now=NOON,
            )
            for _ in range(2)
        ]

        for made in orders:
            pay(made.invoice, now=LATER)

        first, second = Subscription.objects.order_by("id")
        assert (first.status, first.cancel_reason) == ("cancelled", "superseded")
        assert (second.status, second.trial_ends_at) == ("active", None)
        assert (second.expires_at, second.anchor_at) == (LATER, LATER)
        assert (second.period_value, second.setup_fee) == (0, Decimal("11.50"))
        add_on = AddOnSubscription.objects.get(subscription=second)
        assert (add_on.status, add_on.paid_until) == ("active", LATER)

    def test_the_second_of_two_that_are_paid_begins_its_period(self, customer, paid_plan):
        orders = [check_out(customer, plan=paid_plan, now=NOON) for _ in range(2)]

        for made in orders:
            pay(made.invoice, now=LATER)

        second = Subscription.objects.order_by("id").last()
        assert (second.status, second.trial_ends_at) == ("active", None)
        assert second.expires_at == datetime(2026, 4, 2, 12, tzinfo=UTC)
        assert second.period_value == Decimal("29.00")

    @pytest.mark.concurrency
    def test_eight_checkouts_at_once_have_one(self, customer, plan):
        def order(number):
            return check_out(customer, plan=plan, now=NOON).is_paid

        paid = at_once(8, order)

        assert sorted(paid) == [False] * 7 + [True]
        assert Subscription.objects.filter(status="trialing").count() == 1
        totals = Invoice.objects.order_by("total_amount").values_list("total_amount", flat=True)
        assert list(totals) == [0] + [Decimal("39.00")] * 7

    @pytest.mark.concurrency
    def test_eight_payments_at_once_have_one(self, customer, plan):
        bundle = TokenBundleFactory(prices={"USD": "10.50"})
        orders = [check_out(customer, plan=plan, bundles=[bundle], now=NOON) for _ in range(8)]

        at_once(8, lambda number: pay(orders[number].invoice, now=LATER))

        begun = Subscription.objects.filter(trial_ends_at__isnull=False)
        assert begun.count() == 1
        assert Subscription.objects.live().count() == 1
        assert payments.Payment.objects.filter(status="captured").count() == 8


class TestEndPaid:
    @pytest.fixture
    def trialing(self, customer, paid_plan, support):
        made = check_out(customer, plan=paid_plan, add_ons=[support], now=NOON)
        pay(made.invoice, now=NOON)
        return made.subscription

    def test_lets_the_paid_period_begin(self, trialing):
        assert trials.end_paid(now=TRIAL_ENDS, limit=10) == 1

        trialing.refresh_from_db()
        assert trialing.status == "active"
        assert trialing.expires_at == datetime(2026, 4, 15, 12, tzinfo=UTC)
        assert AddOnSubscription.objects.get().status == "active"
        event = Event.objects.get(name="subscription.trial_ended")
        assert (event.subject_id, event.user_id) == (trialing.id, trialing.user_id)

    def test_again_does_nothing(self, trialing):
        trials.end_paid(now=TRIAL_ENDS, limit=10)

        assert trials.end_paid(now=TRIAL_ENDS, limit=10) == 0
        assert Event.objects.filter(name="subscription.trial_ended").count() == 1

    def test_before_its_end_does_nothing(self, trialing):
        assert trials.end_paid(now=TRIAL_ENDS - timedelta(microseconds=1), limit=10) == 0

        trialing.refresh_from_db()
        assert trialing.status == "trialing"

    def test_leaves_those_that_are_not_paid_to_their_renewal(self, customer, plan):
        check_out(customer, plan=plan, now=NOON)

        assert trials.end_paid(now=TRIAL_ENDS, limit=10) == 0

    @pytest.mark.parametrize("limit", [1, 8])
    def test_is_set_based(self, django_assert_num_queries, paid_plan, limit):
        for _ in range(8):
            pay(check_out(UserFactory(), plan=paid_plan, now=NOON).invoice, now=NOON)

        with django_assert_num_queries(6):
            assert trials.end_paid(now=TRIAL_ENDS, limit=limit) == limit

    def test_leaves_what_another_holds(self, trialing, held_by_another):
        with held_by_another(trialing):
            assert trials.end_paid(now=TRIAL_ENDS, limit=10) == 0
        with held_by_another(trialing.user):
            assert trials.end_paid(now=TRIAL_ENDS, limit=10) == 0
