"""Money that goes back, and what goes with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    Payment,
    Subscription,
    TokenBundlePurchase,
    TokenTransaction,
)
from billing.services import invoices, payments, refunds, subscriptions, tokens
from billing.services.payments import PaymentNotUnmatched
from tests.billing.purchases import check_out, pay, rows_of_billing, subscribe, unmatched
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory
from tests.locks import locked_by
from tests.threads import at_once, overtaken

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 3, 9, tzinfo=UTC)


@pytest.fixture
def clerk():
    return StaffFactory(email="clerk@example.com")


@pytest.fixture
def invoice(customer) -> Invoice:
    """Paid: a plan for 29.00, two bundles of 500 tokens for 10.50 each, an add-on for 5.00."""
    bundle = TokenBundleFactory(name="Starter", token_amount=500, prices={"USD": "10.50"})
    made = check_out(
        customer,
        plan=PlanFactory(prices={"USD": "29.00"}),
        bundles=[bundle, bundle],
        add_ons=[AddOnFactory(prices={"USD": "5.00"})],
        now=NOON,
    )
    pay(made.invoice, now=NOON)
    return made.invoice


def refund(invoice, clerk, *, reference="back-1", reason="He asked for it", now=LATER):
    return refunds.refund(invoice=invoice, reference=reference, by=clerk, reason=reason, now=now)


class TestRefund:
    def test_ends_all_that_the_invoice_made_live(self, invoice, clerk):
        refunded = refund(invoice, clerk)

        assert refunded.status == "refunded"
        assert refunded.paid_at == NOON
        for row in (Subscription.objects.get(), AddOnSubscription.objects.get()):
            assert (row.status, row.cancel_reason) == ("cancelled", "refunded")
            assert (row.cancelled_at, row.expires_at) == (LATER, LATER)
            assert not row.is_valid_at(LATER)
        statuses = TokenBundlePurchase.objects.values_list("status", flat=True)
        assert list(statuses) == ["refunded", "refunded"]

    def test_marks_the_payment(self, invoice, clerk):
        refund(invoice, clerk)

        payment = Payment.objects.get()
        assert (payment.status, payment.refund_reference) == ("refunded", "back-1")
        assert payment.refunded_at == LATER

    def test_takes_the_tokens_back(self, invoice, clerk):
        refund(invoice, clerk)

        assert tokens.balance_of(user_id=invoice.user_id) == 0
        assert refunds.tokens_used(invoice=invoice) == 0
        back = TokenTransaction.objects.filter(transaction_type="refund").order_by("sequence")
        assert [(row.amount, row.balance_after) for row in back] == [(-500, 500), (-500, 0)]
        assert {row.reference_id for row in back} == {
            str(pk) for pk in TokenBundlePurchase.objects.values_list("pk", flat=True)
        }

    def test_takes_no_more_tokens_than_are_there(self, invoice, clerk):
        tokens.spend(user_id=invoice.user_id, amount=880, reference="use", now=NOON)

        refund(invoice, clerk)

        assert tokens.balance_of(user_id=invoice.user_id) == 0
        back = TokenTransaction.objects.get(transaction_type="refund")
        assert (back.amount, back.balance_after) == (-120, 0)
        payload = Event.objects.get(name="invoice.refunded").payload
        assert (payload["tokens_taken_back"], payload["tokens_used_before"]) == (120, 880)
        assert refunds.tokens_used(invoice=invoice) == 880

    def test_when_all_tokens_are_used_takes_none(self, invoice, clerk):
        tokens.spend(user_id=invoice.user_id, amount=1000, reference="use", now=NOON)

        refund(invoice, clerk)

        assert not TokenTransaction.objects.filter(transaction_type="refund").exists()

    def test_tells_who_and_why(self, invoice, clerk):
        refund(invoice, clerk)

        event = Event.objects.get(name="invoice.refunded")
        assert event.payload == {
            "number": invoice.number,
            "reference": "back-1",
            "amount": "55.00",
            "currency": "USD",
            "tokens_taken_back": 1000,
            "tokens_used_before": 0,
            "by": str(clerk.pk),
            "reason": "He asked for it",
        }
        noted = invoice.history.order_by("pgh_id").last().pgh_context.metadata
        assert noted == {"user": str(clerk.pk), "reason": "He asked for it"}

    def test_ends_add_ons_that_were_bought_later_for_the_subscription(
        self, invoice, customer, clerk
    ):
        late = check_out(customer, add_ons=[AddOnFactory()], now=NOON)
        pay(late.invoice, now=NOON)

        refund(invoice, clerk)

        add_on = AddOnSubscription.objects.get(invoice=late.invoice)
        assert (add_on.status, add_on.expires_at) == ("cancelled", LATER)
        late.invoice.refresh_from_db()
        assert late.invoice.status == "paid"

    def test_of_add_ons_leaves_the_subscription_that_they_joined(self, customer, clerk):
        subscription = subscribe(customer, plan=PlanFactory(), now=NOON)
        late = check_out(customer, add_ons=[AddOnFactory()], now=NOON)
        pay(late.invoice, now=NOON)

        refund(late.invoice, clerk)

        subscription.refresh_from_db()
        assert subscription.status == "active"
        assert AddOnSubscription.objects.get().status == "cancelled"

    def test_of_a_paused_subscription_ends_it(self, invoice, clerk):
        subscriptions.pause(subscription=Subscription.objects.get(), now=NOON)

        refund(invoice, clerk)

        subscription = Subscription.objects.get()
        assert (subscription.status, subscription.paused_at) == ("cancelled", None)
        assert subscription.expires_at == LATER

    def test_of_a_cancelled_one_that_runs_on_ends_it(self, invoice, clerk):
        subscriptions.cancel(subscription=Subscription.objects.get(), now=NOON)

        refund(invoice, clerk)

        for row in (Subscription.objects.get(), AddOnSubscription.objects.get()):
            assert (row.cancel_reason, row.expires_at) == ("refunded", LATER)

    def test_of_one_that_never_ends_ends_it(self, customer, clerk):
        plan = PlanFactory(billing_period="one_time")
        subscription = subscribe(customer, plan=plan, now=NOON)

        refund(subscription.invoices.get(), clerk)

        subscription.refresh_from_db()
        assert (subscription.status, subscription.expires_at) == ("cancelled", LATER)

    def test_by_a_slow_clock_ends_nothing_before_it_began(self, invoice, clerk):
        refund(invoice, clerk, now=datetime(2026, 3, 1, 11, 59, tzinfo=UTC))

        assert Subscription.objects.get().expires_at == NOON
        assert Payment.objects.get().refunded_at == NOON

    def test_of_a_period_that_is_over_changes_no_end(self, invoice, clerk):
        refund(invoice, clerk, now=datetime(2026, 6, 1, tzinfo=UTC))

        assert Subscription.objects.get().expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)
        assert AddOnSubscription.objects.get().status == "cancelled"

    def test_of_a_replaced_subscription_leaves_the_new_one(self, invoice, customer, clerk):
        new = subscribe(customer, plan=PlanFactory(), now=LATER)

        refund(invoice, clerk)

        new.refresh_from_db()
        assert new.status == "active"

    def test_again_does_nothing(self, invoice, clerk):
        refund(invoice, clerk)
        before = rows_of_billing()

        assert refund(invoice, clerk).status == "refunded"
        assert rows_of_billing() == before

    def test_again_under_another_reference_is_refused(self, invoice, clerk):
        refund(invoice, clerk)
        before = rows_of_billing()

        with pytest.raises(invoices.InvoiceStateForbids) as refusal:
            refund(invoice, clerk, reference="back-2")

        assert refusal.value.context == {"status": "refunded"}
        assert rows_of_billing() == before

    def test_of_what_was_not_paid_is_refused(self, customer, clerk):
        made = check_out(customer, plan=PlanFactory(), now=NOON)
        before = rows_of_billing()

        with pytest.raises(invoices.InvoiceStateForbids) as refusal:
            refund(made.invoice, clerk)

        assert refusal.value.code == "invoice_state_forbids"
        assert rows_of_billing() == before

    def test_of_what_was_free_is_refused(self, customer, clerk):
        made = check_out(customer, plan=PlanFactory(prices={"USD": "0"}), now=NOON)
        before = rows_of_billing()

        with pytest.raises(refunds.NothingToRefund) as refusal:
            refund(made.invoice, clerk)

        assert refusal.value.code == "nothing_to_refund"
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        ("wrong", "refusal"),
        [
            ({"reference": " "}, refunds.RefundReferenceMissing),
            ({"reason": " "}, invoices.ReasonMissing),
        ],
    )
    def test_without_reference_or_reason_is_refused(self, invoice, clerk, wrong, refusal):
        before = rows_of_billing()

        with pytest.raises(refusal):
            refund(invoice, clerk, **wrong)

        assert rows_of_billing() == before

    @pytest.mark.parametrize("row", ["invoice", "user", "subscription", "payment", "tokens"])
    def test_waits_for_each_row(self, invoice, clerk, held_by_another, row):
        held = {
            "invoice": invoice,
            "user": invoice.user,
            "subscription": invoice.subscription,
            "payment": Payment.objects.get(),
            "tokens": invoice.user.token_account,
        }[row]

        with held_by_another(held), pytest.raises(OperationalError, match="lock timeout"):
            refund(invoice, clerk)

        assert Invoice.objects.get().status == "paid"

    def test_takes_the_locks_in_the_one_order(self, invoice, clerk):
        locked = locked_by(lambda: refund(invoice, clerk))

        assert locked == [
            "billing_invoice",
            "accounts_user",
            "billing_payment",
            "billing_subscription",
            "billing_invoice",  # what is still to be paid, SKIP LOCKED: none is waited for
            "billing_tokenaccount",
        ]

    def test_sees_one_that_was_first(self, invoice, clerk):
        def too_late():
            with pytest.raises(invoices.InvoiceStateForbids):
                refund(invoice, clerk, reference="back-2")

        overtaken(too_late, by=lambda: refund(invoice, clerk))

        assert Payment.objects.get().refund_reference == "back-1"

    def test_takes_back_what_a_spender_has_left(self, invoice, clerk):
        def spend():
            tokens.spend(user_id=invoice.user_id, amount=880, reference="use", now=LATER)

        overtaken(lambda: refund(invoice, clerk), by=spend)

        back = TokenTransaction.objects.get(transaction_type="refund")
        assert (back.amount, back.balance_after) == (-120, 0)

    def test_by_two_at_once_goes_back_once(self, invoice, clerk):
        at_once(2, lambda _number: refund(invoice, clerk))

        assert Event.objects.filter(name="invoice.refunded").count() == 1
        assert TokenTransaction.objects.filter(transaction_type="refund").count() == 2

    def test_while_tokens_are_spent_never_goes_below_zero(self, invoice, clerk):
        def either(number):
            if number == 0:
                return refund(invoice, clerk)
            try:
                return tokens.spend(
                    user_id=invoice.user_id, amount=200, reference=f"use {number}", now=NOON
                )
            except tokens.NotEnoughTokens:
                return None

        at_once(7, either)

        assert tokens.balance_of(user_id=invoice.user_id) == 0


class TestRefundPayment:
    def refund(self, payment, clerk, *, reference="back-1", reason="Nobody knows him"):
        return refunds.refund_payment(
            payment=payment, reference=reference, by=clerk, reason=reason, now=LATER
        )

    def test_sends_an_unmatched_one_back(self, invoice, clerk):
        payment = self.refund(unmatched(invoice, reference="stray"), clerk)

        assert (payment.status, payment.refund_reference) == ("refunded", "back-1")
        assert payment.refunded_at == LATER
        payload = Event.objects.get(name="payment.refunded").payload
        assert payload == {
            "reference": "back-1",
            "amount": "55.00",
            "currency": "USD",
            "by": str(clerk.pk),
            "reason": "Nobody knows him",
        }

    def test_again_does_nothing(self, invoice, clerk):
        stray = unmatched(invoice, reference="stray")
        self.refund(stray, clerk)
        before = rows_of_billing()

        self.refund(stray, clerk)

        assert rows_of_billing() == before

    def test_again_under_another_reference_is_refused(self, invoice, clerk):
        stray = unmatched(invoice, reference="stray")
        self.refund(stray, clerk)

        with pytest.raises(PaymentNotUnmatched):
            self.refund(stray, clerk, reference="back-2")

    def test_of_one_that_paid_an_invoice_is_refused(self, invoice, clerk):
        before = rows_of_billing()

        with pytest.raises(PaymentNotUnmatched) as refusal:
            self.refund(Payment.objects.get(), clerk)

        assert refusal.value.context == {"status": "captured"}
        assert rows_of_billing() == before

    def test_sees_that_it_was_assigned_meanwhile(self, customer, invoice, clerk):
        open_one = check_out(customer, plan=PlanFactory(), now=NOON).invoice
        stray = unmatched(open_one, reference="stray")

        def too_late():
            with pytest.raises(PaymentNotUnmatched):
                self.refund(stray, clerk)

        overtaken(
            too_late,
            by=lambda: payments.assign(
                payment=stray, invoice=open_one, by=clerk, reason="His", now=LATER
            ),
        )

        stray.refresh_from_db()
        assert stray.status == "captured"

    def test_tells_who_and_why(self, invoice, clerk):
        payment = self.refund(unmatched(invoice, reference="stray"), clerk)

        noted = payment.history.get().pgh_context.metadata
        assert noted == {"user": str(clerk.pk), "reason": "Nobody knows him"}

    def test_waits_for_the_payment(self, invoice, clerk, held_by_another):
        stray = unmatched(invoice, reference="stray")

        with held_by_another(stray), pytest.raises(OperationalError, match="lock timeout"):
            self.refund(stray, clerk)
