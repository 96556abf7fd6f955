"""What staff see and do of recurring billing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.admin import timeline, upcoming
from billing.admin.links import Links
from billing.models import (
    Coupon,
    Event,
    Invoice,
    Mail,
    PaymentAttempt,
    Subscription,
    TestClock,
)
from billing.services import (
    books,
    changes,
    coupon_steps,
    customer_credit,
    endings,
    staff_changes,
)
from billing.services.change_quotes import NothingToChange
from billing.services.renewals import running
from catalog.money import Money
from catalog.services import prices
from tests.billing.admin_pages import browser_of, list_of, page_of, text_of
from tests.billing.purchases import check_out, pay, subscribe, unmatched
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def books_hold(db):
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def support():
    rights = ["view_subscription", "change_subscription", "view_invoice", "retry_parked"]
    rights += ["view_mail", "view_payment", "view_creditaccount", "view_paymentattempt"]
    rights += ["view_invoicelineitem", "view_creditentry", "view_subscriptionchange"]
    return browser_of(
        StaffFactory(
            email="ina@example.com",
            permissions=[*(f"billing.{right}" for right in rights), "accounts.view_user"],
        )
    )


def past_due(user=None, *, days: int = 2, plan=None) -> Subscription:
    """A subscription whose renewal was refused so many days ago; by now it would be paid."""
    user = user or UserFactory()
    end = timezone.now() - days * DAY
    begun = end - timedelta(days=40)
    subscription = subscribe(user, plan=plan or PlanFactory(name="Pro"), now=begun)
    Subscription.objects.filter(pk=subscription.pk).update(
        expires_at=end, anchor_at=end - timedelta(days=31), period_start=end - timedelta(days=31)
    )
    TestClock.objects.create(user=user, now_at=end, behaviour="never_pays")
    running.run(now=end, user_id=user.pk)
    TestClock.objects.filter(user=user).delete()
    subscription.refresh_from_db()
    assert subscription.past_due_since
    return subscription


def parked(user=None) -> Subscription:
    subscription = subscribe(
        user or UserFactory(email="bad@example.com"),
        plan=PlanFactory(name="Pro"),
        now=timezone.now(),
    )
    Subscription.objects.filter(pk=subscription.pk).update(
        parked_at=timezone.now(), parked_reason="unexpected: ZeroDivisionError"
    )
    subscription.refresh_from_db()
    return subscription


def parked_mail(user) -> Mail:
    return Mail.objects.create(
        user=user,
        kind="receipt",
        reference="r1",
        to=user.email,
        language="en",
        status="parked",
        failure="550 no such user",
        context={},
    )


def customer_page(user) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


class TestInbox:
    URL = "/admin/to-resolve/"

    def test_shows_everything_that_waits_with_its_reason(self, support):
        renewal = parked()
        mail = parked_mail(renewal.user)
        made = check_out(UserFactory(), plan=PlanFactory(), now=timezone.now())
        stray = unmatched(made.invoice, reference="lost")

        page = support.get(self.URL)
        text = text_of(page)

        assert "Renewals that cannot be invoiced (1)" in text
        assert "unexpected: ZeroDivisionError" in text
        assert "550 no such user" in text
        assert "lost" in text
        body = page.content.decode()
        assert f"{page_of(renewal).replace('change/', '')}unpark/" in body
        assert f"{page_of(mail).replace('change/', '')}retry/" in body
        assert page_of(stray) in body
        assert "assign/" not in body  # support takes no payments

    def test_where_nothing_waits_says_so(self, support):
        text = text_of(support.get(self.URL))

        assert "Every payment has its invoice." in text
        assert "Every renewal is invoiced when it is due." in text
        assert "Every mail is sent, or is tried again by itself." in text

    def test_shows_to_each_what_they_may_see(self):
        parked()
        finance = browser_of(StaffFactory(permissions=["billing.view_payment"]))
        nobody = browser_of(StaffFactory(permissions=["catalog.view_plan"]))

        assert "Renewals" not in text_of(finance.get(self.URL)).split("Payments that fit")[1]
        assert nobody.get(self.URL).status_code == 403

    def test_is_counted_in_the_side_bar(self, support):
        parked_mail(parked().user)

        side_bar = support.get("/admin/").content.decode().split('id="main"')[0]
        text = " ".join(re.sub(r"<[^>]*>", " ", side_bar).split())
        assert "To resolve 2" in text

    def test_asks_as_many_queries_for_many_as_for_few(self, support):
        parked_mail(parked().user)
        support.get(self.URL)
        with CaptureQueriesContext(connection) as few:
            support.get(self.URL)
        for number in range(4):
            parked(UserFactory(email=f"{number}@example.com"))

        with CaptureQueriesContext(connection) as many:
            support.get(self.URL)

        assert len(many) == len(few)


class TestUnpark:
    def test_lets_the_next_run_try_again(self, support):
        subscription = parked()

        response = support.post(
            page_of(subscription).replace("change/", "unpark/"), {"reason": "Mended"}
        )

        assert response.status_code == 302
        subscription.refresh_from_db()
        assert (subscription.parked_at, subscription.parked_reason) == (None, "")
        told = Event.objects.get(name="subscription.unparked").payload
        assert told["reason"] == "Mended"
        assert told["after"] == "unexpected: ZeroDivisionError"

    def test_needs_its_permission_and_a_reason(self, support):
        subscription = parked()
        other = browser_of(StaffFactory(permissions=["billing.view_subscription"]))
        address = page_of(subscription).replace("change/", "unpark/")

        assert other.post(address, {"reason": "x"}).status_code == 403
        assert support.post(address, {"reason": ""}).status_code == 200
        subscription.refresh_from_db()
        assert subscription.parked_at

    def test_of_many_at_once(self, support):
        rows = [parked(UserFactory()) for _ in range(2)]

        asked = support.post(
            list_of(Subscription),
            {"action": "bulk_unpark", "_selected_action": [str(row.pk) for row in rows]},
        )

        assert "The next run of the billing tries the renewal of each again." in text_of(asked)


class TestTakePayment:
    def address(self, row):
        return page_of(row).replace("change/", "take-payment/")

    @pytest.mark.parametrize("of", ["subscription", "invoice"])
    def test_is_asked_for_at_once(self, support, of):
        subscription = past_due()
        renewal = Invoice.objects.get(reason="renewal")

        response = support.post(
            self.address(subscription if of == "subscription" else renewal), {"reason": "New card"}
        )

        assert response.status_code == 302
        renewal.refresh_from_db()
        subscription.refresh_from_db()
        assert (renewal.status, subscription.past_due_since) == ("paid", None)
        assert [attempt.outcome for attempt in renewal.attempts.order_by("number")] == [
            "failed",
            "paid",
        ]
        assert Event.objects.get(name="payment.retried").payload["reason"] == "New card"

    def test_that_is_refused_changes_nothing_of_the_next_try_or_the_end(self, support):
        user = UserFactory()
        subscription = past_due(user, days=2)
        renewal = Invoice.objects.get(reason="renewal")
        before = renewal.next_attempt_at, subscription.grace_until
        TestClock.objects.create(user=user, now_at=timezone.now(), behaviour="never_pays")

        for _ in range(6):
            page = support.post(self.address(subscription), {"reason": "They called"}, follow=True)

        assert "is not paid: The card was declined." in text_of(page)
        renewal.refresh_from_db()
        subscription.refresh_from_db()
        assert subscription.status == "active"
        assert (renewal.next_attempt_at - before[0]) in (timedelta(0), 2 * DAY)
        assert subscription.grace_until == before[1]
        assert PaymentAttempt.objects.count() == 7

    def test_is_not_offered_where_nothing_is_owed(self, support):
        subscription = subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now())

        page = support.get(page_of(subscription))
        response = support.post(self.address(subscription), {"reason": "x"}, follow=True)

        assert "Try payment now" not in text_of(page)
        assert "not as it is now" in text_of(response)
        assert not PaymentAttempt.objects.exists()

    def test_is_not_asked_for_twice_at_the_same_moment(self, support):
        subscription = past_due()
        renewal = Invoice.objects.get(reason="renewal")
        PaymentAttempt.objects.create(
            invoice=renewal,
            user=renewal.user,
            number=2,
            provider="sandbox",
            started_at=timezone.now(),
        )

        page = support.post(self.address(subscription), {"reason": "New card"})

        assert "its payment is under way" in text_of(page)
        assert PaymentAttempt.objects.count() == 2
        assert not Event.objects.filter(name="payment.retried").exists()

    def test_needs_its_permission(self):
        subscription = past_due()
        other = browser_of(
            StaffFactory(permissions=["billing.view_subscription", "billing.change_subscription"])
        )

        assert other.post(self.address(subscription), {"reason": "x"}).status_code == 403
        assert PaymentAttempt.objects.count() == 1


class TestChange:
    @pytest.fixture
    def subscription(self):
        return subscribe(UserFactory(), plan=PlanFactory(name="Basic"), now=timezone.now() - DAY)

    @pytest.fixture
    def pro(self):
        return PlanFactory(name="Pro", prices={"USD": "99.00"})

    def address(self, subscription):
        return f"/admin/billing/subscription/{subscription.pk}/change-plan/"

    def post(self, browser, subscription, **told):
        told = {"plan": "", "quantity": "1", "when": "now", "reason": "They called"} | told
        return browser.post(self.address(subscription), told)

    def seen(self, page):
        return re.search(r'name="seen" value="([^"]+)"', page.content.decode()).group(1)

    def test_says_what_it_costs_before_anything_is_done(self, support, subscription, pro):
        page = self.post(support, subscription, plan=str(pro.pk))

        text = text_of(page)
        assert re.search(r"At this moment \$9\d\.\d\d are charged and \$2\d\.\d\d given", text)
        assert "to pay. The period stays. Send it once more to do so." in text
        assert not Invoice.objects.filter(reason="change").exists()

        done = self.post(support, subscription, plan=str(pro.pk), seen=self.seen(page))

        assert done.status_code == 302
        invoice = Invoice.objects.get(reason="change")
        assert invoice.status == "pending"
        pay(invoice, now=timezone.now())
        subscription.refresh_from_db()
        assert subscription.name == "Pro"

    def test_of_very_many_seats_is_confirmed_though_each_second_is_worth_something(
        self, support, subscription, pro, monkeypatch
    ):
        wanted = {"plan": str(pro.pk), "quantity": "10000"}
        seen = self.seen(self.post(support, subscription, **wanted))
        later = timezone.now() + timedelta(minutes=5)
        monkeypatch.setattr(timezone, "now", lambda: later)

        assert self.post(support, subscription, **wanted, seen=seen).status_code == 302
        assert Invoice.objects.get(reason="change").status == "pending"

    @pytest.mark.parametrize("wanted", [{"quantity": "2"}, {"plan": "", "quantity": "3"}])
    def test_to_something_else_than_was_said_is_said_anew(self, support, subscription, pro, wanted):
        seen = self.seen(self.post(support, subscription, plan=str(pro.pk)))

        page = self.post(support, subscription, **({"plan": str(pro.pk), "seen": seen} | wanted))

        assert "Send it once more to do so." in text_of(page)
        assert not Invoice.objects.filter(reason="change").exists()

    def test_at_another_price_than_was_said_is_said_anew(self, support, subscription, pro):
        seen = self.seen(self.post(support, subscription, plan=str(pro.pk)))
        prices.set_price(item=pro, money=Money.parse("199.00", "USD"), now=timezone.now())

        page = self.post(support, subscription, plan=str(pro.pk), seen=seen)

        assert "At this moment $19" in text_of(page)
        assert not Invoice.objects.filter(reason="change").exists()

    def test_at_the_end_of_the_period(self, support, subscription, pro):
        told = {"plan": str(pro.pk), "quantity": "3", "when": "end"}

        asked = self.post(support, subscription, **told)
        done = self.post(support, subscription, **told, seen=self.seen(asked))

        assert "From its next renewal on it is Pro, at $297.00 a period." in text_of(asked)
        assert done.status_code == 302
        subscription.refresh_from_db()
        assert (subscription.pending_plan, subscription.pending_quantity) == (pro, 3)
        text = text_of(support.get(page_of(subscription)))
        assert "Becomes Pro × 3" in text

    def test_to_what_it_is_already(self, support, subscription):
        page = self.post(support, subscription)

        assert "Choose another plan, or another number of seats." in text_of(page)

    @pytest.mark.parametrize(
        "told", [{"quantity": "0"}, {"quantity": "x"}, {"plan": "x"}, {"when": "x"}]
    )
    def test_that_is_none(self, support, subscription, told):
        assert self.post(support, subscription, **told).status_code == 200
        assert not Invoice.objects.filter(reason="change").exists()

    def test_to_a_plan_of_another_currency(self, support, subscription):
        euro = PlanFactory(name="Euro", prices={"EUR": "99.00"})

        page = self.post(support, subscription, plan=str(euro.pk))

        assert page.status_code == 200
        assert "has no price in USD" in text_of(page)

    def test_needs_its_permission(self, subscription, pro):
        other = browser_of(StaffFactory(permissions=["billing.view_subscription"]))

        assert self.post(other, subscription, plan=str(pro.pk)).status_code == 403


class TestWithdrawChange:
    @pytest.fixture
    def subscription(self):
        return subscribe(UserFactory(), plan=PlanFactory(name="Basic"), now=timezone.now() - DAY)

    def send(self, browser, subscription):
        address = f"/admin/billing/subscription/{subscription.pk}/withdraw-change/"
        return browser.post(address, {"reason": "They thought again"}, follow=True)

    def test_of_what_was_to_be_at_the_end(self, support, subscription):
        changes.at_period_end(subscription=subscription, quantity=3, now=timezone.now())

        page = self.send(support, subscription)

        assert "Basic stays as it is." in text_of(page)
        subscription.refresh_from_db()
        assert subscription.pending_quantity is None
        told = Event.objects.get(name="subscription.change_withdrawn").payload
        assert told["note"] == "They thought again"

    def test_of_what_waits_to_be_paid(self, support, subscription):
        asked = changes.request(subscription=subscription, quantity=3, now=timezone.now())

        self.send(support, subscription)

        asked.invoice.refresh_from_db()
        assert asked.invoice.status == "cancelled"

    def test_of_nothing(self, support, subscription):
        assert "not as it is now" in text_of(self.send(support, subscription))
        with pytest.raises(NothingToChange):
            staff_changes.withdraw(
                subscription=subscription, by=StaffFactory(), reason="x", now=timezone.now()
            )
        assert not Event.objects.filter(name="subscription.change_withdrawn").exists()

    def test_needs_its_permission(self, subscription):
        changes.at_period_end(subscription=subscription, quantity=3, now=timezone.now())
        other = browser_of(StaffFactory(permissions=["billing.view_subscription"]))

        assert self.send(other, subscription).status_code == 403
        subscription.refresh_from_db()
        assert subscription.pending_quantity == 3


class TestPause:
    def send(self, browser, subscription):
        address = f"/admin/billing/subscription/{subscription.pk}/pause/"
        return browser.post(address, {"reason": "They are away"}, follow=True)

    def test_stops_the_clock_until_it_is_activated(self, support):
        subscription = subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now() - DAY)

        page = self.send(support, subscription)

        assert "Paused: its time stands still" in text_of(page)
        subscription.refresh_from_db()
        assert subscription.status == "paused"
        told = Event.objects.get(name="subscription.paused").payload
        assert (told["reason"], told["note"]) == ("staff", "They are away")
        assert "Activate" in text_of(page)

    def test_is_not_offered_while_it_is_past_due(self, support):
        subscription = past_due()

        assert "not as it is now" in text_of(self.send(support, subscription))
        subscription.refresh_from_db()
        assert subscription.status == "active"

    def test_needs_its_permission(self):
        subscription = subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now() - DAY)
        other = browser_of(StaffFactory(permissions=["billing.view_subscription"]))

        assert self.send(other, subscription).status_code == 403
        subscription.refresh_from_db()
        assert subscription.status == "active"


class TestCancelWithCredit:
    def test_puts_the_rest_on_account(self, support):
        user = UserFactory()
        subscription = subscribe(user, plan=PlanFactory(), now=timezone.now() - 5 * DAY)

        support.post(
            f"/admin/billing/subscription/{subscription.pk}/cancel/",
            {"when": "credit", "reason": "Was not happy"},
        )

        subscription.refresh_from_db()
        assert subscription.status == "cancelled"
        (left,) = customer_credit.balances(user_id=user.pk)
        assert 23 < left.amount < 26
        assert f"{left.for_people()} for the next invoices" in text_of(
            support.get(customer_page(user))
        )


class TestUpcoming:
    URL = "/admin/upcoming/"

    @pytest.fixture
    def subscription(self):
        made = check_out(
            UserFactory(email="ada@example.com"),
            plan=PlanFactory(name="Pro"),
            add_ons=[AddOnFactory(name="Support", prices={"USD": "5.00"})],
            now=timezone.now() - 20 * DAY,
        )
        pay(made.invoice, now=timezone.now() - 20 * DAY)
        made.subscription.refresh_from_db()
        return made.subscription

    def test_shows_what_will_be_invoiced_and_how_much(self, support, subscription):
        Coupon.objects.create(code="HALF", name="Half", percent=50, duration="forever")
        coupon_steps.put_on(subscription=subscription, code="HALF", now=timezone.now())

        text = text_of(support.get(self.URL))

        assert "1 upcoming invoice " in text
        assert "ada@example.com" in text
        assert "Pro, Support, Half $17.00" in text
        assert "In all $17.00 (1)." in text
        running.run(now=subscription.expires_at)
        assert str(Invoice.objects.get(reason="renewal").total) == "17.00"

    def test_sums_up_by_currency_over_all_pages(self, support, subscription, monkeypatch):
        monkeypatch.setattr(upcoming, "ROWS", 1)
        euro = PlanFactory(name="Euro", prices={"EUR": "10.00"})
        for _ in range(2):
            made = check_out(
                UserFactory(), plan=euro, currency="EUR", now=timezone.now() - 10 * DAY
            )
            pay(made.invoice, now=timezone.now() - 10 * DAY)

        first = text_of(support.get(self.URL))

        assert "3 upcoming invoices" in first
        assert "In all €20.00 (2), $34.00 (1)." in first
        assert "ada@example.com" in first  # whose period ends first
        assert "ada@example.com" not in text_of(support.get(self.URL, {"page": "2"}))

    def test_puts_an_add_on_that_is_due_before_its_subscription_in_its_place(self, support):
        made = check_out(
            UserFactory(email="zoe@example.com"),
            plan=PlanFactory(name="Yearly", billing_period="yearly"),
            add_ons=[AddOnFactory(name="Monthly", prices={"USD": "5.00"})],
            now=timezone.now() - 25 * DAY,
        )
        pay(made.invoice, now=timezone.now() - 25 * DAY)
        subscribe(
            UserFactory(email="ada@example.com"),
            plan=PlanFactory(name="Pro"),
            now=timezone.now() - 20 * DAY,
        )

        page = support.get(self.URL)

        assert [row.items for row in page.context["rows"]] == ["Monthly", "Pro"]

    def test_leaves_out_whose_time_is_their_own(self, support, subscription):
        own = subscription.expires_at - DAY
        TestClock.objects.create(user=subscription.user, now_at=own)

        assert "0 upcoming invoices" in text_of(support.get(self.URL))
        assert "$34.00 (Pro, Support)" in text_of(support.get(page_of(subscription)))

    def test_within_the_days_that_are_chosen(self, support, subscription):
        assert "0 upcoming invoices" in text_of(support.get(self.URL, {"days": "7"}))
        assert "1 upcoming invoice " in text_of(support.get(self.URL, {"days": "90"}))
        assert "1 upcoming invoice " in text_of(support.get(self.URL, {"days": "nonsense"}))

    def test_leaves_out_what_is_cancelled_or_past_due(self, support, subscription):
        past_due()
        Subscription.objects.filter(pk=subscription.pk).update(
            status="cancelled", cancelled_at=timezone.now(), cancel_reason="customer"
        )
        Event.objects.create(name="subscription.cancelled", subject_id=subscription.pk)

        assert "0 upcoming invoices" in text_of(support.get(self.URL))

    def test_asks_as_many_queries_for_many_as_for_few(self, support, subscription):
        support.get(self.URL)
        with CaptureQueriesContext(connection) as few:
            support.get(self.URL)
        for _ in range(4):
            subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now() - 10 * DAY)

        with CaptureQueriesContext(connection) as many:
            text = text_of(support.get(self.URL))

        assert "5 upcoming invoices" in text
        assert len(many) == len(few)

    def test_needs_the_right_to_view_subscriptions(self):
        other = browser_of(StaffFactory(permissions=["billing.view_payment"]))

        assert other.get(self.URL).status_code == 403


class TestPages:
    def test_of_a_subscription_tells_how_it_stands(self, support):
        subscription = past_due()

        text = text_of(support.get(page_of(subscription)))

        assert "Past due since" in " ".join(text.split())
        assert "access until" in text
        assert "Try payment now" in text

    def test_of_a_subscription_tells_what_comes_next(self, support):
        subscription = subscribe(UserFactory(), plan=PlanFactory(name="Pro"), now=timezone.now())

        assert "$29.00 (Pro)" in text_of(support.get(page_of(subscription)))

    def test_of_an_invoice_tells_periods_and_attempts(self, support):
        past_due()
        invoice = Invoice.objects.get(reason="renewal")

        text = text_of(support.get(page_of(invoice)))

        assert "attempts to take the payment" in text.lower()
        assert "The card was declined." in text
        assert "Renewal" in text
        assert " – " in text  # the period of its line

    def test_of_a_customer_tells_of_their_clock(self, support):
        user = UserFactory()
        past_due(user)
        TestClock.objects.create(
            user=user, now_at=datetime(2031, 5, 1, tzinfo=UTC), behaviour="never_pays"
        )

        text = text_of(support.get(customer_page(user)))

        assert "Test clock: it is 1 May 2031" in text
        assert "never pays" in text
        assert "past due since" in text

    @pytest.mark.parametrize(
        ("standing", "found"),
        [
            *[("parked", 1), ("past_due", 1), ("trial", 1), ("cancelling", 1), ("x", 0)],
            ("changing", 2),
        ],
    )
    def test_of_the_list_filters_by_standing(self, support, standing, found):
        parked()
        past_due()
        check_out(UserFactory(), plan=PlanFactory(trial_days=14), now=timezone.now())
        for at_once in (False, True):
            leaving = subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now() - DAY)
            endings.cancel(subscription=leaving, at_once=at_once, now=timezone.now())

        now = timezone.now()
        for plan in (PlanFactory(name="Now"), PlanFactory(name="Later")):
            changing = subscribe(UserFactory(), plan=plan, now=now - DAY)
            if plan.name == "Now":
                changes.request(subscription=changing, quantity=3, now=now)
            else:
                changes.at_period_end(subscription=changing, quantity=3, now=now)

        page = support.get(list_of(Subscription), {"standing": standing})
        if standing == "changing":
            assert "A change waits for its payment" in text_of(page)
            assert "Becomes Later × 3" in text_of(page)

        assert page.context["cl"].result_count == found


class TestTurnClock:
    @pytest.fixture
    def admin(self):
        return browser_of(StaffFactory(is_superuser=True))

    def turn(self, browser, user, **told):
        told = {"to": "2031-01-01", "behaviour": "pays"} | told
        return browser.post(f"/admin/accounts/user/{user.pk}/turn-clock/", told, follow=True)

    def test_plays_what_comes_due(self, admin):
        user = UserFactory()
        plan = PlanFactory(billing_period="yearly")
        subscription = subscribe(user, plan=plan, now=timezone.now())

        page = self.turn(admin, user)

        assert re.search(r"It is 2031-01-01 for .* now: \d invoices, \d payments, 0", text_of(page))
        subscription.refresh_from_db()
        assert subscription.expires_at > datetime(2031, 1, 1, tzinfo=UTC)

    def test_does_not_go_back(self, admin):
        user = UserFactory()
        TestClock.objects.create(user=user, now_at=datetime(2040, 1, 1, tzinfo=UTC))

        assert "cannot go back" in text_of(self.turn(admin, user))

    def test_is_not_offered_in_production(self, admin, settings):
        settings.BILLING_TEST_CLOCKS = False
        user = UserFactory()

        assert "Turn clock" not in text_of(admin.get(customer_page(user)))
        self.turn(admin, user)
        assert not TestClock.objects.exists()

    def test_is_a_superusers(self, support):
        user = UserFactory()

        assert self.turn(support, user).status_code == 403


class TestTimeline:
    def test_takes_no_code_for_a_reason_that_somebody_gave(self, support):
        past_due()

        (told,) = timeline.tell([Event.objects.get(name="invoice.issued")], Links(AnonymousUser()))

        assert told.reason == ""
        assert "issued for the next period, $29.00" in told.sentence

    def test_has_a_sentence_for_every_event_of_the_services(self):
        names = {
            name
            for path in (PROJECT / "billing" / "services").rglob("*.py")
            for name in re.findall(r'"([a-z_]+\.[a-z_]+)"', path.read_text())
            if name.split(".")[0] in ("add_on", "coupon", "invoice", "mail", "subscription")
            or name.startswith(("payment.", "tokens.", "checkout."))
        }

        assert {"subscription.renewed", "payment.failed", "invoice.issued"} <= names
        assert names - timeline._SENTENCES.keys() == set()
