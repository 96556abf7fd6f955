"""What a refund does to a subscription that has been renewed or changed since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from billing.models import AddOnSubscription, CreditEntry, Invoice, Subscription
from billing.services import (
    books,
    customer_credit,
    issuing,
    refunds,
    staff_subscriptions,
    subscriptions,
)
from billing.services.issuing import Draft
from catalog.money import Money
from tests.billing.purchases import check_out, pay, renew, subscribe
from tests.factories import AddOnFactory, PlanFactory, StaffFactory

pytestmark = pytest.mark.django_db(transaction=True)

MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, 12, tzinfo=UTC)
IN_MAY = datetime(2026, 5, 10, 12, tzinfo=UTC)


@pytest.fixture
def clerk():
    return StaffFactory(email="clerk@example.com")


@pytest.fixture
def subscription(customer) -> Subscription:
    """29.00 a month since March, renewed for April and May."""
    subscription = subscribe(customer, plan=PlanFactory(), now=MARCH)
    for begins in (APRIL, MAY):
        pay(renew(subscription, now=begins), now=begins)
    subscription.refresh_from_db()
    assert subscription.expires_at == JUNE
    return subscription


def invoice_of(begins: datetime) -> Invoice:
    return Invoice.objects.get(reason="renewal", period_start=begins)


def refund(invoice, clerk, reference="back-1"):
    return refunds.refund(
        invoice=invoice, reference=reference, by=clerk, reason="Asked for it", now=IN_MAY
    )


class TestRenewal:
    def test_of_the_current_period_ends_the_subscription(self, subscription, clerk):
        refund(invoice_of(MAY), clerk)

        subscription.refresh_from_db()
        assert (subscription.status, subscription.cancel_reason) == ("cancelled", "refunded")
        assert subscription.expires_at == IN_MAY

    def test_of_an_earlier_period_only_gives_the_money_back(self, subscription, clerk):
        refunded = refund(invoice_of(APRIL), clerk)

        assert refunded.status == "refunded"
        subscription.refresh_from_db()
        assert (subscription.status, subscription.expires_at) == ("active", JUNE)

    def test_of_the_one_before_ends_it_where_the_last_was_refunded(self, subscription, clerk):
        Invoice.objects.filter(period_start=MAY).update(status="refunded")

        refund(invoice_of(APRIL), clerk)

        subscription.refresh_from_db()
        assert subscription.status == "cancelled"

    def test_the_checkout_ends_it_all_the_same(self, subscription, clerk):
        refund(Invoice.objects.get(reason="checkout"), clerk)

        subscription.refresh_from_db()
        assert (subscription.status, subscription.expires_at) == ("cancelled", IN_MAY)

    def test_of_an_add_on_alone_ends_only_that(self, customer, clerk):
        """It is renewed each month, its subscription each year."""
        yearly, support = PlanFactory(billing_period="yearly"), AddOnFactory()
        made = check_out(customer, plan=yearly, add_ons=[support], now=MARCH)
        pay(made.invoice, now=MARCH)
        add_on = AddOnSubscription.objects.get()
        pay(renew(made.subscription, add_on, now=APRIL), now=APRIL)

        refunds.refund(
            invoice=invoice_of(APRIL),
            reference="back-1",
            by=clerk,
            reason="Asked for it",
            now=APRIL + timedelta(days=3),
        )

        add_on.refresh_from_db()
        assert (add_on.status, add_on.cancel_reason) == ("cancelled", "refunded")
        assert add_on.expires_at == datetime(2026, 4, 4, 12, tzinfo=UTC)
        assert Subscription.objects.get().status == "active"

    def test_of_an_add_on_in_a_long_pause_leaves_the_books_in_order(self, customer, clerk):
        """It ends today, long after the end that the subscription had when its clock stopped."""
        subscription = subscribe(customer, plan=PlanFactory(), now=MARCH)
        late = check_out(customer, add_ons=[AddOnFactory()], now=MARCH)
        pay(late.invoice, now=MARCH)
        subscriptions.pause(subscription=subscription, now=MARCH)

        refund(late.invoice, clerk)

        subscription.refresh_from_db()
        assert (subscription.status, subscription.expires_at) == ("paused", APRIL)
        assert AddOnSubscription.objects.get().expires_at == IN_MAY
        assert [one for one in books.verify() if one.violations] == []


class TestChange:
    def test_only_gives_the_money_back(self, subscription, clerk):
        subscription.refresh_from_db()
        with transaction.atomic():
            invoice = issuing.issue(
                subscription=subscription,
                reason=Invoice.Reason.CHANGE,
                drafts=[
                    Draft("subscription", subscription.pk, "Team", Money.parse("50.00", "USD")),
                    Draft("subscription", subscription.pk, "Pro", Money.parse("-20.00", "USD")),
                ],
                now=MAY,
            )
        Invoice.objects.filter(pk=invoice.pk).update(status="paid", paid_at=MAY)
        paid_by_hand(invoice)

        refund(invoice, clerk)

        subscription.refresh_from_db()
        assert (subscription.status, subscription.expires_at) == ("active", JUNE)


def paid_by_hand(invoice):
    """As a payment does, without what it makes of the change: there is none here."""
    invoice.payments.create(
        provider="bank",
        reference=f"paid-{invoice.pk}",
        invoice_reference=str(invoice.pk),
        user_id=invoice.user_id,
        amount=invoice.total_amount,
        currency=invoice.currency,
        status="captured",
    )


class TestCredit:
    def test_that_was_used_is_credited_again(self, customer, clerk):
        owed = Money.parse("12.00", "USD")
        customer_credit.add(
            user_id=customer.id,
            money=owed,
            kind=customer_credit.Type.CANCELLATION,
            reference=customer.id,
            now=MARCH,
        )
        made = check_out(customer, plan=PlanFactory(), now=MARCH)
        pay(made.invoice, now=MARCH)

        refund(made.invoice, clerk)
        refund(made.invoice, clerk)

        assert customer_credit.balances(user_id=customer.id) == [owed]
        entries = CreditEntry.objects.order_by("sequence").values_list("type", "reference")
        assert list(entries) == [
            ("cancellation", customer.id),
            ("used", made.invoice.id),
            ("refunded", made.invoice.id),
        ]


class TestOfSubscription:
    """What staff refund when they refund a subscription."""

    def give_back(self, subscription, clerk):
        return staff_subscriptions.refund(
            subscription=subscription,
            reference="back-1",
            by=clerk,
            reason="Asked for it",
            now=IN_MAY,
        )

    def test_is_the_last_renewal(self, subscription, clerk):
        refunded = self.give_back(subscription, clerk)

        assert (refunded.reason, refunded.period_start) == ("renewal", MAY)
        assert (refunded.status, refunded.total_amount) == ("refunded", 29)
        assert Invoice.objects.filter(status="refunded").count() == 1

    def test_again_is_the_same(self, subscription, clerk):
        first = self.give_back(subscription, clerk)

        assert self.give_back(subscription, clerk).pk == first.pk
        assert Invoice.objects.filter(status="refunded").count() == 1

    def test_is_the_checkout_where_only_an_add_on_was_renewed(self, customer, clerk):
        yearly = PlanFactory(billing_period="yearly")
        made = check_out(customer, plan=yearly, add_ons=[AddOnFactory()], now=MARCH)
        pay(made.invoice, now=MARCH)
        pay(renew(made.subscription, AddOnSubscription.objects.get(), now=APRIL), now=APRIL)

        assert self.give_back(made.subscription, clerk).pk == made.invoice.pk
