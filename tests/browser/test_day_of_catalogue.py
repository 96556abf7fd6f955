"""A day of the product manager: what is sold, for how much, and what is sold no more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from billing.demo import people
from billing.models import Subscription
from catalog.models import Plan, Price

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("demo", "books_are_clean"),
]

CATALOGUE = f"catalogue@{people.DOMAIN}"


def test_day_of_catalogue(visitor):
    visitor.sign_in(CATALOGUE, people.PASSWORD)
    visitor.look("catalogue-dashboard")
    changes_a_price(visitor)
    duplicates(visitor)
    archives_what_was_sold(visitor)
    visits_the_other_lists(visitor)


def changes_a_price(visitor) -> None:
    """Who has subscribed keeps the price that was agreed."""
    page = visitor.page
    agreed = sorted(Subscription.objects.filter(plan__slug="pro").values_list("id", "amount"))
    page.get_by_role("link", name="Plans").first.click()
    expect(page.get_by_role("row", name="Pro")).to_contain_text("€27.00, $29.00")
    visitor.look("catalogue-plans")
    page.get_by_role("link", name="Pro", exact=True).click()
    amount = page.locator("[name=prices-1-amount]")
    expect(amount).to_have_value("29.00")
    visitor.look("catalogue-plan")
    amount.fill("-1")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("A price cannot be negative.")).to_be_visible()
    visitor.look("catalogue-price-fault")
    amount.fill("31.00")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert Price.objects.get(plan__slug="pro", currency="USD", valid_until=None).amount == Decimal(
        "31.00"
    )
    assert agreed == sorted(
        Subscription.objects.filter(plan__slug="pro").values_list("id", "amount")
    )


def duplicates(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Duplicate").click()
    page.get_by_label("Name").fill("Pro for schools")
    page.get_by_label("Slug").fill("starter")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_text("“starter” is taken: choose another slug.")).to_be_visible()
    visitor.look("catalogue-duplicate")
    page.get_by_label("Slug").fill("pro-for-schools")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.locator("[name=name]")).to_have_value("Pro for schools")
    visitor.look("catalogue-duplicated")
    copy = Plan.objects.get(slug="pro-for-schools")
    assert not copy.is_active
    assert copy.prices.filter(valid_until=None).count() == 2


def archives_what_was_sold(visitor) -> None:
    page = visitor.page
    starter = Plan.objects.get(slug="starter")
    visitor.open(f"/admin/catalog/plan/{starter.pk}/change/")
    visitor.go_to(page.get_by_role("link", name="Delete"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("“Starter” cannot be deleted")).to_be_visible()
    visitor.look("catalogue-cannot-be-deleted")
    page.get_by_role("button", name="Archive it").click()
    expect(page.get_by_text("archived").first).to_be_visible()
    visitor.look("catalogue-archived")
    starter.refresh_from_db()
    assert starter.archived_at is not None


def visits_the_other_lists(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Token bundles").first.click()
    expect(page.get_by_role("link", name="500 tokens", exact=True)).to_be_visible()
    visitor.look("catalogue-bundles")
    page.get_by_role("link", name="Add-ons").first.click()
    page.get_by_role("link", name="Single sign-on").click()
    expect(page.locator("[name=name]")).to_have_value("Single sign-on")
    visitor.look("catalogue-add-on")
