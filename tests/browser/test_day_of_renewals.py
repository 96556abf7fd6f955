"""A morning with renewals: what waits, what comes, a card that is good again, another plan."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from billing.demo import people
from billing.models import Invoice, Mail, Subscription

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("demo", "books_are_clean"),
]

SUPPORT = f"support@{people.DOMAIN}"


def test_morning_with_renewals(visitor):
    visitor.sign_in(SUPPORT, people.PASSWORD)
    resolves(visitor)
    looks_ahead(visitor)
    takes_a_payment(visitor)
    changes_a_plan(visitor)
    puts_a_coupon_on(visitor)


def resolves(visitor) -> None:
    """A renewal and a mail that wait for a person."""
    page = visitor.page
    subscription = own_subscription(people.CAROL)
    Subscription.objects.filter(pk=subscription.pk).update(
        parked_at=timezone.now(), parked_reason="price_not_available: Pro has no price in USD."
    )
    mail = Mail.objects.filter(user=subscription.user).latest("pk")
    Mail.objects.filter(pk=mail.pk).update(
        status="parked", sent_at=None, next_attempt_at=None, failure="550 no such mailbox"
    )
    visitor.open("/admin/")
    page.get_by_role("link", name="To resolve").first.click()
    expect(page.get_by_text("price_not_available")).to_be_visible()
    visitor.look("renewals-to-resolve")
    page.get_by_role("link", name="Retry", exact=True).click()
    page.get_by_label("Reason").fill("The price is there now")
    visitor.look("renewals-retry")
    page.get_by_role("button", name="Retry renewal").click()
    expect(page.get_by_text("The next run of the billing tries it again.")).to_be_visible()

    page.get_by_role("link", name="To resolve").first.click()
    page.get_by_role("link", name="Send again").click()
    page.get_by_label("Reason").fill("She has another address")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("is sent again, as soon as mails are sent.")).to_be_visible()


def looks_ahead(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Upcoming invoices").click()
    page.locator("[name=days]").select_option("90")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name=people.ANNA.email).first).to_be_visible()
    visitor.look("renewals-upcoming")


def takes_a_payment(visitor) -> None:
    """Of the customer whose card had expired, from the list of what is past due."""
    page = visitor.page
    visitor.open(f"{reverse('admin:billing_subscription_changelist')}?standing=past_due")
    visitor.look("renewals-past-due")
    page.get_by_role("link", name="Pro").first.click()
    visitor.look("renewals-subscription")
    page.get_by_role("link", name="Try payment now").click()
    page.get_by_label("Reason").fill("He has a new card")
    visitor.look("renewals-try-payment")
    page.get_by_role("button", name="Try payment now").click()
    invoice = Invoice.objects.filter(user__email=people.MAX.email).latest("pk")
    expect(page.get_by_text(f"Invoice {invoice.number} is paid.")).to_be_visible()
    assert own_subscription(people.MAX).past_due_since is None


def changes_a_plan(visitor) -> None:
    """The costs are shown first; it changes when they are paid."""
    page = visitor.page
    page.get_by_role("link", name="Change plan or seats").click()
    page.get_by_label("Seats").fill("3")
    page.get_by_label("Reason").fill("Two colleagues more")
    page.get_by_role("button", name="Change plan or seats").click()
    expect(page.get_by_text("Send it once more to do so.")).to_be_visible()
    visitor.look("renewals-change-asked")
    page.get_by_role("button", name="Change plan or seats").click()
    invoice = Invoice.objects.filter(user__email=people.MAX.email).latest("pk")
    expect(page.get_by_text(f"It changes when invoice {invoice.number}")).to_be_visible()
    visitor.look("renewals-changing")
    assert invoice.reason == "change"


def puts_a_coupon_on(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Put a coupon on").click()
    page.get_by_label("Code").fill("welcome20")
    page.get_by_label("Reason").fill("For the trouble")
    visitor.look("renewals-coupon")
    page.get_by_role("button", name="Put a coupon on").click()
    expect(page.get_by_text("Coupon WELCOME20 lessens the next renewal.")).to_be_visible()
    visitor.look("renewals-with-coupon")
    page.get_by_role("link", name="Coupons").click()
    page.get_by_role("link", name="WELCOME20").click()
    visitor.look("renewals-coupon-page")


def own_subscription(person: people.Person) -> Subscription:
    return Subscription.objects.select_related("user").get(
        user__email=person.email, status="active"
    )
