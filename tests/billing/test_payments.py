from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, InternalError, transaction

from billing.models import (
    AddOnSubscription,
    Invoice,
    Payment,
    Subscription,
    TokenBundlePurchase,
    TokenTransaction,
)
from billing.services import payments, providers, subscriptions, tokens
from billing.services.payments import Notice
from catalog.money import Money
from tests.billing.purchases import check_out, events_named, pay, rows_of_billing, subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
NOWHERE = "019b0000-0000-7000-8000-000000000000"


def notice(invoice, *, reference="pay_1", amount="29.00", currency="USD", provider="bank"):
    return Notice(
        provider=provider,
        reference=reference,
        invoice_reference=str(getattr(invoice, "id", invoice)),
        money=Money(Decimal(amount), currency),
        method="bank_transfer",
    )


@pytest.fixture
def invoice(customer):
    return check_out(customer, plan=PlanFactory(), now=NOON).invoice


@pytest.mark.django_db
class TestCapture:
    def test_pays_the_invoice(self, invoice):
        payments.capture(notice=notice(invoice), now=LATER)

        invoice.refresh_from_db()
        assert invoice.status == "paid"
        assert invoice.paid_at == LATER
        assert invoice.payment_method == "bank_transfer"
        assert invoice.payment_ref == "pay_1"
        assert invoice.is_payable is False

    def test_keeps_the_payment(self, invoice, customer):
        payments.capture(notice=notice(invoice), now=LATER)

        payment = Payment.objects.get()
        assert payment.status == "captured"
        assert payment.invoice == invoice
        assert payment.user == customer
        assert payment.money == Money(Decimal("29.00"), "USD")
        assert payment.provider == "bank"
        assert payment.reference == "pay_1"
        assert payment.method == "bank_transfer"
        assert payment.unmatched_reason == ""
        assert payment.received_at == LATER

    def test_makes_everything_on_it_live(self, customer):
        made = check_out(
            customer,
            plan=PlanFactory(),
            bundles=[TokenBundleFactory(token_amount=500)] * 2,
            add_ons=[AddOnFactory(), AddOnFactory(billing_period="yearly")],
            now=NOON,
        )

        receipt = pay(made.invoice, now=LATER)

        assert receipt == payments.Receipt(
            invoice_id=made.invoice.id,
            payment_reference=f"paid-{made.invoice.id}",
            subscription_activated=True,
            tokens_credited=1000,
            add_ons_activated=2,
            bundles_credited=2,
        )
        subscription = Subscription.objects.get()
        assert subscription.status == "active"
        assert subscription.started_at == LATER
        assert subscription.expires_at == datetime(2026, 4, 1, 13, tzinfo=UTC)
        for add_on in AddOnSubscription.objects.all():
            assert add_on.status == "active"
            assert add_on.started_at == LATER
            assert add_on.expires_at == datetime(2026, 4, 1, 13, tzinfo=UTC)
        for purchase in TokenBundlePurchase.objects.all():
            assert purchase.status == "completed"
            assert purchase.tokens_credited is True
            assert purchase.completed_at == LATER
        assert tokens.balance_of(user_id=customer.id) == 1000
        assert list(
            TokenTransaction.objects.order_by("sequence").values_list("reference_id", flat=True)
        ) == [str(purchase.id) for purchase in made.purchases]

    def test_tells_what_happened(self, customer):
        made = check_out(
            customer,
            plan=PlanFactory(),
            bundles=[TokenBundleFactory(token_amount=500)],
            add_ons=[AddOnFactory()],
            now=NOON,
        )

        pay(made.invoice, now=LATER)

        (captured,) = events_named("payment.captured")
        assert captured.subject_id == Payment.objects.get().id
        assert captured.payload == {
            "provider": "bank",
            "reference": f"paid-{made.invoice.id}",
            "amount": "87.00",
            "currency": "USD",
            "reason": "",
        }
        (paid,) = events_named("invoice.paid")
        assert paid.subject_id == made.invoice.id
        (activated,) = events_named("subscription.activated")
        assert activated.subject_id == made.subscription.id
        (credited,) = events_named("tokens.credited")
        assert credited.payload["tokens"] == 500
        (add_on,) = events_named("add_on.activated")
        assert add_on.subject_id == made.add_ons[0].id

    @pytest.mark.parametrize(
        ("billing_period", "paid_at", "expires_at"),
        [
            ("weekly", "2026-12-29", "2027-01-05"),
            ("monthly", "2026-01-31", "2026-02-28"),
            ("monthly", "2028-01-31", "2028-02-29"),
            ("quarterly", "2026-11-30", "2027-02-28"),
            ("yearly", "2028-02-29", "2029-02-28"),
            ("one_time", "2026-03-01", None),
        ],
    )
    def test_a_subscription_runs_to_the_end_of_its_first_period(
        self, customer, billing_period, paid_at, expires_at
    ):
        now = datetime.fromisoformat(f"{paid_at}T10:30:00+00:00")
        plan = PlanFactory(billing_period=billing_period)

        subscription = subscribe(customer, plan=plan, now=now)

        assert subscription.expires_at == (
            datetime.fromisoformat(f"{expires_at}T10:30:00+00:00") if expires_at else None
        )

    def test_the_period_begins_with_the_payment_not_with_the_checkout(self, invoice):
        pay(invoice, now=datetime(2026, 3, 20, tzinfo=UTC))

        subscription = Subscription.objects.get()
        assert subscription.started_at == datetime(2026, 3, 20, tzinfo=UTC)
        assert subscription.expires_at == datetime(2026, 4, 20, tzinfo=UTC)

    def test_an_overdue_invoice_can_still_be_paid(self, invoice):
        """Money for what was ordered is no reason for a quarrel; who disagrees voids it."""
        pay(invoice, now=invoice.expires_at + timedelta(days=1))

        invoice.refresh_from_db()
        assert invoice.status == "paid"

    def test_a_failed_invoice_can_still_be_paid(self, invoice):
        Invoice.objects.update(status="failed")

        pay(invoice, now=LATER)

        invoice.refresh_from_db()
        assert invoice.status == "paid"

    def test_an_amount_of_zero_or_less_is_refused_and_not_kept(self, invoice):
        before = rows_of_billing()

        for amount in ("0", "-29.00"):
            with pytest.raises(payments.InvalidPaymentAmount) as refusal:
                payments.capture(notice=notice(invoice, amount=amount), now=LATER)
            assert refusal.value.code == "invalid_payment_amount"

        assert rows_of_billing() == before

    def test_is_never_called_inside_a_transaction(self, transactional_db, customer):
        invoice = check_out(customer, plan=PlanFactory(), now=NOON).invoice

        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            payments.capture(notice=notice(invoice), now=LATER)

        assert not Payment.objects.exists()


