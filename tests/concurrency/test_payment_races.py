"""Payments at the same moment, on real connections."""

from collections import Counter

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import (
    AddOnSubscription,
    Invoice,
    Payment,
    Subscription,
    TokenAccount,
    TokenTransaction,
)
from billing.services import tokens
from tests.billing.purchases import check_out, pay
from tests.concurrency.paying import capture, capture_uncommitted
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory
from tests.threads import at_once, overtaken

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]


class TestOneNotification:
    def test_delivered_by_eight_threads_credits_once(self, customer, webhook):
        made = check_out(
            customer,
            plan=PlanFactory(),
            bundles=[TokenBundleFactory(token_amount=500)],
            add_ons=[AddOnFactory()],
            now=timezone.now(),
        )
        body = {
            "invoice_id": str(made.invoice.id),
            "payment_reference": "pi_1",
            "amount": str(made.invoice.total),
            "currency": "USD",
        }

        responses = at_once(8, lambda number: webhook(body))

        assert {response.status_code for response in responses} == {200}
        assert len({response.content for response in responses}) == 1
        assert responses[0].json()["tokens_credited"] == 500
        assert Payment.objects.count() == 1
        assert TokenTransaction.objects.count() == 1
        assert TokenAccount.objects.get().balance == 500
        assert Subscription.objects.filter(status="active").count() == 1
        assert AddOnSubscription.objects.filter(status="active").count() == 1

    def test_of_an_unknown_invoice_is_kept_once(self, webhook):
        body = {
            "invoice_id": "nobody knows it",
            "payment_reference": "pi_1",
            "amount": "5.00",
            "currency": "USD",
        }

        responses = at_once(8, lambda number: webhook(body))

        assert {response.status_code for response in responses} == {400}
        assert {response.json()["code"] for response in responses} == {"invoice_not_found"}
        assert Payment.objects.get().status == "unmatched"


class TestTwoPayments:
    def test_of_one_invoice_one_pays_and_the_other_is_kept(self, customer):
        invoice = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        outcomes = at_once(8, lambda number: capture(invoice, f"pay_{number}"))

        assert Counter(outcomes) == {"captured": 1, "invoice_already_paid": 7}
        assert Counter(Payment.objects.values_list("status", flat=True)) == {
            "captured": 1,
            "unmatched": 7,
        }

    def test_the_second_waits_for_the_invoice_before_it_holds_the_customer(
        self, customer, held_by_another
    ):
        invoice = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        with (
            held_by_another(invoice),
            CaptureQueriesContext(connection) as statements,
            pytest.raises(OperationalError, match="lock timeout"),
        ):
            capture(invoice, "pay_1")

        locking = [query["sql"] for query in statements if "FOR NO KEY UPDATE" in query["sql"]]
        assert ['FROM "billing_invoice"' in sql for sql in locking] == [True]
        assert not Payment.objects.exists()

    def test_who_waited_sees_the_invoice_paid(self, customer):
        invoice = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        outcome = overtaken(
            lambda: capture(invoice, "pay_2"), by=lambda: capture_uncommitted(invoice, "pay_1")
        )

        assert outcome == "invoice_already_paid"

    def test_with_one_reference_for_two_invoices_one_is_captured(self):
        """Of eight customers: payments of one customer wait for each other anyhow."""
        plan = PlanFactory()
        invoices = [
            check_out(user, plan=plan, now=timezone.now()).invoice
            for user in UserFactory.create_batch(8)
        ]

        outcomes = at_once(8, lambda number: capture(invoices[number], "pay_1"))

        assert Counter(outcomes) == {"captured": 1, "payment_reference_conflict": 7}
        assert Payment.objects.count() == 1
        assert Invoice.objects.filter(status="paid").count() == 1

    def test_with_one_reference_the_second_waits_for_the_first(self):
        plan = PlanFactory()
        first, second = (
            check_out(user, plan=plan, now=timezone.now()).invoice
            for user in UserFactory.create_batch(2)
        )

        outcome = overtaken(
            lambda: capture(second, "pay_1"), by=lambda: capture_uncommitted(first, "pay_1")
        )

        assert outcome == "payment_reference_conflict"
        assert Payment.objects.get().invoice == first
        second.refresh_from_db()
        assert second.status == "pending"

    def test_that_both_make_a_subscription_live_leave_one_live(self, customer):
        plans = PlanFactory.create_batch(8)
        invoices = [check_out(customer, plan=plan, now=timezone.now()).invoice for plan in plans]

        outcomes = at_once(8, lambda number: capture(invoices[number], f"pay_{number}"))

        assert Counter(outcomes) == {"captured": 8}
        assert Invoice.objects.filter(status="paid").count() == 8
        assert Subscription.objects.live().count() == 1
        ended = Subscription.objects.filter(status="cancelled")
        assert set(ended.values_list("cancel_reason", flat=True)) == {"superseded"}
        assert ended.count() == 7

    def test_the_second_waits_for_the_customer(self, customer, held_by_another):
        invoice = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        with held_by_another(customer), pytest.raises(OperationalError, match="lock timeout"):
            capture(invoice, "pay_1")

        assert not Payment.objects.exists()


