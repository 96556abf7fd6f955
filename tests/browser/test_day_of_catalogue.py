"""A day of the product manager: what is sold, for how much, and what is sold no more."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
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


def test_day_of_catalogue(visitor, tmp_path):
    visitor.sign_in(CATALOGUE, people.PASSWORD)
    visitor.look("catalogue-dashboard")
    changes_a_price(visitor)
    schedules_a_price_and_takes_it_back(visitor)
    duplicates(visitor)
    archives_what_was_sold(visitor)
    sees_what_the_customer_sees(visitor)
    exports_and_imports(visitor, tmp_path)
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
    paying = (
        Subscription.objects.live()
        .running(timezone.now())
        .filter(plan__slug="pro", currency="USD", amount=Decimal("29.00"))
    )
    expect(page.get_by_text(f"{paying.count()} subscribers stay on $29.00.")).to_be_visible()
    visitor.look("catalogue-price-question")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    expect(amount).to_have_value("31.00")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert Price.objects.get(plan__slug="pro", currency="USD", valid_until=None).amount == Decimal(
        "31.00"
    )
    assert agreed == sorted(
        Subscription.objects.filter(plan__slug="pro").values_list("id", "amount")
    )


def schedules_a_price_and_takes_it_back(visitor) -> None:
    page = visitor.page
    begins = timezone.now() + timedelta(days=30)
    page.locator("[name=prices-1-amount]").fill("35.00")
    page.locator("[name=prices-1-begins]").fill(begins.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("The new price, $35.00, holds from")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[name=prices-2-amount]")).to_have_value("35.00")
    expect(page.locator("[name=prices-2-amount]")).to_be_disabled()
    visitor.look("catalogue-scheduled-price")
    page.locator("[name=prices-2-withdraw]").check()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("scheduled, is taken back")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("row", name="$35.00")).to_contain_text("taken back")
    assert Price.objects.get(plan__slug="pro", currency="USD", valid_until=None).amount == Decimal(
        "31.00"
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


def sees_what_the_customer_sees(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Plans").first.click()
    page.get_by_role("link", name="Pro", exact=True).click()
    page.get_by_role("link", name="What the customer sees").click()
    expect(page.get_by_text('"price": "31.00"')).to_be_visible()
    visitor.look("catalogue-preview")


def exports_and_imports(visitor, folder) -> None:
    """A file goes out, comes back with a fault, then without; nothing is saved unseen."""
    page = visitor.page
    page.get_by_role("link", name="Plans").first.click()
    page.get_by_role("link", name="Export").first.click()
    visitor.look("catalogue-export")
    page.get_by_label("Format").select_option(label="csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    file = folder / "plans.csv"
    download.value.save_as(file)
    written = file.read_text(encoding="utf-8-sig")
    assert "price USD" in written
    assert "31.00" in written

    file.write_text(repriced(written, "-3.00"), encoding="utf-8")
    imports(visitor, file)
    expect(page.get_by_text("Nothing is imported: 1 row has faults")).to_be_visible()
    visitor.look("catalogue-import-fault")
    assert Price.objects.get(plan__slug="pro", currency="USD", valid_until=None).amount == 31

    file.write_text(repriced(written, "33.00"), encoding="utf-8")
    imports(visitor, file)
    expect(page.get_by_role("row", name="Pro")).to_contain_text("$31.00 → $33.00")
    visitor.look("catalogue-import-look")
    assert Price.objects.get(plan__slug="pro", currency="USD", valid_until=None).amount == 31
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("row", name="Pro", exact=False).first).to_contain_text("$33.00")
    assert Price.objects.get(plan__slug="pro", currency="USD", valid_until=None).amount == 33


def repriced(written: str, amount: str) -> str:
    """The file with another price of Pro."""
    return "".join(
        line.replace("31.00", amount) if line.startswith("pro,") else line
        for line in written.splitlines(keepends=True)
    )


def imports(visitor, file) -> None:
    page = visitor.page
    page.get_by_role("link", name="Plans").first.click()
    page.get_by_role("link", name="Import").first.click()
    page.locator("[name=import_file]").set_input_files(file)
    page.get_by_role("button", name="Preview").click()


def visits_the_other_lists(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Token bundles").first.click()
    expect(page.get_by_role("link", name="500 tokens", exact=True)).to_be_visible()
    visitor.look("catalogue-bundles")
    page.get_by_role("link", name="Add-ons").first.click()
    page.get_by_role("link", name="Single sign-on").click()
    expect(page.locator("[name=name]")).to_have_value("Single sign-on")
    visitor.look("catalogue-add-on")
