"""Catalogue staff at work: a plan for sale, and a new price for it."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from catalog.models import Plan, Price

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_makes_a_plan_with_two_prices_and_changes_one(visitor, staff):
    page = visitor.page
    visitor.sign_in(staff("Catalogue"))
    visitor.keep_screenshot("catalogue-index")

    page.get_by_role("link", name=re.compile("Plans$")).click()
    page.get_by_title("Add tariff plan").click()
    page.get_by_label("Name").press_sequentially("Team Plan")
    expect(page.get_by_label("Slug")).to_have_value("team-plan")
    set_price(page, 0, "USD", "29.00")
    page.get_by_text("Add another Price").click()
    set_price(page, 1, "EUR", "27.00")
    visitor.keep_screenshot("catalogue-new-plan", height=1500)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was added successfully")).to_be_visible()
    expect(page.get_by_role("row", name="Team Plan")).to_contain_text("€27.00, $29.00")
    visitor.keep_screenshot("catalogue-plans")
    plan = Plan.objects.get(slug="team-plan")
    assert sorted(plan.prices.values_list("currency", "amount")) == [
        ("EUR", Decimal("27.00")),
        ("USD", Decimal("29.00")),
    ]

    page.get_by_role("row", name="Team Plan").get_by_role("link").click()
    page.locator("[name=prices-1-amount]").fill("35.00")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("Nobody subscribes to it in USD now.")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(page.locator("[name=prices-1-amount]")).to_have_value("35.00")
    expect(page.get_by_role("row", name="$29.00")).to_contain_text("ended")
    visitor.keep_screenshot("catalogue-new-price", height=1900)
    old, new = Price.objects.filter(plan=plan, currency="USD").order_by("valid_from")
    assert (old.amount, new.amount) == (Decimal("29.00"), Decimal("35.00"))
    assert old.valid_until == new.valid_from
    assert new.valid_until is None


def test_is_offered_no_invoices(visitor, staff):
    visitor.sign_in(staff("Catalogue"))

    expect(visitor.page.get_by_role("link", name="Token bundles").first).to_be_visible()
    expect(visitor.page.get_by_role("link", name="Invoices")).to_have_count(0)
    expect(visitor.page.get_by_role("link", name="Payments")).to_have_count(0)


def set_price(page, row: int, currency: str, amount: str) -> None:
    page.locator(f"[name=prices-{row}-currency]").select_option(currency)
    page.locator(f"[name=prices-{row}-amount]").fill(amount)
