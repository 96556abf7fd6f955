"""Voiding an invoice that nobody pays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from billing.models import AddOnSubscription, Event, Invoice, Subscription, TokenBundlePurchase
from billing.services import invoices, payments
from tests.billing.purchases import (
    check_out,
    pay,
    rows_of_billing,
    subscribe,
    unmatched,
)
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory
from tests.locks import locked_by
from tests.threads import overtaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def clerk(db):
    return StaffFactory(email="clerk@example.com")


@pytest.fixture
def made(customer):
    return check_out(
        customer,
        plan=PlanFactory(),
        bundles=[TokenBundleFactory()],
        add_ons=[AddOnFactory()],
        now=NOON,
    )


def void(invoice, clerk, *, reason="A test order", now=LATER):
    return invoices.void(invoice=invoice, by=clerk, reason=reason, now=now)


@pytest.mark.django_db
class TestVoid:
    def test_cancels_the_invoice_and_all_that_it_is_for(self, made, clerk):
        voided = void(made.invoice, clerk)

        assert (voided.status, voided.cancelled_at) == ("cancelled", LATER)
        assert voided.number == made.invoice.number
        subscription = Subscription.objects.get()
        assert (subscription.status, subscription.cancel_reason) == ("cancelled", "voided")
        assert subscription.cancelled_at == LATER
        assert TokenBundlePurchase.objects.get().status == "cancelled"
        assert AddOnSubscription.objects.get().status == "cancelled"

    def test_tells_who_and_why(self, made, clerk):
        void(made.invoice, clerk, reason="Ordered twice")

        event = Event.objects.get(name="invoice.voided")
        assert (event.subject_id, event.user_id) == (made.invoice.pk, made.invoice.user_id)
        assert event.payload == {
            "number": made.invoice.number,
            "by": str(clerk.pk),
            "reason": "Ordered twice",
        }
        before = made.invoice.history.get()
        assert before.status == "pending"
        assert before.pgh_context.metadata == {"user": str(clerk.pk), "reason": "Ordered twice"}

    def test_of_one_whose_payment_failed(self, made, clerk):
        Invoice.objects.update(status="failed")

        assert void(made.invoice, clerk).status == "cancelled"

    def test_leaves_the_subscription_that_add_ons_were_to_join(self, customer, clerk):
        subscription = subscribe(customer, plan=PlanFactory(), now=NOON)
        joining = check_out(customer, add_ons=[AddOnFactory()], now=NOON)

        void(joining.invoice, clerk)

        subscription.refresh_from_db()
        assert subscription.status == "active"
        assert AddOnSubscription.objects.get().status == "cancelled"

    def test_again_is_refused(self, made, clerk):
        void(made.invoice, clerk)
        before = rows_of_billing()

        with pytest.raises(invoices.InvoiceStateForbids) as refusal:
            void(made.invoice, clerk, now=datetime(2026, 4, 1, tzinfo=UTC))

        assert refusal.value.context == {"status": "cancelled"}
        assert rows_of_billing() == before
        assert Invoice.objects.get().cancelled_at == LATER

    def test_of_a_paid_one_is_refused(self, made, clerk):
        pay(made.invoice, now=NOON)
        before = rows_of_billing()

        with pytest.raises(invoices.InvoiceStateForbids) as refusal:
            void(made.invoice, clerk)

        assert refusal.value.code == "invoice_state_forbids"
        assert refusal.value.context == {"status": "paid"}
        assert rows_of_billing() == before

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_without_a_reason_is_refused(self, made, clerk, reason):
        with pytest.raises(invoices.ReasonMissing):
            void(made.invoice, clerk, reason=reason)

        assert Invoice.objects.get().status == "pending"

    @pytest.mark.django_db(transaction=True)
    def test_leaves_a_later_payment_unmatched(self, made, clerk):
        void(made.invoice, clerk)

        with pytest.raises(payments.InvoiceCancelled):
            pay(made.invoice, now=LATER)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("books_are_clean")
class TestLocks:
    def test_are_taken_in_the_one_order(self, made, clerk):
        locked = locked_by(lambda: void(made.invoice, clerk))

        assert locked == ["billing_invoice", "accounts_user", "billing_subscription"]

    @pytest.mark.parametrize("row", ["invoice", "user", "subscription"])
    def test_waits_for_each(self, made, clerk, held_by_another, row):
        held = {
            "invoice": made.invoice,
            "user": made.invoice.user,
            "subscription": made.subscription,
        }[row]

        with held_by_another(held), pytest.raises(OperationalError, match="lock timeout"):
            void(made.invoice, clerk)

        assert Invoice.objects.get().status == "pending"

    def test_sees_a_payment_that_was_first(self, made, clerk):
        def try_to():
            with pytest.raises(invoices.InvoiceStateForbids):
                void(made.invoice, clerk)

        stray = unmatched(made.invoice, reference="pay_1")

        def pay_first():
            payments.assign(payment=stray, invoice=made.invoice, by=clerk, reason="His", now=NOON)

        overtaken(try_to, by=pay_first)

        assert Invoice.objects.get().status == "paid"
