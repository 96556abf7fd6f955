"""Support cancels, extends and activates subscriptions, each time after being asked."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from billing.models import AddOnSubscription, Event, Invoice, Payment, Subscription
from billing.services import books, subscriptions
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime(2026, 4, 1, 12, tzinfo=UTC)
STEPS = ("activate", "extend", "cancel")

pytestmark = pytest.mark.django_db


@pytest.fixture
def books_hold(db) -> Iterator[None]:
    """Whatever staff did, the books add up after it."""
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def pending(clock) -> Subscription:
    made = check_out(
        UserFactory(email="ann@example.com"),
        plan=PlanFactory(name="Pro"),
        add_ons=[AddOnFactory(name="Hotline")],
        now=NOW,
    )
    return made.subscription


@pytest.fixture
def running(pending) -> Subscription:
    pay(Invoice.objects.get(), now=NOW)
    pending.refresh_from_db()
    return pending


@pytest.fixture
def support(roles, clock) -> Client:
    member = StaffFactory(email="sam@example.com")
    member.groups.add(roles["Support"])
    return browser_of(member)


def browser_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(subscription) -> str:
    return f"/admin/billing/subscription/{subscription.pk}/change/"


def step(subscription, name: str) -> str:
    return f"/admin/billing/subscription/{subscription.pk}/{name}/"


def offered(client, subscription) -> list[str]:
    html = client.get(page_of(subscription)).content.decode()
    return [name for name in STEPS if f'href="{step(subscription, name)}"' in html]


def extend(client, subscription, days: str, **typed):
    seen = client.get(step(subscription, "extend")).context["form"]["seen"].value()
    return client.post(
        step(subscription, "extend"), {"days": days, "reason": "An outage", "seen": seen} | typed
    )


class TestButtons:
    def test_are_those_that_the_state_has_a_use_for(self, support, running):
        assert offered(support, running) == ["extend", "cancel"]

        subscriptions.pause(subscription=running, now=NOW)
        assert offered(support, running) == ["activate", "extend", "cancel"]

        subscriptions.cancel(subscription=running, now=NOW)
        assert offered(support, running) == ["activate", "extend", "cancel"]

        Subscription.objects.update(expires_at=NOW)
        assert offered(support, running) == []

    def test_an_unpaid_one_is_brought_to_life_by_who_may_take_payments(self, support, pending):
        reads = ["billing.view_subscription", "billing.change_subscription"]
        cashier = browser_of(StaffFactory(permissions=[*reads, "billing.take_payment"]))

        assert offered(support, pending) == ["cancel"]
        assert support.post(step(pending, "activate"), {"reason": "x"}).status_code == 403
        assert offered(cashier, pending) == ["activate", "cancel"]
        assert not Payment.objects.exists()

    @pytest.mark.parametrize("name", STEPS)
    def test_want_the_right_to_change_subscriptions(self, running, name):
        subscriptions.pause(subscription=running, now=NOW)
        viewer = browser_of(
            StaffFactory(permissions=["billing.view_subscription", "billing.take_payment"])
        )
        before = rows_of_billing()

        assert offered(viewer, running) == []
        assert viewer.get(step(running, name)).status_code == 403
        posted = viewer.post(step(running, name), {"reason": "x", "days": "5", "when": "now"})
        assert posted.status_code == 403
        assert rows_of_billing() == before
        running.refresh_from_db()
        assert (running.status, running.expires_at) == ("paused", END)

    @pytest.mark.parametrize("name", STEPS)
    def test_want_a_reason(self, support, running, name):
        subscriptions.pause(subscription=running, now=NOW)
        before = rows_of_billing()

        page = support.post(step(running, name), {"reason": " ", "days": "5", "when": "now"})

        assert page.context["form"].errors["reason"]
        assert rows_of_billing() == before


@pytest.mark.usefixtures("books_hold")
class TestCancel:
    def test_at_the_end_of_what_is_paid_for(self, support, running):
        support.post(step(running, "cancel"), {"when": "end", "reason": "Called us"})

        running.refresh_from_db()
        assert (running.status, running.expires_at) == ("cancelled", END)

    def test_at_once_with_its_add_ons(self, support, running, clock):
        clock.move_to(NOW + timedelta(days=3))

        support.post(step(running, "cancel"), {"when": "now", "reason": "Fraud"})

        running.refresh_from_db()
        assert running.status == "cancelled"
        assert running.expires_at == NOW + timedelta(days=3)
        assert AddOnSubscription.objects.get().expires_at == NOW + timedelta(days=3)
        event = Event.objects.filter(name="subscription.cancelled").latest("id")
        assert (event.payload["reason"], event.payload["note"]) == ("staff", "Fraud")

    def test_of_an_unpaid_one_gives_up_its_invoice(self, support, pending):
        page = support.get(step(pending, "cancel"))
        assert "when" not in page.context["form"].fields

        support.post(step(pending, "cancel"), {"reason": "Ordered twice"})

        pending.refresh_from_db()
        assert pending.status == "cancelled"
        assert Invoice.objects.get().status == "cancelled"

    def test_of_a_cancelled_one_only_brings_its_end_nearer(self, support, running):
        subscriptions.cancel(subscription=running, now=NOW)

        refused = support.post(step(running, "cancel"), {"when": "end", "reason": "x"})
        assert refused.context["form"].errors["when"]

        support.post(step(running, "cancel"), {"when": "now", "reason": "Fraud"})
        running.refresh_from_db()
        assert running.expires_at == NOW


@pytest.mark.usefixtures("books_hold")
class TestExtend:
    def test_ends_so_many_days_later_with_who_and_why(self, support, running):
        answer = extend(support, running, "10")

        running.refresh_from_db()
        assert answer.status_code == 302
        assert running.expires_at == END + timedelta(days=10)
        assert AddOnSubscription.objects.get().expires_at == END + timedelta(days=10)
        shown = support.get(page_of(running)).content.decode()
        assert "An outage" in shown
        assert "sam@example.com" in shown
        assert "11 Apr 2026, 12:00" in shown

    def test_of_a_form_that_is_sent_twice_counts_once(self, support, running):
        seen = support.get(step(running, "extend")).context["form"]["seen"].value()
        form = {"days": "10", "reason": "An outage", "seen": seen}

        support.post(step(running, "extend"), form)
        again = support.post(step(running, "extend"), form)

        running.refresh_from_db()
        assert again.context["form"].non_field_errors() == [
            "It ends on 11 Apr 2026 by now: open this page anew."
        ]
        assert running.expires_at == END + timedelta(days=10)

    @pytest.mark.parametrize("days", ["0", "-1", "3661", "x", "1.5", "", "9" * 40, "\x00"])
    def test_refuses_what_is_no_number_of_days(self, support, running, days):
        page = extend(support, running, days)

        running.refresh_from_db()
        assert page.context["form"].errors["days"]
        assert running.expires_at == END

    @pytest.mark.parametrize("seen", ["", "x", "\x00", "9" * 50])
    def test_wants_to_know_what_was_seen(self, support, running, seen):
        page = extend(support, running, "5", seen=seen)

        running.refresh_from_db()
        assert page.context["form"].errors
        assert running.expires_at == END


@pytest.mark.usefixtures("books_hold")
class TestActivate:
    def test_goes_on_after_a_pause(self, support, running, clock):
        subscriptions.pause(subscription=running, now=NOW)
        clock.move_to(NOW + timedelta(days=2))

        support.post(step(running, "activate"), {"reason": "Back from holiday"})

        running.refresh_from_db()
        assert (running.status, running.expires_at) == ("active", END + timedelta(days=2))

    def test_takes_a_cancellation_back(self, support, running):
        subscriptions.cancel(subscription=running, now=NOW)

        support.post(step(running, "activate"), {"reason": "Changed their mind"})

        running.refresh_from_db()
        assert (running.status, running.cancelled_at) == ("active", None)

    @pytest.mark.django_db(transaction=True)
    def test_of_an_unpaid_one_takes_its_invoice_as_paid(self, pending):
        cashier = browser_of(
            StaffFactory(
                permissions=["billing.view_subscription", "billing.change_subscription"]
                + ["billing.take_payment"]
            )
        )

        cashier.post(step(pending, "activate"), {"reason": "Seen on the bank account"})

        pending.refresh_from_db()
        assert pending.status == "active"
        assert Invoice.objects.get().status == "paid"
        assert Payment.objects.get().provider == "manual"

    def test_says_why_it_is_refused(self, support, running):
        subscriptions.cancel(subscription=running, now=NOW)
        other = check_out(running.user, plan=PlanFactory(name="Team"), now=NOW)
        pay(other.invoice, now=NOW)
        Subscription.objects.filter(pk=running.pk).update(expires_at=END)

        page = support.post(step(running, "activate"), {"reason": "x"})

        running.refresh_from_db()
        assert page.status_code == 200
        assert page.context["form"].non_field_errors()
        assert running.status == "cancelled"