@pytest.mark.django_db
class TestAddOns:
    def test_of_the_period_of_the_subscription_that_they_join_end_with_it(self, customer):
        subscribe(customer, plan=PlanFactory(billing_period="yearly"), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory(billing_period="yearly")], now=LATER)

        receipt = pay(made.invoice, now=LATER)

        assert receipt.subscription_activated is False
        assert receipt.add_ons_activated == 1
        add_on = AddOnSubscription.objects.get()
        assert add_on.started_at == add_on.anchor_at == add_on.period_start == LATER
        assert add_on.expires_at == add_on.paid_until == datetime(2027, 3, 1, 12, tzinfo=UTC)

    def test_of_another_period_than_the_subscription_have_periods_of_their_own(self, customer):
        subscribe(customer, plan=PlanFactory(billing_period="yearly"), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory(billing_period="monthly")], now=LATER)

        pay(made.invoice, now=LATER)

        add_on = AddOnSubscription.objects.get()
        assert add_on.expires_at == add_on.paid_until == datetime(2026, 4, 1, 13, tzinfo=UTC)

    def test_paid_for_longer_than_the_subscription_end_with_it(self, customer):
        subscribe(customer, plan=PlanFactory(billing_period="monthly"), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory(billing_period="yearly")], now=LATER)

        pay(made.invoice, now=LATER)

        add_on = AddOnSubscription.objects.get()
        assert add_on.paid_until == datetime(2027, 3, 1, 13, tzinfo=UTC)
        assert add_on.expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)

    def test_have_a_period_of_their_own_where_it_is_another_one(self, customer):
        subscribe(customer, plan=PlanFactory(billing_period="yearly"), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory()], now=LATER)

        pay(made.invoice, now=LATER)

        add_on = AddOnSubscription.objects.get()
        assert add_on.expires_at == datetime(2026, 4, 1, 13, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("billing_period", "expires_at"),
        [("monthly", datetime(2026, 4, 1, 13, tzinfo=UTC)), ("one_time", None)],
    )
    def test_on_a_subscription_that_never_ends_have_a_period_of_their_own(
        self, customer, billing_period, expires_at
    ):
        subscribe(customer, plan=PlanFactory(billing_period="one_time"), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory(billing_period=billing_period)], now=NOON)

        pay(made.invoice, now=LATER)

        assert AddOnSubscription.objects.get().expires_at == expires_at

    def test_of_a_cancelled_subscription_run_on_with_it(self, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory()], now=NOON)
        subscriptions.cancel(subscription=live, now=NOON)

        pay(made.invoice, now=LATER)

        add_on = AddOnSubscription.objects.get()
        assert add_on.status == "active"
        assert add_on.expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)

    def test_paid_for_during_a_pause_wait_with_the_subscription(self, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.pause(subscription=live, now=datetime(2026, 3, 10, tzinfo=UTC))
        made = check_out(customer, add_ons=[AddOnFactory()], now=datetime(2026, 3, 12, tzinfo=UTC))

        pay(made.invoice, now=datetime(2026, 3, 12, tzinfo=UTC))

        add_on = AddOnSubscription.objects.get()
        assert add_on.status == "paused"
        # As if the subscription were resumed now, two days later than without the pause.
        assert add_on.expires_at == datetime(2026, 4, 3, 12, tzinfo=UTC)


@pytest.mark.django_db
class TestSupersede:
    def test_ends_the_live_subscription_and_its_add_ons(self, customer):
        old = check_out(customer, plan=PlanFactory(), add_ons=[AddOnFactory()], now=NOON)
        pay(old.invoice, now=NOON)
        new = check_out(customer, plan=PlanFactory(), add_ons=[AddOnFactory()], now=NOON)

        pay(new.invoice, now=LATER)

        for ended in (old.subscription, old.add_ons[0]):
            ended.refresh_from_db()
            assert ended.status == "cancelled"
            assert ended.cancelled_at == LATER
            assert ended.cancel_reason == "superseded"
            assert ended.expires_at == LATER
            assert ended.is_valid_at(LATER) is False
        for begun in (new.subscription, new.add_ons[0]):
            begun.refresh_from_db()
            assert begun.status == "active"
            assert begun.is_valid_at(LATER) is True
        (event,) = events_named("subscription.cancelled")
        assert event.subject_id == old.subscription.id
        assert event.payload == {
            "reason": "superseded",
            "superseded_by": str(new.subscription.id),
        }

    def test_ends_one_that_never_ends(self, customer):
        old = subscribe(customer, plan=PlanFactory(billing_period="one_time"), now=NOON)

        subscribe(customer, plan=PlanFactory(), now=LATER)

        old.refresh_from_db()
        assert (old.status, old.expires_at) == ("cancelled", LATER)

    def test_ends_a_paused_one(self, customer):
        old = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.pause(subscription=old, now=NOON)

        subscribe(customer, plan=PlanFactory(), now=LATER)

        old.refresh_from_db()
        assert (old.status, old.cancel_reason) == ("cancelled", "superseded")
        assert old.paused_at is None

    def test_a_paused_one_has_its_time_left_to_the_moment_it_is_replaced(self, customer):
        old = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.pause(subscription=old, now=NOON + timedelta(days=10))

        subscribe(customer, plan=PlanFactory(), now=NOON + timedelta(days=60))

        old.refresh_from_db()
        assert (old.status, old.expires_at) == ("cancelled", NOON + timedelta(days=60))

    def test_ends_a_cancelled_one_that_ran_on(self, customer):
        old = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.cancel(subscription=old, now=NOON)

        subscribe(customer, plan=PlanFactory(), now=LATER)

        old.refresh_from_db()
        assert (old.cancel_reason, old.expires_at) == ("superseded", LATER)

    def test_leaves_one_that_lapsed_before_with_its_own_end(self, customer):
        old = subscribe(customer, plan=PlanFactory(), now=NOON)

        subscribe(customer, plan=PlanFactory(), now=NOON + timedelta(days=60))

        old.refresh_from_db()
        assert old.status == "cancelled"
        assert old.expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)

    def test_leaves_the_subscriptions_of_others_and_open_checkouts_alone(self, customer):
        others = subscribe(UserFactory(), plan=PlanFactory(), now=NOON)
        open_checkout = check_out(customer, plan=PlanFactory(), now=NOON)

        subscribe(customer, plan=PlanFactory(), now=LATER)

        others.refresh_from_db()
        open_checkout.subscription.refresh_from_db()
        assert others.status == "active"
        assert open_checkout.subscription.status == "pending"

    def test_two_open_checkouts_paid_one_after_the_other(self, customer):
        first = check_out(customer, plan=PlanFactory(), now=NOON)
        second = check_out(customer, plan=PlanFactory(), now=NOON)

        pay(second.invoice, now=LATER)
        pay(first.invoice, now=LATER)

        assert Subscription.objects.live().get() == first.subscription


