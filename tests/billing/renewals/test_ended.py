"""What has ended is not asked for any more, and gives no access, whatever was still to be paid."""

from datetime import timedelta
from decimal import Decimal

import pytest

from billing.models import AddOnSubscription, Invoice, Payment, PaymentAttempt, TestClock
from billing.services import (
    books,
    change_quotes,
    changes,
    endings,
    invoices,
    refunds,
    staff_subscriptions,
    subscriptions,
)
from tests.billing.purchases import check_out, pay, rows_of_billing, subscribe
from tests.billing.renewals.story import Behaviour, at, renewals, run, subscriber
from tests.factories import AddOnFactory, PlanFactory, StaffFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
DUE = at(2, 28)  # of a subscription since 31 January


@pytest.fixture(autouse=True)
def books_hold(db):
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def past_due():
    """Plan and add-on whose renewal was declined; from now on the customer's card is good."""
    add_on = AddOnFactory(name="Hotline", prices={"USD": "5.00"})
    subscription = subscriber(behaviour=Behaviour.NEVER_PAYS, add_ons=[add_on])
    run(subscription, DUE)
    TestClock.objects.update(behaviour=Behaviour.PAYS)
    return subscription


def cancel(subscription):
    subscriptions.cancel(subscription=subscription, now=DUE + DAY)


def end(subscription):
    endings.end(subscription=subscription, now=DUE + DAY)


def void(subscription):
    (invoice,) = renewals(subscription)
    invoices.void(invoice=invoice, by=StaffFactory(), reason="Goodwill.", now=DUE + DAY)


def refund(subscription):
    checkout = Invoice.objects.get(subscription=subscription, reason="checkout")
    refunds.refund(
        invoice=checkout, reference="r-1", by=StaffFactory(), reason="Goodwill.", now=DUE + DAY
    )


def buy_another(subscription):
    subscribe(subscription.user, plan=PlanFactory(), now=DUE + DAY)


ENDS = [cancel, end, void, refund, buy_another]


@pytest.mark.parametrize("ended_by", ENDS, ids=[one.__name__ for one in ENDS])
class TestEndedWhilePastDue:
    def test_gives_no_access_for_the_rest_of_the_grace_time(self, past_due, ended_by):
        assert past_due.is_valid_at(DUE + 2 * DAY)

        ended_by(past_due)

        past_due.refresh_from_db()
        add_on = AddOnSubscription.objects.get(subscription=past_due)
        assert past_due.status == "cancelled"
        assert (past_due.past_due_since, past_due.grace_until) == (None, None)
        assert not past_due.is_valid_at(DUE + DAY)
        assert (add_on.status, add_on.grace_until) == ("cancelled", None)
        assert not add_on.is_valid_at(DUE + DAY)

    def test_nobody_is_asked_for_the_renewal_again(self, past_due, ended_by):
        ended_by(past_due)
        for days in range(1, 9):
            run(past_due, DUE + days * DAY)

        (invoice,) = renewals(past_due)
        assert (invoice.status, invoice.next_attempt_at) == ("cancelled", None)
        assert PaymentAttempt.objects.filter(invoice=invoice).count() == 1
        assert not Payment.objects.filter(status="unmatched").exists()


