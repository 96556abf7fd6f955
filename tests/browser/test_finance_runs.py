"""The accountant does one thing to many invoices: progress, what failed, and going on."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Route, expect

from billing.models import Invoice
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = 60_000  # milliseconds: a part of fifty takes its time on a busy machine
MANY = 120  # three parts, and three pages of the list


@pytest.fixture
def orders(transactional_db) -> list[Invoice]:
    """None is paid but the fifth."""
    plan = PlanFactory(name="Pro")
    made = [check_out(UserFactory(), plan=plan, now=NOW).invoice for _ in range(MANY)]
    pay(made[4], now=NOW)
    return made


def choose_all(page, action: str) -> None:
    """With the keyboard alone."""
    page.locator("#action-toggle").focus()
    page.keyboard.press("Space")
    page.get_by_role("link", name=f"Select all {MANY} invoices").focus()
    page.keyboard.press("Enter")
    page.locator("select[name=action]").select_option(label=action)
    page.get_by_role("button", name="Run").focus()
    page.keyboard.press("Enter")


def test_voids_all_that_were_found_and_tells_which_was_refused(visitor, staff, orders):
    page = visitor.page
    visitor.sign_in(staff("Finance"))
    visitor.open("/admin/billing/invoice/")
    choose_all(page, "Void")

    expect(page.get_by_text(f"Chosen: {MANY}")).to_be_visible()
    reason = page.get_by_label("Reason")
    expect(reason).to_be_focused()
    button = page.get_by_role("button", name=f"Void: {MANY}")
    button.click()
    expect(reason).to_be_focused()  # it is missing
    page.keyboard.type("A test order of our own")
    visitor.keep_screenshot("finance-run-asked")
    button.click()

    said = page.get_by_role("status").filter(has_text="Finished")
    expect(said).to_have_text("Finished: 119 done, 1 not done.", timeout=PATIENCE)
    expect(page.get_by_role("row", name=orders[4].number)).to_contain_text(
        "An invoice that is paid cannot be voided."
    )
    expect(page.get_by_role("heading", name="Void")).to_be_focused()
    visitor.keep_screenshot("finance-run-told")
    page.get_by_role("link", name=orders[4].number).click()
    expect(page.get_by_role("heading", name=orders[4].number, exact=True)).to_be_visible()
    assert Invoice.objects.filter(status="cancelled").count() == 119


def test_goes_on_where_the_connection_was_lost(visitor, staff, orders):
    page = visitor.page
    visitor.sign_in(staff("Finance"))
    visitor.open("/admin/billing/invoice/?status__exact=pending")
    parts = []

    def lose_the_second(route: Route) -> None:
        parts.append(route)
        route.abort() if len(parts) == 2 else route.continue_()

    page.locator("#action-toggle").check()
    page.get_by_role("link", name=f"Select all {MANY - 1} invoices").click()
    page.locator("select[name=action]").select_option(label="Void")
    page.get_by_role("button", name="Run").click()
    page.route(re.compile("/bulk/void/"), lose_the_second)
    page.get_by_label("Reason").fill("A test order of our own")
    page.get_by_role("button", name=f"Void: {MANY - 1}").click()

    expect(page.get_by_role("status").filter(has_text="Stopped")).to_have_text(
        "The server cannot be reached. Stopped at 50 of 119: 50 done, 0 not done.",
        timeout=PATIENCE,
    )
    assert Invoice.objects.filter(status="cancelled").count() == 50
    assert visitor.faults.pop().startswith("net::ERR_FAILED")  # the part that was lost
    page.get_by_role("button", name="Go on").click()

    expect(page.get_by_role("status").filter(has_text="Finished")).to_have_text(
        "Finished: 119 done, 0 not done.", timeout=PATIENCE
    )
    assert Invoice.objects.filter(status="cancelled").count() == 119


def test_sets_filters_with_the_keyboard(visitor, staff, orders):
    page = visitor.page
    visitor.sign_in(staff("Finance"))
    visitor.open("/admin/billing/invoice/")

    page.get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Status", exact=True)).to_be_focused()
    page.keyboard.type("Paid")
    page.get_by_role("button", name="Apply Filters").focus()
    page.keyboard.press("Enter")

    page.wait_for_url(re.compile("status__exact=paid"))
    expect(page.get_by_role("heading", name="Sums of all 1 invoice that was found")).to_be_visible()