@pytest.mark.django_db
class TestRepeat:
    def test_does_nothing_and_gives_the_same_receipt(self, customer):
        made = check_out(customer, plan=PlanFactory(), bundles=[TokenBundleFactory()], now=NOON)
        first = pay(made.invoice, now=LATER)
        before = rows_of_billing()

        second = pay(made.invoice, now=LATER + timedelta(days=3))

        assert second == first
        assert rows_of_billing() == before
        assert tokens.balance_of(user_id=customer.id) == 500
        assert Invoice.objects.get().paid_at == LATER

    def test_gives_the_same_receipt_whatever_has_become_of_it(self, customer):
        made = check_out(customer, plan=PlanFactory(), bundles=[TokenBundleFactory()], now=NOON)
        first = pay(made.invoice, now=LATER)
        subscribe(customer, plan=PlanFactory(), now=LATER + timedelta(days=1))
        tokens.spend(user_id=customer.id, amount=500, reference="use", now=LATER)

        assert pay(made.invoice, now=LATER + timedelta(days=3)) == first

    @pytest.mark.parametrize(("amount", "currency"), [("29.01", "USD"), ("29.00", "EUR")])
    def test_with_another_amount_is_a_conflict(self, invoice, amount, currency):
        payments.capture(notice=notice(invoice), now=LATER)
        before = rows_of_billing()

        with pytest.raises(payments.PaymentReferenceConflict) as refusal:
            payments.capture(notice=notice(invoice, amount=amount, currency=currency), now=LATER)

        assert refusal.value.code == "payment_reference_conflict"
        assert rows_of_billing() == before

    def test_for_another_invoice_is_a_conflict(self, invoice, customer):
        other = check_out(customer, plan=PlanFactory(), now=NOON).invoice
        payments.capture(notice=notice(invoice), now=LATER)
        before = rows_of_billing()

        with pytest.raises(payments.PaymentReferenceConflict) as refusal:
            payments.capture(notice=notice(other), now=LATER)

        assert refusal.value.http_status == 409
        assert rows_of_billing() == before
        other.refresh_from_db()
        assert other.status == "pending"

    def test_the_same_reference_of_another_provider_is_another_payment(self, invoice, customer):
        other = check_out(customer, plan=PlanFactory(), now=NOON).invoice
        payments.capture(notice=notice(invoice), now=LATER)

        payments.capture(notice=notice(other, provider="card"), now=LATER)

        assert Payment.objects.filter(status="captured").count() == 2


