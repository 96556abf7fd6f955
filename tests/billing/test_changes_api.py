"""What customers and staff change through the API."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    Subscription,
    SubscriptionChange,
    TestClock,
)
from billing.services import books, customer_credit, endings, subscriptions
from billing.services.renewals import running
from catalog.money import Money
from tests.billing.purchases import check_out, pay, rows_of_billing, subscribe
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

OWN = "/api/v1/user/subscriptions"
STAFF = "/api/v1/admin/subscriptions"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # March has 31 days
TENTH = datetime(2026, 3, 10, 12, tzinfo=UTC)
END = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def books_hold(db):
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def basic():
    return PlanFactory(name="Basic", prices={"USD": "29.00"})


@pytest.fixture
def pro():
    return PlanFactory(name="Pro", prices={"USD": "99.00"})


@pytest.fixture
def subscription(clock, customer, basic):
    """Basic since noon on 1 March; it is the 10th, noon, by now."""
    made = subscribe(customer, plan=basic, now=NOON)
    clock.move_to(TENTH)
    return made


@pytest.fixture
def client(subscription, customer, signed_in):
    return signed_in(customer)


@pytest.fixture
def staff(subscription, signed_in):
    rights = ["billing.view_subscription", "billing.change_subscription"]
    return signed_in(StaffFactory(permissions=rights))


def post(client, subscription, action, **body):
    return client.post(f"{OWN}/{subscription.pk}/{action}", body)


class TestProration:
    def ask(self, client, subscription, **asked):
        return client.get(f"{OWN}/{subscription.pk}/proration", asked)

    def test_says_what_upgrading_now_would_charge(self, client, subscription, pro):
        answer = self.ask(client, subscription, new_plan_id=str(pro.pk))

        assert answer.status_code == 200
        assert answer.json() == {
            "proration": {
                "credit": "20.59",
                "charge": "70.25",
                "amount_due": "49.66",
                "to_pay": "49.66",
                "new_amount": "99.00",
                "currency": "USD",
                "days_remaining": 22,
                "begins_new_period": False,
                "takes_effect": "now",
            }
        }
        upgraded = post(client, subscription, "upgrade", plan_id=str(pro.pk)).json()
        assert upgraded["invoice"]["amount"] == "49.66"

    def test_counts_what_is_on_account(self, client, subscription, customer, pro):
        customer_credit.add(
            user_id=customer.pk,
            money=Money(Decimal("9.66"), "USD"),
            kind="change",
            reference=uuid4(),
            now=NOON,
        )

        asked = self.ask(client, subscription, new_plan_id=str(pro.pk)).json()["proration"]

        assert (asked["amount_due"], asked["to_pay"]) == ("49.66", "40.00")
        first = post(client, subscription, "upgrade", plan_id=str(pro.pk)).json()["invoice"]
        assert first["amount"] == "40.00"
        # What waits would be withdrawn, and what it has used would come back.
        again = self.ask(client, subscription, new_plan_id=str(pro.pk)).json()["proration"]
        assert again["to_pay"] == "40.00"

    def test_of_seats(self, client, subscription):
        asked = self.ask(client, subscription, quantity=3).json()["proration"]

        # 87.00 × 22 / 31 = 61.7419…
        assert (asked["credit"], asked["charge"]) == ("20.59", "61.74")

    @pytest.mark.parametrize(
        ("asked", "code"),
        [
            ({}, "validation_error"),
            ({"new_plan_id": "5"}, "validation_error"),
            ({"quantity": "many"}, "validation_error"),
            ({"quantity": "0"}, "invalid_quantity"),
            ({"quantity": "9" * 40}, "invalid_quantity"),
            ({"quantity": "1"}, "nothing_to_change"),
            ({"new_plan_id": str(UUID(int=5))}, "plan_not_found"),
        ],
    )
    def test_bad_questions_are_refused(self, client, subscription, asked, code):
        answer = self.ask(client, subscription, **asked)

        assert (answer.status_code, answer.json()["code"]) == (400, code)

    def test_of_somebody_elses_is_not_found(self, subscription, pro, signed_in):
        answer = self.ask(signed_in(UserFactory()), subscription, new_plan_id=str(pro.pk))

        assert answer.status_code == 404


class TestUpgrade:
    def test_waits_for_its_invoice(self, client, subscription, pro):
        answer = post(client, subscription, "upgrade", plan_id=str(pro.pk)).json()

        assert answer["message"] == "The change takes effect when its invoice is paid."
        assert answer["subscription"]["plan"]["name"] == "Basic"
        invoice = answer["invoice"]
        assert (invoice["status"], invoice["reason"]) == ("pending", "change")
        assert invoice["tarif_plan_id"] == str(pro.pk)
        assert invoice["expires_at"] == "2026-03-11T12:00:00Z"
        lines = [
            (line["type"], line["amount"], line["period_start"], line["period_end"])
            for line in invoice["line_items"]
        ]
        assert lines == [
            ("subscription", "-20.59", "2026-03-10T12:00:00Z", "2026-04-01T12:00:00Z"),
            ("subscription", "70.25", "2026-03-10T12:00:00Z", "2026-04-01T12:00:00Z"),
        ]

    def test_is_paid_like_any_invoice(self, client, subscription, pro):
        made = post(client, subscription, "upgrade", plan_id=str(pro.pk), quantity=2).json()

        paid = client.post(f"/api/v1/user/invoices/{made['invoice']['id']}/pay")

        assert paid.status_code == 200
        shown = client.get(f"{OWN}/active").json()["subscription"]
        assert (shown["plan"]["name"], shown["plan"]["price"]) == ("Pro", 99.0)
        assert (shown["quantity"], shown["expires_at"]) == (2, "2026-04-01T12:00:00Z")

    def test_to_less_is_done_at_once(self, client, subscription):
        lite = PlanFactory(name="Lite", prices={"USD": "9.00"})

        answer = post(client, subscription, "upgrade", plan_id=str(lite.pk)).json()

        # 20.59 back, 9.00 × 22 / 31 = 6.387…: 6.38.
        assert answer["message"] == "The change has taken effect."
        assert (answer["invoice"]["status"], answer["invoice"]["amount"]) == ("paid", "0.00")
        assert answer["subscription"]["plan"]["name"] == "Lite"
        assert client.get("/api/v1/user/credit").json() == {
            "credit": [{"amount": "14.21", "currency": "USD"}]
        }

    def test_to_a_plan_that_is_moved_to_at_the_end(self, client, subscription):
        later = PlanFactory(name="Later", arrival="period_end")

        answer = post(client, subscription, "upgrade", plan_id=str(later.pk)).json()

        assert answer["message"] == "The subscription changes when its period ends."
        assert answer["invoice"] is None
        assert answer["subscription"]["pending_plan_id"] == str(later.pk)

    def test_without_a_price_in_its_currency_is_refused(self, client, subscription):
        euro = PlanFactory(name="Euro", prices={"EUR": "9.00"})
        before = rows_of_billing()

        answer = post(client, subscription, "upgrade", plan_id=str(euro.pk))

        assert answer.status_code == 400
        assert answer.json()["code"] == "price_not_available"
        assert answer.json()["context"] == {
            "item_id": str(euro.pk),
            "item_name": "Euro",
            "currency": "USD",
        }
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "validation_error"),
            ({"plan_id": 5}, "validation_error"),
            ({"plan_id": str(UUID(int=5))}, "plan_not_found"),
            ({"plan_id": "own"}, "nothing_to_change"),
            ({"plan_id": "own", "quantity": 1}, "nothing_to_change"),
            ({"plan_id": "own", "quantity": 10_001}, "validation_error"),
            ({"plan_id": "own", "quantity": "2"}, "validation_error"),
        ],
    )
    def test_bad_requests_are_refused(self, client, subscription, body, code):
        if body.get("plan_id") == "own":
            body = body | {"plan_id": str(subscription.plan_id)}
        before = rows_of_billing()

        answer = post(client, subscription, "upgrade", **body)

        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert rows_of_billing() == before

    def test_somebody_elses_is_not_found(self, subscription, pro, signed_in):
        answer = post(signed_in(UserFactory()), subscription, "upgrade", plan_id=str(pro.pk))

        assert answer.status_code == 404
        assert not SubscriptionChange.objects.exists()


class TestDowngrade:
    def test_happens_when_the_period_ends(self, client, subscription):
        lite = PlanFactory(name="Lite", prices={"USD": "9.00"})

        answer = post(client, subscription, "downgrade", plan_id=str(lite.pk)).json()

        assert answer["message"] == "The subscription changes when its period ends."
        assert answer["invoice"] is None
        assert answer["subscription"]["pending_plan_id"] == str(lite.pk)
        assert answer["subscription"]["plan"]["name"] == "Basic"

    def test_the_plan_that_it_has_takes_the_wish_back(self, client, subscription, basic):
        lite = PlanFactory(prices={"USD": "9.00"})
        post(client, subscription, "downgrade", plan_id=str(lite.pk))

        answer = post(client, subscription, "downgrade", plan_id=str(basic.pk)).json()

        assert answer["message"] == "The subscription stays as it is."
        assert answer["subscription"]["pending_plan_id"] is None


class TestQuantity:
    def test_of_the_plan(self, client, subscription):
        answer = post(client, subscription, "quantity", quantity=3).json()

        assert answer["invoice"]["amount"] == "41.15"
        pay(Invoice.objects.get(reason="change"), now=TENTH)
        shown = client.get(OWN).json()["subscriptions"][0]
        assert (shown["quantity"], shown["pending_quantity"]) == (3, None)

    def test_of_an_add_on(self, client, subscription, customer):
        made = check_out(customer, add_ons=[AddOnFactory(prices={"USD": "5.00"})], now=TENTH)
        pay(made.invoice, now=TENTH)
        add_on = AddOnSubscription.objects.get()

        answer = post(
            client, subscription, "quantity", quantity=2, add_on_subscription_id=str(add_on.pk)
        ).json()

        assert answer["invoice"]["line_items"][0]["type"] == "add_on"
        assert answer["invoice"]["amount"] == "5.00"

    def test_of_an_add_on_of_somebody_else_is_refused(self, client, subscription):
        other = UserFactory()
        subscribe(other, plan=PlanFactory(), now=NOON)
        made = check_out(other, add_ons=[AddOnFactory()], now=NOON)
        pay(made.invoice, now=NOON)
        foreign = AddOnSubscription.objects.get()

        answer = post(
            client, subscription, "quantity", quantity=2, add_on_subscription_id=str(foreign.pk)
        )

        assert (answer.status_code, answer.json()["code"]) == (400, "add_on_not_found")


class TestCancel:
    def test_runs_on_as_ever_without_a_word(self, client, subscription):
        answer = post(client, subscription, "cancel").json()

        assert answer["subscription"]["status"] == "cancelled"
        assert answer["subscription"]["is_valid"]

    def test_at_once_with_credit(self, client, subscription):
        answer = post(client, subscription, "cancel", at_once=True, credit=True).json()

        # 29.00 × 22 / 31 = 20.5806…, rounded up.
        assert answer["subscription"]["expires_at"] == "2026-03-10T12:00:00Z"
        assert not answer["subscription"]["is_valid"]
        assert client.get("/api/v1/user/credit").json() == {
            "credit": [{"amount": "20.59", "currency": "USD"}]
        }

    def test_at_once_without_credit(self, client, subscription):
        post(client, subscription, "cancel", at_once=True)

        assert client.get("/api/v1/user/credit").json() == {"credit": []}
        subscription.refresh_from_db()
        assert subscription.expires_at == TENTH

    def test_credit_for_what_runs_on_is_refused(self, client, subscription):
        answer = post(client, subscription, "cancel", credit=True)

        assert (answer.status_code, answer.json()["code"]) == (400, "credit_only_at_once")
        subscription.refresh_from_db()
        assert subscription.status == "active"

    def test_at_once_of_an_unpaid_one_gives_it_up(self, clock, customer, signed_in, basic):
        made = check_out(customer, plan=basic, now=NOON)

        post(signed_in(customer), made.subscription, "cancel", at_once=True, credit=True)

        made.invoice.refresh_from_db()
        assert made.invoice.status == "cancelled"
        assert customer_credit.balances(user_id=customer.pk) == []

    def test_withdraws_a_change_that_waits(self, client, subscription, pro):
        post(client, subscription, "upgrade", plan_id=str(pro.pk))

        post(client, subscription, "cancel")

        assert Invoice.objects.get(reason="change").status == "cancelled"
        assert SubscriptionChange.objects.get().status == "cancelled"


class TestUncancel:
    def test_takes_the_cancellation_back(self, client, subscription):
        post(client, subscription, "cancel")

        answer = post(client, subscription, "uncancel").json()

        shown = answer["subscription"]
        assert (shown["status"], shown["cancelled_at"]) == ("active", None)
        assert shown["expires_at"] == "2026-04-01T12:00:00Z"
        assert answer["message"] == "Subscription goes on."

    def test_a_trial_is_a_trial_again(self, clock, customer, signed_in):
        plan = PlanFactory(trial_days=14)
        made = check_out(customer, plan=plan, now=NOON)
        client = signed_in(customer)
        post(client, made.subscription, "cancel")

        answer = post(client, made.subscription, "uncancel").json()

        assert answer["subscription"]["status"] == "trialing"

    @pytest.mark.parametrize("state", ["active", "over", "by_staff", "at_once"])
    def test_is_refused_where_there_is_nothing_to_take_back(
        self, subscription, signed_in, clock, state
    ):
        if state == "by_staff":
            author = subscriptions.Author(UserFactory().pk, "Abuse")
            subscriptions.cancel(subscription=subscription, author=author, now=TENTH)
        elif state != "active":
            endings.cancel(subscription=subscription, at_once=state == "at_once", now=TENTH)
        if state == "over":
            clock.move_to(END)
        before = Subscription.objects.values().get()

        answer = post(signed_in(subscription.user), subscription, "uncancel")

        assert (answer.status_code, answer.json()["code"]) == (400, "subscription_state_forbids")
        assert Subscription.objects.values().get() == before

    def test_is_refused_beside_another_live_one(self, client, subscription, customer, pro):
        post(client, subscription, "cancel")
        subscribe(customer, plan=pro, now=TENTH)
        Subscription.objects.filter(pk=subscription.pk).update(
            expires_at=END, cancel_reason="customer"
        )

        answer = post(client, subscription, "uncancel")

        assert (answer.status_code, answer.json()["code"]) == (409, "subscription_is_live")
        Subscription.objects.filter(pk=subscription.pk).update(expires_at=TENTH)


class TestPaymentState:
    def shown(self, client):
        row = client.get(OWN).json()["subscriptions"][0]
        return row["status"], row["payment_state"]

    def test_of_what_is_paid(self, client, subscription):
        assert self.shown(client) == ("active", "paid")

    def test_of_what_was_never_paid(self, clock, customer, signed_in, basic):
        made = check_out(customer, plan=basic, now=NOON)
        client = signed_in(customer)

        assert self.shown(client) == ("pending", "pending")
        post(client, made.subscription, "cancel")
        assert self.shown(client) == ("cancelled", "unpaid")

    def test_past_due_is_active_within_the_grace_time_and_expired_after(
        self, client, subscription, clock, signed_in, customer
    ):
        grace = datetime(2026, 4, 8, 12, tzinfo=UTC)
        TestClock.objects.create(user=customer, now_at=TENTH, behaviour="never_pays")
        running.run(now=END, user_id=customer.pk)
        TestClock.objects.all().delete()
        assert Subscription.objects.get().grace_until == grace

        clock.move_to(datetime(2026, 4, 8, 11, tzinfo=UTC))
        assert self.shown(signed_in(customer)) == ("active", "past_due")
        clock.move_to(grace)
        assert self.shown(signed_in(customer)) == ("expired", "past_due")

    def test_of_what_has_ended_unpaid(self, client, subscription):
        Subscription.objects.update(status="expired", cancel_reason="unpaid", expires_at=TENTH)

        assert self.shown(client) == ("expired", "unpaid")


class TestByStaff:
    def change(self, staff, subscription, **body):
        body.setdefault("reason", "They called")
        return staff.post(f"{STAFF}/{subscription.pk}/change", body)

    def test_now(self, staff, subscription, pro):
        answer = self.change(staff, subscription, plan_id=str(pro.pk))

        assert answer.status_code == 200
        assert answer.json()["invoice"]["amount"] == "49.66"
        assert answer.json()["message"] == "The change takes effect when its invoice is paid."
        event = Event.objects.get(name="subscription.change_requested")
        assert event.payload["note"] == "They called"

    def test_at_the_end_of_the_period(self, staff, subscription, pro):
        answer = self.change(
            staff, subscription, plan_id=str(pro.pk), quantity=4, at_period_end=True
        ).json()

        assert answer["subscription"]["pending_plan_id"] == str(pro.pk)
        assert answer["subscription"]["pending_quantity"] == 4
        assert answer["invoice"] is None

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "validation_error"),
            ({"quantity": 2, "reason": ""}, "validation_error"),
            ({"quantity": 1}, "nothing_to_change"),
            ({"plan_id": str(UUID(int=5))}, "plan_not_found"),
        ],
    )
    def test_bad_requests_are_refused(self, staff, subscription, body, code):
        before = rows_of_billing()

        answer = self.change(staff, subscription, **body)

        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert rows_of_billing() == before

    def test_cancels_at_once_with_credit(self, staff, subscription, customer):
        answer = staff.post(
            f"{STAFF}/{subscription.pk}/cancel",
            {"at_once": True, "credit": True, "reason": "They moved"},
        )

        assert answer.status_code == 200
        (left,) = customer_credit.balances(user_id=customer.pk)
        assert str(left) == "20.59"
        event = Event.objects.get(name="subscription.cancelled")
        assert event.payload["credit"] == "20.59"
