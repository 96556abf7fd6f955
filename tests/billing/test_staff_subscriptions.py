"""What staff do with subscriptions, through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing.models import AddOnSubscription, Event, Invoice, Payment, Subscription
from billing.services import staff_subscriptions, subscriptions, tokens
from billing.services.subscriptions import SubscriptionStateForbids
from tests.billing.purchases import check_out, pay, rows_of_billing, subscribe
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
AREA = "/api/v1/admin/subscriptions"
EVERYTHING = [
    "billing.view_subscription",
    "billing.add_subscription",
    "billing.change_subscription",
    "billing.take_payment",
    "billing.refund_invoice",
]


@pytest.fixture
def member():
    return StaffFactory(email="agent@example.com", permissions=EVERYTHING)


@pytest.fixture
def staff(clock, member, signed_in):
    return signed_in(member)


@pytest.fixture
def now(clock):
    return timezone.now()


@pytest.fixture
def subscription(customer, now):
    """Active from noon on 1 March to 1 April, with an add-on that ends with it."""
    made = check_out(
        customer,
        plan=PlanFactory(name="Pro", prices={"USD": "29.00", "EUR": "27.00"}),
        add_ons=[AddOnFactory()],
        now=now,
    )
    pay(made.invoice, now=now)
    made.subscription.refresh_from_db()
    return made.subscription


def post(staff, subscription, action, **body):
    return staff.post(f"{AREA}/{subscription.pk}/{action}", body)


class TestList:
    def test_shows_everybodys_newest_first(self, staff, subscription, now):
        other = subscribe(UserFactory(email="zoe@example.com"), plan=PlanFactory(), now=now)

        answer = staff.get(AREA).json()

        assert (answer["total"], answer["limit"], answer["offset"]) == (2, 20, 0)
        assert [row["id"] for row in answer["subscriptions"]] == [
            str(other.pk),
            str(subscription.pk),
        ]
        assert answer["subscriptions"][0]["user_email"] == "zoe@example.com"

    def test_is_filtered_and_cut(self, staff, subscription, customer, now):
        check_out(UserFactory(), plan=PlanFactory(), now=now)

        pending = staff.get(AREA, {"status": "pending"}).json()
        own = staff.get(AREA, {"user_id": str(customer.pk)}).json()
        second = staff.get(AREA, {"limit": 1, "offset": 1}).json()

        assert [row["status"] for row in pending["subscriptions"]] == ["pending"]
        assert [row["id"] for row in own["subscriptions"]] == [str(subscription.pk)]
        assert [row["id"] for row in second["subscriptions"]] == [str(subscription.pk)]
        assert second["total"] == 2

    @pytest.mark.parametrize(
        "query", [{"status": "dead"}, {"user_id": "1"}, {"limit": 0}, {"offset": -1}]
    )
    def test_refuses_what_it_cannot_ask(self, staff, query):
        response = staff.get(AREA, query)

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")

    def test_costs_the_same_for_many(self, staff, subscription, now, django_assert_num_queries):
        with django_assert_num_queries(5):
            staff.get(AREA)

        for _ in range(8):
            subscribe(UserFactory(), plan=PlanFactory(), now=now)
        with django_assert_num_queries(5):
            staff.get(AREA)


class TestRetrieve:
    def test_shows_one(self, staff, subscription):
        shown = staff.get(f"{AREA}/{subscription.pk}").json()["subscription"]

        assert (shown["status"], shown["plan"]["name"]) == ("active", "Pro")
        assert shown["cancel_reason"] == ""

    def test_of_none_is_404(self, staff):
        assert staff.get(f"{AREA}/019aa000-0000-7000-8000-000000000000").status_code == 404


class TestStart:
    def test_makes_a_pending_one_with_its_invoice(self, staff, customer, member):
        plan = PlanFactory(name="Pro", prices={"USD": "29.00", "EUR": "27.00"})
        body = {"user_id": str(customer.pk), "plan_id": str(plan.pk), "currency": "eur"}

        response = staff.post(AREA, body)

        answer = response.json()
        assert response.status_code == 201
        assert answer["subscription"]["status"] == "pending"
        assert (answer["invoice"]["total_amount"], answer["invoice"]["currency"]) == (
            "27.00",
            "EUR",
        )
        assert answer["invoice"]["line_items"][0]["description"] == "Pro"
        assert Event.objects.get(name="subscription.started").payload["by"] == str(member.pk)

    def test_where_one_is_live_is_409(self, staff, customer, subscription):
        before = rows_of_billing()

        response = staff.post(AREA, {"user_id": str(customer.pk), "plan_id": str(PlanFactory().pk)})

        assert (response.status_code, response.json()["code"]) == (409, "subscription_is_live")
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "validation_error"),
            ({"user_id": "x", "plan_id": "y"}, "validation_error"),
            (
                {"user_id": "019aa000-0000-7000-8000-000000000000", "plan_id": "plan"},
                "customer_not_found",
            ),
            (
                {"user_id": "customer", "plan_id": "019aa000-0000-7000-8000-000000000000"},
                "plan_not_found",
            ),
            ({"user_id": "customer", "plan_id": "plan", "currency": "XXX"}, "unknown_currency"),
        ],
    )
    def test_of_what_is_not_there_is_400(self, staff, customer, body, code):
        known = {"customer": str(customer.pk), "plan": str(PlanFactory().pk)}

        response = staff.post(AREA, {name: known.get(body[name], body[name]) for name in body})

        assert (response.status_code, response.json()["code"]) == (400, code)
        assert not Invoice.objects.exists()

    def test_of_a_free_plan_is_live_at_once(self, staff, customer):
        plan = PlanFactory(prices={"USD": "0"})

        answer = staff.post(AREA, {"user_id": str(customer.pk), "plan_id": str(plan.pk)}).json()

        assert (answer["subscription"]["status"], answer["invoice"]["status"]) == ("active", "paid")
        assert answer["message"] == "The subscription is active: nothing is to be paid."

    def test_of_a_closed_account_is_refused(self, staff):
        closed = UserFactory(status="deleted")

        response = staff.post(AREA, {"user_id": str(closed.pk), "plan_id": str(PlanFactory().pk)})

        assert (response.status_code, response.json()["code"]) == (400, "account_closed")
        assert not Invoice.objects.exists()


class TestActivate:
    def test_takes_the_invoice_of_a_pending_one_as_paid(self, staff, customer, now):
        made = check_out(customer, plan=PlanFactory(), now=now)

        response = post(staff, made.subscription, "activate", reason="Paid in cash")

        assert response.status_code == 200
        assert response.json()["subscription"]["status"] == "active"
        payment = Payment.objects.get()
        assert (payment.provider, payment.method) == ("manual", "staff")

    def test_of_a_pending_one_needs_the_permission_to_take_payments(self, customer, signed_in, now):
        made = check_out(customer, plan=PlanFactory(), now=now)
        agent = signed_in(StaffFactory(permissions=["billing.change_subscription"]))

        response = post(agent, made.subscription, "activate")

        assert response.status_code == 403
        assert not Payment.objects.exists()

    def test_resumes_a_paused_one(self, staff, subscription, member, now):
        subscriptions.pause(subscription=subscription, now=now)

        response = post(staff, subscription, "activate", reason="By phone")

        assert response.json()["subscription"]["status"] == "active"
        assert Event.objects.get(name="subscription.resumed").payload == {
            "status": "active",
            "reason": "staff",
            "by": str(member.pk),
            "note": "By phone",
        }

    def test_takes_a_cancellation_back(self, staff, subscription, now):
        subscriptions.cancel(subscription=subscription, now=now)

        shown = post(staff, subscription, "activate").json()["subscription"]

        assert (shown["status"], shown["cancelled_at"]) == ("active", None)
        assert shown["expires_at"] == "2026-04-01T12:00:00Z"

    def test_of_a_cancelled_one_is_refused_where_another_is_live(
        self, staff, customer, subscription, now
    ):
        subscriptions.cancel(subscription=subscription, now=now)
        other = subscribe(customer, plan=PlanFactory(), now=now)
        Subscription.objects.filter(pk=subscription.pk).update(expires_at="2027-01-01T00:00Z")

        response = post(staff, subscription, "activate")

        assert (response.status_code, response.json()["code"]) == (409, "subscription_is_live")
        other.refresh_from_db()
        assert other.status == "active"

    def test_of_an_active_one_is_refused(self, staff, subscription):
        response = post(staff, subscription, "activate")

        assert (response.status_code, response.json()["code"]) == (
            400,
            "subscription_state_forbids",
        )


class TestCancel:
    def test_at_the_end_of_the_period(self, staff, subscription, member):
        shown = post(staff, subscription, "cancel", reason="By phone").json()["subscription"]

        assert (shown["status"], shown["is_valid"]) == ("cancelled", True)
        assert shown["expires_at"] == "2026-04-01T12:00:00Z"
        assert shown["cancel_reason"] == "staff"
        event = Event.objects.get(name="subscription.cancelled")
        assert event.payload == {
            "status": "cancelled",
            "reason": "staff",
            "by": str(member.pk),
            "note": "By phone",
        }

    def test_at_once(self, staff, subscription):
        shown = post(staff, subscription, "cancel", at_once=True).json()["subscription"]

        assert (shown["status"], shown["is_valid"], shown["cancel_reason"]) == (
            "cancelled",
            False,
            "staff",
        )
        assert AddOnSubscription.objects.get().status == "cancelled"

    @pytest.mark.parametrize("at_once", [True, False])
    def test_of_an_unpaid_one_gives_up_its_checkout(self, staff, customer, member, now, at_once):
        made = check_out(customer, plan=PlanFactory(), add_ons=[AddOnFactory()], now=now)

        shown = post(
            staff, made.subscription, "cancel", at_once=at_once, reason="Ordered twice"
        ).json()["subscription"]

        assert (shown["status"], shown["cancel_reason"]) == ("cancelled", "staff")
        assert Invoice.objects.get().status == "cancelled"
        assert AddOnSubscription.objects.get().status == "cancelled"
        payload = Event.objects.get(name="subscription.cancelled").payload
        assert (payload["by"], payload["note"]) == (str(member.pk), "Ordered twice")

    def test_at_once_of_a_paused_one(self, staff, subscription, now):
        subscriptions.pause(subscription=subscription, now=now)

        shown = post(staff, subscription, "cancel", at_once=True).json()["subscription"]

        assert (shown["status"], shown["is_valid"], shown["paused_at"]) == (
            "cancelled",
            False,
            None,
        )
        assert shown["expires_at"] == "2026-03-01T12:00:00Z"

    def test_at_once_of_one_whose_time_is_over_leaves_its_end(self, subscription, member, now):
        later = now + timedelta(days=40)

        ended = staff_subscriptions.cancel(
            subscription=subscription, at_once=True, by=member, reason="x", now=later
        )

        assert (ended.status, ended.cancelled_at) == ("cancelled", later)
        assert ended.expires_at == subscription.expires_at

    @pytest.mark.parametrize("at_once", [True, False])
    def test_by_whose_clock_is_behind_ends_nothing_before_it_began(
        self, customer, member, now, at_once
    ):
        lifelong = subscribe(customer, plan=PlanFactory(billing_period="one_time"), now=now)

        ended = staff_subscriptions.cancel(
            subscription=lifelong,
            at_once=at_once,
            by=member,
            reason="x",
            now=now - timedelta(seconds=1),
        )

        assert (ended.cancelled_at, ended.expires_at) == (now, now)

    def test_at_once_of_one_that_was_cancelled_for_later(self, staff, subscription):
        post(staff, subscription, "cancel")

        response = post(staff, subscription, "cancel", at_once=True)

        assert response.json()["subscription"]["is_valid"] is False

    def test_again_is_refused(self, staff, subscription):
        post(staff, subscription, "cancel", at_once=True)
        before = rows_of_billing()

        for body in ({"at_once": True}, {}):
            response = post(staff, subscription, "cancel", **body)

            assert response.status_code == 400
        assert rows_of_billing() == before


class TestExtend:
    def test_moves_the_end_and_that_of_the_add_ons(self, staff, subscription, member):
        shown = post(staff, subscription, "extend", days=10, reason="Outage").json()["subscription"]

        assert shown["expires_at"] == "2026-04-11T12:00:00Z"
        assert AddOnSubscription.objects.get().expires_at.isoformat().startswith("2026-04-11T12")
        event = Event.objects.get(name="subscription.extended")
        assert event.payload == {"days": 10, "by": str(member.pk), "reason": "Outage"}
        noted = subscription.history.order_by("pgh_id").last().pgh_context.metadata
        assert noted["reason"] == "Outage"

    def test_moves_an_add_on_that_was_bought_during_a_pause(self, staff, customer, now):
        live = subscribe(customer, plan=PlanFactory(), now=now)
        subscriptions.pause(subscription=live, now=now)
        later = now + timedelta(days=2)
        late = check_out(customer, add_ons=[AddOnFactory()], now=later)
        pay(late.invoice, now=later)

        post(staff, live, "extend", days=10)
        resumed = subscriptions.resume(subscription=live, now=now + timedelta(days=5))

        assert resumed.expires_at == datetime(2026, 4, 16, 12, tzinfo=UTC)
        assert AddOnSubscription.objects.get().expires_at == datetime(2026, 4, 16, 12, tzinfo=UTC)

    def test_of_one_that_is_cancelled_and_still_runs(self, staff, subscription):
        post(staff, subscription, "cancel")

        shown = post(staff, subscription, "extend", days=1).json()["subscription"]

        assert (shown["status"], shown["expires_at"]) == ("cancelled", "2026-04-02T12:00:00Z")
        assert AddOnSubscription.objects.get().expires_at == datetime(2026, 4, 2, 12, tzinfo=UTC)

    def test_of_a_live_one_whose_time_is_over_lets_it_run_again(self, subscription, member):
        def extend(days):
            return staff_subscriptions.extend(
                subscription=subscription,
                days=days,
                by=member,
                reason="x",
                now=datetime(2026, 4, 3, 12, tzinfo=UTC),
            )

        with pytest.raises(SubscriptionStateForbids):
            extend(2)
        assert AddOnSubscription.objects.get().expires_at == subscription.expires_at
        assert extend(3).expires_at == datetime(2026, 4, 4, 12, tzinfo=UTC)

    def test_of_one_that_never_ends_is_refused(self, staff, customer, now):
        lifelong = subscribe(customer, plan=PlanFactory(billing_period="one_time"), now=now)

        response = post(staff, lifelong, "extend", days=1)

        assert (response.status_code, response.json()["code"]) == (
            400,
            "subscription_state_forbids",
        )

    @pytest.mark.parametrize("days", [0, -1, 3661, "x", None, 1.5])
    def test_of_no_days_is_refused(self, staff, subscription, days):
        response = post(staff, subscription, "extend", days=days)

        assert response.status_code == 400
        assert Subscription.objects.get().expires_at == subscription.expires_at

    def test_of_one_that_is_over_is_refused(self, staff, subscription):
        post(staff, subscription, "cancel", at_once=True)

        response = post(staff, subscription, "extend", days=1)

        assert response.json()["code"] == "subscription_state_forbids"


class TestRefund:
    def test_refunds_the_invoice_that_made_it_live(self, staff, subscription):
        response = post(staff, subscription, "refund", refund_reference="back-1")

        answer = response.json()
        assert response.status_code == 200
        assert answer["message"] == "The subscription is refunded."
        assert answer["invoice"]["status"] == "refunded"
        assert answer["subscription"]["cancel_reason"] == "refunded"

    def test_says_which_tokens_were_used(self, staff, customer, now):
        made = check_out(
            customer, plan=PlanFactory(), bundles=[TokenBundleFactory(token_amount=500)], now=now
        )
        pay(made.invoice, now=now)
        tokens.spend(user_id=customer.pk, amount=120, reference="x", now=now)

        response = post(staff, made.subscription, "refund", refund_reference="back-1")

        assert response.json()["message"] == (
            "The subscription is refunded. 120 of its tokens had been used and are not taken back."
        )

    def test_of_one_that_was_not_paid_is_refused(self, staff, customer, now):
        made = check_out(customer, plan=PlanFactory(), now=now)

        response = post(staff, made.subscription, "refund", refund_reference="back-1")

        assert response.json()["code"] == "subscription_state_forbids"

    def test_without_a_reference_is_400(self, staff, subscription):
        response = post(staff, subscription, "refund")

        assert response.json()["fields"] == {"refund_reference": ["This field is required."]}


class TestPermissions:
    @pytest.mark.parametrize(
        ("action", "permission"),
        [
            ("activate", "billing.change_subscription"),
            ("cancel", "billing.change_subscription"),
            ("extend", "billing.change_subscription"),
            ("refund", "billing.refund_invoice"),
        ],
    )
    def test_each_action_asks_for_its_own(self, signed_in, subscription, action, permission):
        others = [name for name in EVERYTHING if name != permission]
        body = {"days": 1, "refund_reference": "x"}

        response = signed_in(StaffFactory(permissions=others)).post(
            f"{AREA}/{subscription.pk}/{action}", body
        )

        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")

    @pytest.mark.parametrize(
        ("method", "path", "permission"),
        [
            ("get", "", "billing.view_subscription"),
            ("get", "/{pk}", "billing.view_subscription"),
            ("post", "", "billing.add_subscription"),
        ],
    )
    def test_to_see_and_to_start_ask_for_their_own(
        self, signed_in, subscription, method, path, permission
    ):
        others = [name for name in EVERYTHING if name != permission]
        client = signed_in(StaffFactory(permissions=others))

        response = getattr(client, method)(AREA + path.format(pk=subscription.pk))

        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
