"""What the benchmarks load is what the services would have written."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.models import User
from billing.models import Invoice, InvoiceLineItem
from billing.services import books, checkout, payments
from billing.services.selection import Order
from tests.benchmarks import filling
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def plan(db):
    plan = PlanFactory(billing_period="yearly")
    filled = filling.fill(
        count=200,
        plan=plan,
        bundles=TokenBundleFactory.create_batch(4),
        add_on=AddOnFactory(),
        staff=StaffFactory(),
        stories=5,
        now=NOW,
    )
    assert filled == 200
    return plan


class TestFill:
    def test_leaves_clean_books_on_which_a_customer_checks_out_and_pays(self, plan):
        assert Invoice.objects.count() == 200
        assert InvoiceLineItem.objects.count() == 800
        assert User.objects.filter(is_staff=False).count() == 20
        assert set(Invoice.objects.values_list("status", flat=True)) == {
            "paid",
            "pending",
            "cancelled",
            "refunded",
        }
        user = User.objects.create_user("new@example.com", None)

        invoice = checkout.create(user=user, order=Order(plan_id=plan.pk), now=NOW).invoice
        notice = payments.Notice(
            provider="sandbox",
            reference="one more",
            invoice_reference=str(invoice.pk),
            money=invoice.total,
            method="card",
        )
        payments.capture(notice=notice, now=NOW)

        assert invoice.number == "INV-20260301-01-000001"
        invoice.refresh_from_db()
        assert (invoice.status, invoice.total_amount) == ("paid", Decimal("29.00"))
        assert [result.name for result in books.verify() if result.violations] == []
