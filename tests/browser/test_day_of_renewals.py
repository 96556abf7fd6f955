"""A day of recurring billing: what waits for somebody, who owes, what changes, what costs less."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from billing.demo import catalogue, people
from billing.models import Coupon, CouponRedemption, Event, Invoice, Mail, Subscription, TestClock

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("demo", "books_are_clean"),
]

SUPPORT = f"support@{people.DOMAIN}"
CATALOGUE = f"catalogue@{people.DOMAIN}"
FAILURE = "550 5.1.1 The recipient does not exist"


def test_day_of_renewals(visitor):
    mail = park_a_mail()
    renewal = park_a_renewal()
    visitor.sign_in(SUPPORT, people.PASSWORD)

    resolves(visitor, mail, renewal)
    looks_ahead(visitor)
    takes_what_is_owed(visitor)
    changes_seats(visitor)
    puts_a_coupon_on(visitor)


def test_what_the_owner_sets_up(visitor):
    visitor.sign_in(CATALOGUE, people.PASSWORD)
    makes_a_coupon(visitor)
    visitor.page.context.clear_cookies()
    visitor.sign_in(people.ADMIN, people.PASSWORD)
    turns_a_clock(visitor)


def park_a_mail() -> Mail:
    mail = Mail.objects.filter(user__email=people.ANNA.email, status=Mail.Status.SENT).latest("id")
    Mail.objects.filter(pk=mail.pk).update(
        status=Mail.Status.PARKED, failure=FAILURE, sent_at=None, next_attempt_at=None
    )
    return mail


def park_a_renewal() -> Subscription:
    subscription = live(people.CAROL.email)
    Subscription.objects.filter(pk=subscription.pk).update(
        parked_at=timezone.now() - timedelta(hours=7),
        parked_reason="unexpected: ZeroDivisionError",
    )
    return subscription


def let_card_be_refused(subscription: Subscription) -> TestClock:
    return TestClock.objects.create(
        user=subscription.user, now_at=timezone.now(), behaviour=TestClock.Behaviour.NEVER_PAYS
    )


def live(email: str) -> Subscription:
    return Subscription.objects.live().get(user__email=email)


def resolves(visitor, mail: Mail, renewal: Subscription) -> None:
    page = visitor.page
    inbox = page.get_by_role("link", name=re.compile("To resolve")).first
    expect(inbox).to_be_visible()
    inbox.click()
    expect(page.get_by_text(FAILURE)).to_be_visible()
    expect(page.get_by_text("unexpected: ZeroDivisionError")).to_be_visible()
    visitor.look("renewals-to-resolve")

    visitor.go_to(page.get_by_role("link", name="Send again"))
    page.keyboard.press("Enter")
    page.get_by_label("Reason").fill("She has corrected her address")
    visitor.look("renewals-send-again")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("is sent again, as soon as mails are sent")).to_be_visible()
    mail.refresh_from_db()
    assert mail.status == "waiting"

    page.get_by_role("link", name=re.compile("To resolve")).first.click()
    expect(page.get_by_text("Every mail is sent, or is tried again by itself.")).to_be_visible()
    page.get_by_role("link", name="Retry", exact=True).click()
    page.get_by_label("Reason").fill("Her plan has a price again")
    visitor.look("renewals-retry")
    page.get_by_role("button", name="Retry renewal").click()
    expect(page.get_by_text("The next run of the billing tries it again.")).to_be_visible()
    renewal.refresh_from_db()
    assert renewal.parked_at is None


def looks_ahead(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Upcoming invoices").first.click()
    expect(page.get_by_text(re.compile("In all"))).to_be_visible()
    visitor.look("renewals-upcoming")
    days = page.get_by_role("combobox", name="How far ahead")
    days.select_option("7")
    page.get_by_role("button", name="Show").click()
    expect(days).to_have_value("7")


def takes_what_is_owed(visitor) -> None:
    """Found among the past due; the first try is refused, with the new card it is paid."""
    page = visitor.page
    email = people.MAX.email
    clock = let_card_be_refused(live(email))
    page.get_by_role("link", name="Subscriptions", exact=True).first.click()
    visitor.look("renewals-subscriptions")
    visitor.open("/admin/billing/subscription/?standing=past_due")
    visitor.look("renewals-past-due")
    page.get_by_role("row").filter(has_text=email).get_by_role("link").first.click()
    expect(page.get_by_text("Past due", exact=True).first).to_be_visible()
    visitor.look("renewals-subscription-past-due")

    page.get_by_role("link", name="Try payment now").click()
    page.get_by_label("Reason").fill("He says that the card is fine")
    visitor.look("renewals-try-payment")
    page.get_by_role("button", name="Try payment now").click()
    expect(page.get_by_text("The card was declined.").first).to_be_visible()
    assert live(email).past_due_since

    clock.delete()
    page.get_by_role("link", name="Try payment now").click()
    page.get_by_label("Reason").fill("He has a new card")
    page.get_by_role("button", name="Try payment now").click()
    expect(page.get_by_text(re.compile("Invoice .* is paid."))).to_be_visible()
    assert live(email).past_due_since is None
    renewal = Invoice.objects.filter(user__email=email, reason="renewal").latest("id")
    visitor.open(f"/admin/billing/invoice/{renewal.pk}/change/")
    expect(page.get_by_text("The card was declined.").first).to_be_visible()
    visitor.look("renewals-invoice")


def changes_seats(visitor) -> None:
    """It says what it costs, and does nothing before that is confirmed; then it is taken back."""
    page = visitor.page
    subscription = live(people.ANNA.email)
    visitor.open(f"/admin/billing/subscription/{subscription.pk}/change/")
    page.get_by_role("link", name="Change plan or seats").click()
    page.get_by_label("Seats").fill("3")
    page.get_by_label("Reason").fill("Two colleagues of hers join")
    visitor.look("renewals-change")
    page.get_by_role("button", name="Change plan or seats").click()
    expect(page.get_by_text("At this moment")).to_be_visible()
    expect(page.get_by_label("Seats")).to_have_value("3")
    visitor.look("renewals-change-costs")
    assert not subscription.changes.exists()

    page.get_by_role("button", name="Change plan or seats").click()
    expect(page.get_by_text(re.compile("It changes when invoice .* is paid."))).to_be_visible()
    visitor.look("renewals-subscription-changing")
    assert subscription.changes.get().status == "pending"

    page.get_by_role("link", name="Take the change back").click()
    page.get_by_label("Reason").fill("They stay at home")
    page.get_by_role("button", name="Take the change back").click()
    expect(page.get_by_text("stays as it is.").first).to_be_visible()
    assert subscription.changes.get().status == "cancelled"


def puts_a_coupon_on(visitor) -> None:
    page = visitor.page
    email = people.MAX.email
    subscription = live(email)
    CouponRedemption.objects.filter(user__email=email).update(status="used_up")
    Coupon.objects.create(code="SORRY", name="Sorry: half price", percent=50, duration="once")
    visitor.open(f"/admin/billing/subscription/{subscription.pk}/change/")
    page.get_by_role("link", name="Put a coupon on").click()
    page.get_by_label("Code").fill("nothing")
    page.get_by_label("Reason").fill("For his trouble with the card")
    page.get_by_role("button", name="Put a coupon on").click()
    expect(page.get_by_text("There is no such coupon.", exact=False)).to_be_visible()
    page.get_by_label("Code").fill("sorry")
    visitor.look("renewals-put-coupon-on")
    page.get_by_role("button", name="Put a coupon on").click()
    expect(page.get_by_text("Coupon SORRY lessens the next renewal.")).to_be_visible()
    visitor.look("renewals-subscription-with-coupon")
    assert Event.objects.filter(name="coupon.redeemed", user__email=email).exists()

    page.get_by_role("link", name="Coupons", exact=True).first.click()
    visitor.look("renewals-coupons")
    page.get_by_role("link", name="Redemptions", exact=True).first.click()
    expect(page.get_by_role("row").filter(has_text=email)).to_contain_text("SORRY")
    visitor.look("renewals-redemptions")


def makes_a_coupon(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Coupons", exact=True).first.click()
    page.get_by_role("link", name=catalogue.WELCOME).click()
    visitor.look("renewals-coupon-redeemed")
    page.go_back()
    visitor.open("/admin/billing/coupon/add/")
    page.get_by_label("Code").fill("SPRING")
    page.get_by_label("Name", exact=False).first.fill("Five off")
    page.get_by_label("Kind").select_option("amount")
    page.get_by_label("Duration").select_option("once")
    visitor.look("renewals-coupon-new")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("How much does it take off? One amount at least.")).to_be_visible()
    assert not Coupon.objects.filter(code="SPRING").exists()


def turns_a_clock(visitor) -> None:
    page = visitor.page
    subscription = live(people.MAX.email)
    visitor.open(f"/admin/accounts/user/{subscription.user_id}/change/")
    visitor.look("renewals-customer-past-due")
    page.get_by_role("link", name="Turn clock").click()
    page.get_by_label("Turn to").fill(f"{timezone.now() + timedelta(days=40):%Y-%m-%d}")
    page.get_by_label("Behaviour").select_option("never_pays")
    visitor.look("renewals-turn-clock")
    page.get_by_role("button", name="Turn clock").click()
    expect(page.get_by_text(re.compile("It is .* now:"))).to_be_visible()
    expect(page.get_by_role("note").filter(has_text="Test clock")).to_be_visible()
    visitor.look("renewals-customer-of-own-time")
    subscription.refresh_from_db()
    assert subscription.status == "expired"