@pytest.mark.django_db
class TestUnmatched:
    """Money that fits nothing: refused, and kept with its reason."""

    def unmatched(self, refused, *, code):
        before = rows_of_billing()

        with pytest.raises(payments.PaymentUnmatched) as refusal:
            payments.capture(notice=refused, now=LATER)

        assert refusal.value.code == code
        assert refusal.value.http_status == 400
        payment = Payment.objects.get(reference=refused.reference)
        assert refusal.value.context == {"payment_id": str(payment.id)}
        assert payment.status == "unmatched"
        assert payment.unmatched_reason == code
        assert payment.invoice is None
        assert payment.invoice_reference == refused.invoice_reference
        assert payment.money == refused.money
        assert payment.received_at == LATER
        added = {"Payment": before["Payment"] + 1, "Event": before["Event"] + 1}
        assert rows_of_billing() == {**before, **added}

        with pytest.raises(type(refusal.value)) as again:
            payments.capture(notice=refused, now=LATER + timedelta(days=1))

        assert again.value.message == refusal.value.message
        assert again.value.context == refusal.value.context
        assert rows_of_billing() == {**before, **added}
        return payment

    @pytest.mark.parametrize("reference", [NOWHERE, "not-a-uuid", "Rechnung 17, M\u00fcller", "1"])
    def test_an_unknown_invoice(self, db, reference):
        payment = self.unmatched(notice(reference), code="invoice_not_found")

        assert payment.user is None

    def test_a_second_payment(self, invoice, customer):
        payments.capture(notice=notice(invoice), now=NOON)

        payment = self.unmatched(notice(invoice, reference="pay_2"), code="invoice_already_paid")

        assert payment.user == customer
        assert Invoice.objects.get().payment_ref == "pay_1"

    def test_a_second_payment_of_another_amount_is_a_second_payment_first_of_all(self, invoice):
        payments.capture(notice=notice(invoice), now=NOON)

        self.unmatched(
            notice(invoice, reference="pay_2", amount="1.00"), code="invoice_already_paid"
        )

    @pytest.mark.parametrize("amount", ["28.99", "29.01", "2900.00", "0.01"])
    def test_a_wrong_amount(self, invoice, amount):
        self.unmatched(notice(invoice, amount=amount), code="wrong_amount")

        invoice.refresh_from_db()
        assert invoice.status == "pending"
        assert Subscription.objects.get().status == "pending"

    def test_a_wrong_currency(self, invoice):
        self.unmatched(notice(invoice, currency="EUR"), code="wrong_currency")

    def test_a_cancelled_invoice(self, invoice):
        subscriptions.cancel(subscription=Subscription.objects.get(), now=NOON)

        self.unmatched(notice(invoice), code="invoice_cancelled")

        assert Subscription.objects.get().status == "cancelled"

    def test_a_refunded_invoice(self, invoice):
        Invoice.objects.update(status="refunded", paid_at=NOON)

        self.unmatched(notice(invoice), code="invoice_refunded")

    def test_add_ons_whose_subscription_has_ended(self, customer):
        plan = PlanFactory(billing_period="one_time")
        live = subscribe(customer, plan=plan, now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory()], now=NOON)
        subscriptions.cancel(subscription=live, now=NOON)

        self.unmatched(notice(made.invoice), code="subscription_ended")

        assert AddOnSubscription.objects.get().status == "pending"

    def test_can_be_followed_by_the_right_payment(self, invoice):
        self.unmatched(notice(invoice, amount="28.00"), code="wrong_amount")

        payments.capture(notice=notice(invoice, reference="pay_2"), now=LATER)

        invoice.refresh_from_db()
        assert invoice.payment_ref == "pay_2"


