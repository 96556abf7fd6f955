"""What finance does beside payments, customers and each other, on real connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Event, Invoice, Payment, Subscription, TokenTransaction
from billing.services import invoices, payments, refunds, subscriptions
from config.errors import DomainError
from tests.billing.purchases import check_out, pay, unmatched
from tests.concurrency.paying import capture
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory
from tests.threads import at_once

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]


@pytest.fixture
def clerk():
    return StaffFactory()


@pytest.fixture
def invoice(customer) -> Invoice:
    made = check_out(
        customer,
        plan=PlanFactory(),
        bundles=[TokenBundleFactory(token_amount=500)],
        add_ons=[AddOnFactory()],
        now=timezone.now(),
    )
    return made.invoice


def outcome(call: Callable[[], Any]) -> str:
    """``done``, or the code of the refusal."""
    try:
        call()
    except DomainError as refusal:
        return refusal.code
    return "done"


def void(invoice, clerk) -> str:
    return outcome(
        lambda: invoices.void(invoice=invoice, by=clerk, reason="A test", now=timezone.now())
    )


def refund(invoice, clerk, reference="back") -> str:
    return outcome(
        lambda: refunds.refund(
            invoice=invoice, reference=reference, by=clerk, reason="Asked", now=timezone.now()
        )
    )


def mark_paid(invoice, clerk, reference) -> str:
    return outcome(
        lambda: payments.mark_paid(
            invoice=invoice,
            reference=reference,
            method="bank_transfer",
            received_at=invoice.invoiced_at,
            by=clerk,
            reason="On the account",
            now=timezone.now(),
        )
    )


class TestVoid:
    def test_beside_payments_either_is_paid_or_void(self, invoice, clerk):
        outcomes = at_once(
            8,
            lambda number: (
                void(invoice, clerk) if number % 2 else capture(invoice, f"pay_{number}")
            ),
        )

        invoice.refresh_from_db()
        assert invoice.status in ("paid", "cancelled")
        if invoice.status == "paid":
            expected = {"captured": 1, "invoice_already_paid": 3, "invoice_state_forbids": 4}
        else:
            expected = {"done": 1, "invoice_state_forbids": 3, "invoice_cancelled": 4}
        assert Counter(outcomes) == expected
        assert Payment.objects.count() == 4

    def test_beside_the_customer_who_gives_up_cancels_once(self, invoice, clerk):
        subscription = Subscription.objects.get()

        def either(number):
            if number % 2:
                return void(invoice, clerk)
            return outcome(
                lambda: subscriptions.cancel(subscription=subscription, now=timezone.now())
            )

        outcomes = at_once(8, either)

        assert outcomes.count("done") == 1
        assert Event.objects.filter(name="subscription.cancelled").count() == 1


class TestRefund:
    def test_of_two_references_one_counts(self, invoice, clerk):
        pay(invoice, now=timezone.now())

        outcomes = at_once(8, lambda number: refund(invoice, clerk, f"back-{number}"))

        assert Counter(outcomes) == {"done": 1, "invoice_state_forbids": 7}
        assert TokenTransaction.objects.get(transaction_type="refund").amount == -500

    def test_beside_payments_keeps_those_that_came_late(self, invoice, clerk):
        pay(invoice, reference="pay_first", now=timezone.now())

        outcomes = at_once(
            8,
            lambda number: (
                refund(invoice, clerk) if number == 0 else capture(invoice, f"pay_{number}")
            ),
        )

        assert outcomes[0] == "done"
        assert set(outcomes[1:]) <= {"invoice_already_paid", "invoice_refunded"}
        statuses = Payment.objects.values_list("status", flat=True)
        assert Counter(statuses) == {"refunded": 1, "unmatched": 7}

    def test_beside_the_payment_itself_comes_before_or_after_it(self, invoice, clerk):
        outcomes = at_once(
            2,
            lambda number: capture(invoice, "pay_1") if number else refund(invoice, clerk),
        )

        assert outcomes in (["done", "captured"], ["invoice_state_forbids", "captured"])

    def test_beside_a_new_subscription_ends_only_its_own(self, customer, invoice, clerk):
        pay(invoice, now=timezone.now())
        new = check_out(customer, plan=PlanFactory(), now=timezone.now())

        outcomes = at_once(
            2,
            lambda number: capture(new.invoice, "pay_2") if number else refund(invoice, clerk),
        )

        assert outcomes == ["done", "captured"]
        assert Subscription.objects.live().get() == new.subscription


class TestMarkPaid:
    def test_beside_a_provider_pays_once_and_keeps_only_the_providers(self, invoice, clerk):
        outcomes = at_once(
            8,
            lambda number: (
                mark_paid(invoice, clerk, f"SEPA {number}")
                if number % 2
                else capture(invoice, f"pay_{number}")
            ),
        )

        assert Payment.objects.filter(status="captured").count() == 1
        by_hand = Payment.objects.filter(provider="manual")
        assert by_hand.count() == outcomes.count("done")
        assert not by_hand.filter(status="unmatched").exists()


class TestUnmatchedPayment:
    def test_is_assigned_or_sent_back(self, invoice, clerk):
        stray = unmatched(invoice, reference="pay_1")

        def either(number):
            if number % 2:
                return outcome(
                    lambda: refunds.refund_payment(
                        payment=stray,
                        reference=f"back-{number}",
                        by=clerk,
                        reason="Nobody knows him",
                        now=timezone.now(),
                    )
                )
            return outcome(
                lambda: payments.assign(
                    payment=stray, invoice=invoice, by=clerk, reason="His", now=timezone.now()
                )
            )

        outcomes = at_once(8, either)

        stray.refresh_from_db()
        if stray.status == "captured":  # to assign it again does nothing
            assert Counter(outcomes) == {"done": 4, "payment_not_unmatched": 4}
        else:
            assert Counter(outcomes) == {"done": 1, "payment_not_unmatched": 7}
