"""A day of the support agent: who is on the telephone, and what is done for them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from accounts.models import User
from billing.demo import people
from billing.models import Invoice, Subscription, TokenAccount
from tests.browser.conftest import PHONE_HEIGHT, PHONE_WIDTH
from tests.mailbox import letters

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("demo", "books_are_clean"),
]

SUPPORT = f"support@{people.DOMAIN}"
EMAIL = people.ANNA.email


def test_day_of_support(visitor):
    visitor.sign_in(SUPPORT, people.PASSWORD)
    visitor.look("support-dashboard")
    finds(visitor)
    moves_tokens(visitor)
    resends(visitor)
    suspends_and_activates(visitor)
    changes_the_subscription(visitor)
    goes_on_by_telephone(visitor)


def finds(visitor) -> None:
    """By a part of the e-mail, and by what stands on an invoice."""
    page = visitor.page
    page.keyboard.press("Control+k")
    box = page.get_by_role("searchbox", name="Find a customer")
    expect(box).to_be_focused()
    page.keyboard.type("no such customer")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing was found for")).to_be_visible()
    visitor.look("support-nothing-found")

    box.fill("anna.schm")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=EMAIL)).to_be_visible()
    visitor.look("support-found-by-email")

    invoice = Invoice.objects.filter(user__email=EMAIL).latest("id")
    box.fill(invoice.number)
    page.keyboard.press("Enter")
    in_short = page.get_by_role("region", name="In short")  # the whole number: no list in between
    expect(in_short.get_by_role("heading", name=invoice.number)).to_be_visible()
    visitor.look("support-invoice")
    visitor.go_to(in_short.get_by_role("link", name=EMAIL))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    visitor.look("support-customer")
    page.get_by_role("link", name=re.compile("Older")).click()
    expect(page.get_by_role("link", name=re.compile("Newer"))).to_be_visible()


def moves_tokens(visitor) -> None:
    """More than the role may move is refused, and the form keeps what was typed."""
    page = visitor.page
    before = balance()
    page.get_by_role("link", name="Grant or take tokens").click()
    amount = page.get_by_label("Tokens", exact=False).and_(page.locator("[name=amount]"))
    amount.fill("1000000")
    page.get_by_label("Reason").fill("An import of ours failed")
    page.get_by_role("button", name="Grant or take tokens").click()
    expect(page.get_by_text("Your role may move", exact=False).first).to_be_visible()
    expect(amount).to_have_value("1000000")
    visitor.look("support-too-many-tokens")
    assert balance() == before

    amount.fill("150")
    page.get_by_role("button", name="Grant or take tokens").click()
    expect(page.get_by_text(f"+150 tokens: {EMAIL} has {before + 150:,} now.")).to_be_visible()
    visitor.look("support-tokens-granted")
    assert balance() == before + 150


def resends(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Send last invoice").click()
    visitor.look("support-send-invoice")
    page.get_by_role("button", name="Send last invoice").click()
    expect(page.get_by_text("is on its way to").first).to_be_visible()
    page.get_by_role("link", name="Send password link").click()
    page.get_by_role("button", name="Send password link").click()
    expect(page.get_by_text("A link to set a new password is on its way")).to_be_visible()
    invoice, password = letters()
    assert invoice.to == password.to == [EMAIL]
    assert len(invoice.attachments) == 1


def suspends_and_activates(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Suspend").click()
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("This field is required.")).to_be_visible()
    page.get_by_label("Reason").fill("Her card was stolen")
    visitor.look("support-suspend")
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("is suspended, and signed out everywhere")).to_be_visible()
    expect(page.get_by_text("“Her card was stolen”").first).to_be_visible()
    visitor.look("support-customer-suspended")
    assert User.objects.get(email=EMAIL).status == "suspended"

    page.get_by_role("link", name="Activate").click()
    page.get_by_label("Reason").fill("She has a new card")
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_text(f"{EMAIL} is active.")).to_be_visible()
    assert User.objects.get(email=EMAIL).status == "active"
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="Her card was stolen")).to_contain_text(SUPPORT)
    visitor.look("support-history")
    page.go_back()


def changes_the_subscription(visitor) -> None:
    page = visitor.page
    subscription = Subscription.objects.get(user__email=EMAIL, status="active")
    ends = subscription.expires_at
    in_use = page.get_by_role("region", name="In use")
    in_use.get_by_role("link", name="Pro", exact=True).click()
    visitor.look("support-subscription")
    page.get_by_role("link", name="Extend").click()
    page.get_by_label("Days").fill("7")
    page.get_by_label("Reason").fill("For the outage of Tuesday")
    visitor.look("support-extend")
    page.get_by_role("button", name="Extend").click()
    expect(page.get_by_text("Extended: it runs until")).to_be_visible()
    subscription.refresh_from_db()
    assert subscription.expires_at == ends + timedelta(days=7)

    page.get_by_role("link", name="Cancel subscription").click()
    expect(page.get_by_label("At the end of what is paid for")).to_be_checked()
    page.get_by_label("Reason").fill("She moves to another tool")
    visitor.look("support-cancel")
    page.get_by_role("button", name="Cancel subscription").click()
    expect(page.get_by_text("Cancelled: it runs until")).to_be_visible()
    visitor.look("support-subscription-cancelled")
    subscription.refresh_from_db()
    assert subscription.status == "cancelled"
    assert subscription.expires_at == ends + timedelta(days=7)


def goes_on_by_telephone(visitor) -> None:
    """The menu is folded away, and opens by a key too."""
    page = visitor.page
    page.set_viewport_size({"width": PHONE_WIDTH, "height": PHONE_HEIGHT})
    accounts = page.get_by_role("link", name="Accounts", exact=True).first
    expect(accounts).not_to_be_in_viewport()
    visitor.go_to(page.get_by_role("button", name="Menu"))
    page.keyboard.press("Enter")
    expect(accounts).to_be_in_viewport()
    visitor.look("support-menu")


def balance() -> int:
    return TokenAccount.objects.get(user__email=EMAIL).balance
