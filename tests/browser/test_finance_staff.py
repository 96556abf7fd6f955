"""Finance at work: what was sold, and what came in that fits nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from accounts.models import BillingDetails
from billing.services import payments
from catalog.money import Money
from tests.billing.purchases import check_out, pay
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("anna", "ken", "carol")


@pytest.fixture
def sales(transactional_db) -> None:
    """Anna paid in euros, Ken has not paid his yen yet, and Carol paid too little."""
    prices = {"USD": "29.00", "EUR": "27.00", "JPY": "2900"}
    plan = PlanFactory(name="Pro", prices=prices)
    bundle = TokenBundleFactory(name="500 tokens", prices=prices)
    add_on = AddOnFactory(name="Priority support", prices=prices)
    anna, ken, carol = (UserFactory(email=f"{name}@example.com") for name in NAMES)
    BillingDetails.objects.create(
        user=anna, company="Schmidt GmbH", city="Berlin", postal_code="10969", country="DE"
    )
    ordered = {"plan": plan, "bundles": [bundle], "add_ons": [add_on]}
    pay(check_out(anna, **ordered, currency="EUR", now=NOW).invoice, now=NOW)
    check_out(ken, plan=plan, currency="JPY", now=NOW + timedelta(days=1))
    made = check_out(carol, plan=plan, currency="USD", now=NOW + timedelta(days=2))
    too_little = payments.Notice(
        provider="bank",
        reference="bank-17",
        invoice_reference=str(made.invoice.pk),
        money=Money.parse("20.00", "USD"),
        method="bank_transfer",
    )
    with pytest.raises(payments.WrongAmount):
        payments.capture(notice=too_little, now=NOW + timedelta(days=3))


@pytest.mark.usefixtures("sales")
def test_reads_an_invoice(visitor, staff):
    page = visitor.page
    visitor.sign_in(staff("Finance"))
    visitor.keep_screenshot("finance-index")

    page.get_by_role("link", name="Invoices").first.click()
    expect(page.get_by_role("row", name="ken@example.com")).to_contain_text("¥2,900")
    expect(page.get_by_role("row", name="anna@example.com")).to_contain_text("€81.00")
    visitor.keep_screenshot("finance-invoices")
    page.get_by_role("link", name="INV-20260301-01-000001").click()

    expect(page.get_by_text("Schmidt GmbH")).to_be_visible()
    expect(page.get_by_role("row", name="Priority support").first).to_contain_text("€27.00")
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    visitor.keep_screenshot("finance-invoice", height=1700)


@pytest.mark.usefixtures("sales")
def test_finds_the_payment_that_waits_to_be_resolved(visitor, staff):
    page = visitor.page
    visitor.sign_in(staff("Finance"))

    page.get_by_role("link", name="To resolve").click()
    expect(page.get_by_role("row", name="bank-17")).to_contain_text("is not the total")
    visitor.keep_screenshot("finance-to-resolve")
    page.get_by_role("link", name="bank-17").click()

    expect(page.get_by_role("link", name="INV-20260303-01-000001")).to_be_visible()
    visitor.keep_screenshot("finance-payment")
