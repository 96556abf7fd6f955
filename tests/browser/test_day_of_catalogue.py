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


def test_day_of_catalogue(visitor):
    visitor.sign_in(CATALOGUE, people.PASSWORD)
    visitor.look("catalogue-dashboard")
    changes_a_price(visitor)
    schedules_a_price_and_takes_it_back(visitor)
    duplicates(visitor)
    sees_what_the_customer_sees(visitor)
    sets_the_order(visitor)
    exports(visitor)
    imports(visitor)
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


def sees_what_the_customer_sees(visitor) -> None:
    """Reached by the keyboard, and back."""
    page = visitor.page
    visitor.open(f"/admin/catalog/plan/{Plan.objects.get(slug='pro').pk}/change/")
    visitor.go_to(page.get_by_role("link", name="What the customer sees"))
    page.keyboard.press("Enter")
    card = page.get_by_role("region", name="As a card")
    expect(card).to_contain_text("$31.00")
    expect(page.get_by_role("region", name="The API’s answer").last).to_contain_text('"31.00"')
    visitor.look("catalogue-preview")
    visitor.go_to(page.get_by_role("link", name="Back", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator("[name=name]")).to_have_value("Pro")


def sets_the_order(visitor) -> None:
    """By drawing a row to its place, and by its number without a mouse."""
    page = visitor.page
    visitor.open("/admin/catalog/plan/?is_active__exact=1")
    row = page.get_by_role("row", name="Enterprise")
    row.locator("[x-sort\\:handle]").drag_to(page.get_by_role("row", name="Starter"))
    order = page.locator("[name$=-sort_order]")
    expect(page.locator("tr.data-row").first).to_contain_text("Enterprise")
    assert [order.nth(place).input_value() for place in range(3)] == ["1", "2", "3"]
    visitor.look("catalogue-plans-drawn")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("changed successfully")).to_be_visible()
    assert in_order() == ["enterprise", "starter", "pro"]

    visitor.open("/admin/catalog/plan/?is_active__exact=1")
    number = page.get_by_label("Sort order of Enterprise")
    visitor.go_to(number)
    page.keyboard.press("Control+a")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.get_by_text("changed successfully")).to_be_visible()
    assert in_order() == ["starter", "pro", "enterprise"]

    visitor.open("/admin/catalog/plan/?o=1")
    expect(page.locator("[x-sort\\:handle]").first).to_be_hidden()


def in_order() -> list[str]:
    return list(Plan.objects.on_sale().values_list("slug", flat=True))


def exports(visitor) -> None:
    page = visitor.page
    for form, ending in (("csv", ".csv"), ("xlsx", ".xlsx")):
        visitor.open("/admin/catalog/plan/?billing_period__exact=yearly")
        page.get_by_role("link", name="Export").click()
        expect(page.get_by_role("heading", name="Export tariff plans")).to_be_visible()
        page.get_by_label("Format").select_option(label=form)
        visitor.look(f"catalogue-export-{form}")
        name, content = visitor.download(page.get_by_role("button", name="Export"))
        assert name.endswith(ending)
        assert content[:3] == (b"PK\x03" if form == "xlsx" else b"\xef\xbb\xbf")
        if form == "csv":
            assert b"\r\nenterprise,Enterprise," in content
            assert b"starter" not in content


def imports(visitor) -> None:
    """First with a fault that is told, then as it should be: looked at, and only then saved."""
    page = visitor.page
    rows = ["pro,Pro,39.00", "starter,Starter,9.00", "campus,Campus,19.00"]
    choose_file(visitor, rows[:1] + ["starter,Starter,cheap", "campus,,19.00"])
    expect(page.get_by_text("Nothing is imported: 2 rows have faults")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Row 3, price USD:")
    expect(page.get_by_role("alert")).to_contain_text("Row 4, name:")
    expect(page.get_by_role("button", name="Import", exact=True)).to_have_count(0)
    visitor.look("catalogue-import-faults")

    choose_file(visitor, rows)
    expect(page.get_by_text("1 new")).to_be_visible()
    told = page.get_by_role("table", name="What each row does")
    expect(told.get_by_role("row", name="Pro")).to_contain_text("$31.00 → $39.00")
    expect(told.get_by_role("row", name="Campus")).to_contain_text("New")
    expect(told.get_by_role("row", name="Starter")).to_have_count(0)
    visitor.look("catalogue-import-dry-run")
    assert not Plan.objects.filter(slug="campus").exists()
    visitor.go_to(page.get_by_role("button", name="Import", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Imported: 1 new, 1 changed, 1 as before.")).to_be_visible()
    visitor.look("catalogue-imported")
    assert Plan.objects.get(slug="campus").prices.get().amount == Decimal("19.00")


def choose_file(visitor, rows: list[str]) -> None:
    page = visitor.page
    visitor.open("/admin/catalog/plan/")
    page.get_by_role("link", name="Import").click()
    content = "\n".join(["slug,name,price USD", *rows]).encode()
    page.locator("[name=import_file]").set_input_files(
        {"name": "plans.csv", "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_label("Format").select_option(label="csv")
    visitor.look("catalogue-import")
    page.get_by_role("button", name="Preview").click()


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