class TestInvoicedAhead:
    @pytest.fixture
    def ahead(self, settings):
        settings.BILLING_INVOICE_DAYS_BEFORE = 7
        subscription = subscriber()
        run(subscription, DUE - 7 * DAY)
        return subscription

    @pytest.mark.parametrize("ended_by", [refund, buy_another])
    def test_the_renewal_of_what_has_ended_is_withdrawn(self, ahead, ended_by):
        (invoice,) = renewals(ahead)
        assert (invoice.status, invoice.next_attempt_at) == ("pending", DUE)

        if ended_by is refund:
            by = StaffFactory()
            checkout = Invoice.objects.get(reason="checkout")
            refunds.refund(
                invoice=checkout, reference="r-1", by=by, reason="Goodwill.", now=DUE - DAY
            )
        else:
            subscribe(ahead.user, plan=PlanFactory(), now=DUE - DAY)
        run(ahead, DUE)

        invoice.refresh_from_db()
        assert invoice.status == "cancelled"
        assert not PaymentAttempt.objects.exists()

    def test_a_change_that_waits_is_withdrawn_too(self):
        subscription = subscriber(plan=PlanFactory(prices={"USD": "29.00"}), now=at(1, 1))
        pro = PlanFactory(prices={"USD": "99.00"})
        asked = changes.request(subscription=subscription, plan=pro, now=at(1, 10))

        subscribe(subscription.user, plan=PlanFactory(), now=at(1, 10))

        asked.invoice.refresh_from_db()
        assert asked.invoice.status == "cancelled"
        (change,) = subscription.changes.all()
        assert change.status == "cancelled"


@pytest.mark.django_db(transaction=True)
class TestSomebodyElseHoldsTheRenewal:
    def test_it_is_not_waited_for_and_taken_back_instead_of_asked_for(
        self, past_due, held_by_another
    ):
        other = check_out(past_due.user, plan=PlanFactory(), now=DUE + DAY).invoice
        (invoice,) = renewals(past_due)

        with held_by_another(invoice):
            pay(other, now=DUE + DAY)
        invoice.refresh_from_db()
        assert invoice.status == "failed"
        run(past_due, DUE + DAY)

        invoice.refresh_from_db()
        assert (invoice.status, invoice.next_attempt_at) == ("cancelled", None)
        last = PaymentAttempt.objects.order_by("number").last()
        assert (last.outcome, last.failure) == ("failed", "The invoice was no longer to be paid.")
        assert not Payment.objects.filter(status="unmatched").exists()


class TestExtendedWhilePastDue:
    def test_nothing_is_waited_for_any_more(self, past_due):
        by = StaffFactory()
        staff_subscriptions.extend(
            subscription=past_due, days=10, by=by, reason="Goodwill.", now=DUE + DAY
        )

        past_due.refresh_from_db()
        add_on = AddOnSubscription.objects.get()
        assert (past_due.grace_until, add_on.grace_until) == (None, None)
        assert past_due.expires_at == add_on.expires_at == DUE + 10 * DAY


class TestAWishIsTakenBack:
    """Basic from the next renewal on, which is invoiced already."""

    def wishing(self, behaviour=Behaviour.PAYS):
        pro = PlanFactory(name="Pro", prices={"USD": "99.00"})
        subscription = subscriber(plan=pro, now=at(1, 1), behaviour=behaviour)
        basic = PlanFactory(name="Basic", prices={"USD": "29.00"})
        changes.at_period_end(subscription=subscription, plan=basic, now=at(1, 10))
        return subscription

    def test_the_renewal_is_invoiced_anew_at_the_price_of_the_plan(self, settings):
        settings.BILLING_INVOICE_DAYS_BEFORE = 7
        subscription = self.wishing()
        run(subscription, at(1, 26))

        changes.withdraw_pending(subscription=subscription, now=at(1, 27))
        run(subscription, at(2, 1))

        found = [(invoice.status, invoice.total_amount) for invoice in renewals(subscription)]
        assert found == [("cancelled", Decimal("29.00")), ("paid", Decimal("99.00"))]
        assert (subscription.name, subscription.period_value) == ("Pro", Decimal("99.00"))

    def test_not_while_that_is_past_due(self):
        subscription = self.wishing(Behaviour.NEVER_PAYS)
        run(subscription, at(2, 1))
        before = rows_of_billing()

        with pytest.raises(change_quotes.PastDue):
            changes.withdraw_pending(subscription=subscription, now=at(2, 2))

        assert rows_of_billing() == before
        pay(renewals(subscription)[0], now=at(2, 3))
        subscription.refresh_from_db()
        assert (subscription.name, subscription.period_value) == ("Basic", Decimal("29.00"))
