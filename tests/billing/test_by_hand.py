"""Payments that staff take by hand: marked as paid, or assigned to an invoice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from billing.models import Event, Invoice, Payment, Subscription
from billing.services import invoices, payments
from tests.billing.purchases import check_out, pay, rows_of_billing, unmatched
from tests.factories import PlanFactory, StaffFactory, TokenBundleFactory, UserFactory
from tests.locks import locked_by
from tests.threads import at_once, overtaken

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 3, 9, tzinfo=UTC)
ARRIVED = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def clerk():
    return StaffFactory(email="clerk@example.com")


@pytest.fixture
def invoice(customer) -> Invoice:
    """29.00 USD for a plan and 10.50 for tokens."""
    bundle = TokenBundleFactory(token_amount=500, prices={"USD": "10.50"})
    plan = PlanFactory(prices={"USD": "29.00"})
    return check_out(customer, plan=plan, bundles=[bundle], now=NOON).invoice


def mark_paid(invoice, clerk, *, reference="SEPA 1", received_at=ARRIVED, reason="On the account"):
    return payments.mark_paid(
        invoice=invoice,
        reference=reference,
        method="bank_transfer",
        received_at=received_at,
        by=clerk,
        reason=reason,
        now=LATER,
    )


@pytest.mark.usefixtures("books_are_clean")
class TestMarkPaid:
    def test_makes_everything_live(self, invoice, clerk):
        receipt = mark_paid(invoice, clerk)

        assert receipt.subscription_activated
        assert receipt.tokens_credited == 500
        payment = Payment.objects.get()
        assert (payment.provider, payment.reference, payment.method) == (
            "manual",
            "SEPA 1",
            "bank_transfer",
        )
        assert (payment.amount, payment.currency) == (invoice.total_amount, "USD")
        assert payment.received_at == ARRIVED
        assert Subscription.objects.get().started_at == LATER

    def test_tells_who_and_why(self, invoice, clerk):
        mark_paid(invoice, clerk)

        payload = Event.objects.get(name="payment.captured").payload
        assert (payload["by"], payload["note"]) == (str(clerk.pk), "On the account")
        noted = invoice.history.get().pgh_context.metadata
        assert noted == {"user": str(clerk.pk), "reason": "On the account"}

    def test_again_gives_the_same_receipt(self, invoice, clerk):
        first = mark_paid(invoice, clerk)
        before = rows_of_billing()

        assert mark_paid(invoice, clerk) == first
        assert rows_of_billing() == before

    def test_of_a_paid_one_is_refused_and_nothing_is_kept(self, invoice, clerk):
        pay(invoice, now=NOON)
        before = rows_of_billing()

        with pytest.raises(payments.InvoiceAlreadyPaid) as refusal:
            mark_paid(invoice, clerk)

        assert refusal.value.message == "The invoice is paid already."
        assert rows_of_billing() == before

    def test_under_the_reference_of_another_is_refused(self, invoice, customer, clerk):
        other = check_out(customer, bundles=[TokenBundleFactory()], now=NOON).invoice
        mark_paid(other, clerk)
        before = rows_of_billing()

        with pytest.raises(payments.PaymentReferenceConflict):
            mark_paid(invoice, clerk)

        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        ("wrong", "refusal"),
        [
            ({"reference": " "}, payments.PaymentReferenceMissing),
            ({"reason": ""}, invoices.ReasonMissing),
            ({"received_at": datetime(2026, 3, 3, 9, 1, tzinfo=UTC)}, payments.PaymentInFuture),
        ],
    )
    def test_of_what_is_not_told_rightly_is_refused(self, invoice, clerk, wrong, refusal):
        before = rows_of_billing()

        with pytest.raises(refusal):
            mark_paid(invoice, clerk, **wrong)

        assert rows_of_billing() == before

    @pytest.mark.parametrize("row", ["invoice", "user"])
    def test_waits_for_each_row(self, invoice, clerk, held_by_another, row):
        held = {"invoice": invoice, "user": invoice.user}[row]

        with held_by_another(held), pytest.raises(OperationalError, match="lock timeout"):
            mark_paid(invoice, clerk)

        assert not Payment.objects.exists()

    def test_beside_another_payment_is_refused_and_nothing_is_kept(self, invoice, clerk):
        """What it is refused for is read when the invoice is locked."""
        stray = unmatched(invoice, reference="pay_1")

        def too_late():
            with pytest.raises(payments.InvoiceAlreadyPaid):
                mark_paid(invoice, clerk)

        overtaken(
            too_late,
            by=lambda: payments.assign(
                payment=stray, invoice=invoice, by=clerk, reason="His", now=LATER
            ),
        )

        assert list(Payment.objects.all()) == [stray]

    def test_by_two_at_once_pays_once(self, invoice, clerk):
        receipts = at_once(2, lambda _number: mark_paid(invoice, clerk))

        assert receipts[0] == receipts[1]
        assert Payment.objects.count() == 1


@pytest.mark.usefixtures("books_are_clean")
class TestAssign:
    def assign(self, payment, invoice, clerk, reason="He named the wrong one"):
        return payments.assign(payment=payment, invoice=invoice, by=clerk, reason=reason, now=LATER)

    def test_pays_the_invoice(self, invoice, clerk):
        stray = unmatched(invoice, reference="pay_1")

        receipt = self.assign(stray, invoice, clerk)

        assert receipt.tokens_credited == 500
        stray.refresh_from_db()
        invoice.refresh_from_db()
        assert (stray.status, stray.invoice_id, stray.user_id) == (
            "captured",
            invoice.pk,
            invoice.user_id,
        )
        assert (invoice.status, invoice.payment_ref) == ("paid", "pay_1")

    def test_tells_who_and_why(self, invoice, clerk):
        self.assign(unmatched(invoice, reference="pay_1"), invoice, clerk)

        payload = Event.objects.get(name="payment.assigned").payload
        assert (payload["by"], payload["note"]) == (str(clerk.pk), "He named the wrong one")
        assert payload["invoice_id"] == str(invoice.pk)
        metadata = [
            row.history.get().pgh_context.metadata for row in (invoice, Payment.objects.get())
        ]
        assert metadata == [{"user": str(clerk.pk), "reason": "He named the wrong one"}] * 2

    def test_again_gives_the_same_receipt(self, invoice, clerk):
        stray = unmatched(invoice, reference="pay_1")
        first = self.assign(stray, invoice, clerk)
        before = rows_of_billing()

        assert self.assign(stray, invoice, clerk) == first
        assert rows_of_billing() == before

    def test_of_another_amount_is_refused(self, invoice, clerk):
        stray = unmatched(invoice, reference="pay_1", amount="39.49")
        before = rows_of_billing()

        with pytest.raises(payments.WrongAmount):
            self.assign(stray, invoice, clerk)

        stray.refresh_from_db()
        assert (stray.status, stray.unmatched_reason) == ("unmatched", "invoice_not_found")
        assert rows_of_billing() == before

    def test_to_a_paid_invoice_is_refused(self, invoice, clerk):
        stray = unmatched(invoice, reference="pay_1")
        pay(invoice, now=NOON)

        with pytest.raises(payments.InvoiceAlreadyPaid):
            self.assign(stray, invoice, clerk)

        stray.refresh_from_db()
        assert stray.status == "unmatched"

    def test_of_one_that_paid_another_is_refused(self, invoice, customer, clerk):
        bundle = TokenBundleFactory(prices={"USD": "39.50"})
        other = check_out(customer, bundles=[bundle], now=NOON).invoice
        stray = unmatched(invoice, reference="pay_1")
        self.assign(stray, other, clerk)

        with pytest.raises(payments.PaymentNotUnmatched) as refusal:
            self.assign(stray, invoice, clerk)

        assert refusal.value.code == "payment_not_unmatched"
        invoice.refresh_from_db()
        assert invoice.status == "pending"

    def test_without_a_reason_is_refused(self, invoice, clerk):
        with pytest.raises(invoices.ReasonMissing):
            self.assign(unmatched(invoice, reference="pay_1"), invoice, clerk, reason="")

    @pytest.mark.parametrize("row", ["invoice", "user", "payment"])
    def test_waits_for_each_row(self, invoice, clerk, held_by_another, row):
        stray = unmatched(invoice, reference="pay_1")
        held = {"invoice": invoice, "user": invoice.user, "payment": stray}[row]

        with held_by_another(held), pytest.raises(OperationalError, match="lock timeout"):
            self.assign(stray, invoice, clerk)

    def test_takes_the_locks_in_the_one_order(self, invoice, clerk):
        stray = unmatched(invoice, reference="pay_1")

        locked = locked_by(lambda: self.assign(stray, invoice, clerk))

        assert locked == ["billing_invoice", "accounts_user", "billing_payment"]

    def test_of_two_payments_at_once_pays_with_one(self, invoice, clerk):
        first, second = (unmatched(invoice, reference=name) for name in ("pay_1", "pay_2"))

        def too_late():
            with pytest.raises(payments.InvoiceAlreadyPaid):
                self.assign(second, invoice, clerk)

        overtaken(too_late, by=lambda: self.assign(first, invoice, clerk))

        second.refresh_from_db()
        assert second.status == "unmatched"

    def test_to_two_invoices_at_once_pays_one(self, invoice, customer, clerk):
        bundle = TokenBundleFactory(prices={"USD": "39.50"})
        other = check_out(UserFactory(), bundles=[bundle], now=NOON).invoice
        stray = unmatched(invoice, reference="pay_1")

        def second():
            with pytest.raises(payments.PaymentNotUnmatched):
                self.assign(stray, other, clerk)

        overtaken(second, by=lambda: self.assign(stray, invoice, clerk))

        assert list(Invoice.objects.filter(status="paid")) == [invoice]


class TestCandidates:
    def test_are_of_the_same_amount_and_currency_and_still_to_be_paid(self, invoice):
        plan = PlanFactory(prices={"USD": "39.50", "EUR": "39.50"})
        stray = unmatched(invoice, reference="pay_1")
        same = check_out(UserFactory(), plan=plan, now=NOON).invoice
        check_out(UserFactory(), plan=plan, currency="EUR", now=NOON)
        check_out(UserFactory(), bundles=[TokenBundleFactory()], now=NOON)
        pay(check_out(UserFactory(), plan=plan, now=NOON).invoice, now=NOON)

        assert list(payments.candidates(payment=stray)) == [same, invoice]

    def test_of_the_same_customer_come_first(self, invoice, customer):
        bundle = TokenBundleFactory(prices={"USD": "39.50"})
        paid = check_out(customer, bundles=[bundle], now=NOON).invoice
        pay(paid, now=NOON)
        check_out(UserFactory(), bundles=[bundle], now=NOON)
        with pytest.raises(payments.InvoiceAlreadyPaid) as kept:
            pay(paid, reference="again", now=NOON)
        stray = Payment.objects.get(pk=kept.value.context["payment_id"])

        assert payments.candidates(payment=stray).first() == invoice
