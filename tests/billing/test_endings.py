import pytest

from billing.models import AddOnSubscription
from billing.services import add_on_endings, customer_credit, endings, refunds, subscriptions
from tests.billing.purchases import check_out, pay
from tests.billing.renewals.story import at, renewals, run, subscriber
from tests.factories import AddOnFactory, PlanFactory, StaffFactory

pytestmark = pytest.mark.django_db


class TestEnd:
    def test_ends_an_add_on_too_that_was_just_to_be_renewed(self):
        """Its week was over on the 8th, and the billing has not been run since."""
        watch = AddOnFactory(billing_period="weekly", prices={"USD": "7.00"})
        subscription = subscriber(
            plan=PlanFactory(prices={"USD": "31.00"}), add_ons=[watch], now=at(1, 1)
        )

        endings.end(subscription=subscription, now=at(1, 9))

        add_on = AddOnSubscription.objects.get()
        assert (add_on.status, add_on.cancel_reason) == ("cancelled", "customer")
        assert add_on.expires_at == at(1, 8)
        run(subscription, at(2, 1))
        assert subscription.invoices.count() == 1

    def test_gives_back_what_is_left_of_an_add_on_that_was_cancelled_for_its_end(self):
        """22 of 31 days are left of 29.00 and of 5.00: 20.5806… and 3.5483…, rounded up."""
        subscription = subscriber(
            plan=PlanFactory(prices={"USD": "29.00"}),
            add_ons=[AddOnFactory(prices={"USD": "5.00"})],
            now=at(1, 1),
        )
        add_on_endings.cancel(add_on=AddOnSubscription.objects.get(), now=at(1, 5))

        endings.end(subscription=subscription, with_credit=True, now=at(1, 10))

        balances = customer_credit.balances(user_id=subscription.user_id)
        assert [str(money) for money in balances] == ["24.14"]

    def test_gives_it_back_too_where_the_billing_is_late(self):
        """The month was over on 1 February; of the add-on's year 325 of 365 days are left."""
        subscription = subscriber(
            plan=PlanFactory(prices={"USD": "29.00"}),
            add_ons=[AddOnFactory(billing_period="yearly", prices={"USD": "60.00"})],
            now=at(1, 1),
        )
        add_on_endings.cancel(add_on=AddOnSubscription.objects.get(), now=at(1, 5))

        endings.end(subscription=subscription, with_credit=True, now=at(2, 10))

        balances = customer_credit.balances(user_id=subscription.user_id)
        assert [str(money) for money in balances] == ["53.43"]

    def test_gives_nothing_back_of_an_add_on_that_was_refunded_before(self):
        subscription = subscriber(plan=PlanFactory(prices={"USD": "29.00"}), now=at(1, 1))
        late = check_out(subscription.user, add_ons=[AddOnFactory()], now=at(1, 1))
        pay(late.invoice, now=at(1, 1))
        refunds.refund(
            invoice=late.invoice, reference="r", by=StaffFactory(), reason="Asked", now=at(1, 5)
        )

        endings.end(subscription=subscription, with_credit=True, now=at(1, 10))

        balances = customer_credit.balances(user_id=subscription.user_id)
        assert [str(money) for money in balances] == ["20.59"]


class TestPause:
    def test_stops_the_clock_of_an_add_on_too_that_was_just_to_be_renewed(self):
        """A week was over on the 8th; of the eleven days from the 9th on nothing is to be paid."""
        watch = AddOnFactory(billing_period="weekly", prices={"USD": "7.00"})
        subscription = subscriber(
            plan=PlanFactory(prices={"USD": "31.00"}), add_ons=[watch], now=at(1, 1)
        )

        subscriptions.pause(subscription=subscription, now=at(1, 9))
        subscriptions.resume(subscription=subscription, now=at(1, 20))

        assert AddOnSubscription.objects.get().paid_until == at(1, 19)
        run(subscription, at(1, 20))
        assert [invoice.period_start for invoice in renewals(subscription)] == [at(1, 19)]