class TestTokens:
    @pytest.fixture
    def account(self, customer):
        bundle = TokenBundleFactory(token_amount=100)
        pay(check_out(customer, bundles=[bundle], now=timezone.now()).invoice, now=timezone.now())
        return customer

    def test_eight_spenders_never_overdraw(self, account):
        def spend(number):
            outcomes = Counter()
            for turn in range(5):
                try:
                    tokens.spend(
                        user_id=account.id,
                        amount=3,
                        reference=f"{number}-{turn}",
                        now=timezone.now(),
                    )
                    outcomes["spent"] += 1
                except tokens.NotEnoughTokens:
                    outcomes["refused"] += 1
            return outcomes

        outcomes = sum(at_once(8, spend), Counter())

        assert outcomes == {"spent": 33, "refused": 7}
        assert TokenAccount.objects.get().balance == 1
        ledger = TokenTransaction.objects.order_by("sequence")
        assert list(ledger.values_list("sequence", flat=True)) == list(range(1, 35))
        assert list(ledger.values_list("balance_after", flat=True)) == list(range(100, 0, -3))

    def test_who_waited_finds_what_is_left(self, account):
        def spend(reference):
            return tokens.spend(
                user_id=account.id, amount=60, reference=reference, now=timezone.now()
            )

        def spend_too_late():
            with pytest.raises(tokens.NotEnoughTokens) as refusal:
                spend("second")
            return refusal.value.context

        context = overtaken(spend_too_late, by=lambda: spend("first"))

        assert context == {"balance": 40, "needed": 60}
        assert TokenAccount.objects.get().balance == 40

    def test_of_one_reference_the_second_waits_for_the_first(self, account):
        def spend():
            return tokens.spend(
                user_id=account.id, amount=30, reference="once", now=timezone.now()
            ).sequence

        sequence = overtaken(spend, by=spend)

        assert sequence == 2
        assert TokenAccount.objects.get().balance == 70

    def test_one_reference_from_eight_threads_is_spent_once(self, account):
        spent = at_once(
            8,
            lambda number: (
                tokens.spend(user_id=account.id, amount=30, reference="once", now=timezone.now()).pk
            ),
        )

        assert len(set(spent)) == 1
        assert TokenAccount.objects.get().balance == 70

    def test_credits_at_once_open_one_account_and_add_up(self, customer):
        bundle = TokenBundleFactory(token_amount=10)
        invoices = [
            check_out(customer, bundles=[bundle] * 2, now=timezone.now()).invoice
            for _turn in range(8)
        ]

        at_once(8, lambda number: capture(invoices[number], f"pay_{number}"))

        assert TokenAccount.objects.get().balance == 160
        assert TokenTransaction.objects.count() == 16


class TestTwoWindows:
    def test_the_sandbox_pays_once(self, customer, signed_in):
        invoice = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice
        credentials = signed_in(customer).defaults

        responses = at_once(
            8,
            lambda number: APIClient(**credentials).post(f"/api/v1/user/invoices/{invoice.id}/pay"),
        )

        assert {response.status_code for response in responses} <= {200, 400}
        assert 200 in {response.status_code for response in responses}
        assert Payment.objects.get().status == "captured"