@pytest.mark.django_db
class TestKeptPayments:
    def test_the_database_keeps_them(self, invoice):
        payments.capture(notice=notice(invoice), now=LATER)

        with pytest.raises(InternalError, match="payment_is_kept"), transaction.atomic():
            Payment.objects.all().delete()

    def test_the_database_keeps_them_as_received(self, invoice):
        payments.capture(notice=notice(invoice), now=LATER)

        with pytest.raises(InternalError, match="payment_is_as_received"), transaction.atomic():
            Payment.objects.update(amount="1.00")

    def test_the_database_lets_one_payment_pay_an_invoice(self, invoice):
        payments.capture(notice=notice(invoice), now=LATER)

        with (
            pytest.raises(IntegrityError, match="payment_one_per_invoice"),
            transaction.atomic(),
        ):
            Payment.objects.create(
                provider="bank",
                reference="pay_2",
                invoice=invoice,
                amount="29.00",
                currency="USD",
                status="captured",
            )


@pytest.mark.django_db
class TestStartPayment:
    def test_in_the_sandbox_captures_at_once(self, invoice):
        receipt = providers.start_payment(invoice=invoice, now=LATER)

        assert receipt.payment_reference == f"sandbox-{invoice.id}"
        payment = Payment.objects.get()
        assert (payment.provider, payment.method) == ("sandbox", "sandbox")
        invoice.refresh_from_db()
        assert invoice.status == "paid"

    def test_without_a_provider_is_refused(self, invoice, settings):
        settings.BILLING_PAYMENT_PROVIDER = ""
        before = rows_of_billing()

        with pytest.raises(providers.NoPaymentProvider) as refusal:
            providers.start_payment(invoice=invoice, now=LATER)

        assert refusal.value.code == "no_payment_provider"
        assert refusal.value.http_status == 503
        assert rows_of_billing() == before

    @pytest.mark.parametrize("status", ["paid", "cancelled", "refunded"])
    def test_of_what_is_not_to_be_paid_is_refused_and_nothing_is_taken(self, invoice, status):
        cancelled_at = NOON if status == "cancelled" else None
        Invoice.objects.update(status=status, paid_at=NOON, cancelled_at=cancelled_at)
        invoice.refresh_from_db()
        before = rows_of_billing()

        with pytest.raises(providers.InvoiceNotPayable) as refusal:
            providers.start_payment(invoice=invoice, now=LATER)

        assert refusal.value.code == "invoice_not_payable"
        assert refusal.value.context == {"status": status}
        assert rows_of_billing() == before

    def test_from_two_windows_pays_once(self, invoice):
        """Both have read the invoice as still to be paid."""
        first = providers.start_payment(invoice=invoice, now=LATER)
        invoice.status = "pending"

        assert providers.start_payment(invoice=invoice, now=LATER) == first
        assert Payment.objects.count() == 1
