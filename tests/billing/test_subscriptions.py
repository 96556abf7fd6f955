from datetime import UTC, datetime, timedelta

import pytest

from billing.models import AddOnSubscription, Invoice, Subscription, TokenBundlePurchase
from billing.services import subscriptions
from tests.billing.purchases import check_out, events_named, pay, rows_of_billing, subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/subscriptions"
NOWHERE = "019b0000-0000-7000-8000-000000000000"
ACTIONS = ["cancel", "pause", "resume"]


def march(day, hour=12):
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.fixture
def live(clock, customer):
    """Active since noon on 1 March, to noon on 1 April, with an add-on."""
    made = check_out(customer, plan=PlanFactory(name="Pro"), add_ons=[AddOnFactory()], now=NOON)
    pay(made.invoice, now=NOON)
    made.subscription.refresh_from_db()
    return made.subscription


def the_add_on():
    return AddOnSubscription.objects.get()


@pytest.mark.django_db
class TestList:
    def test_shows_subscriptions_with_every_key_of_the_contract(self, client, customer, live):
        response = client.get(URL)

        assert response.status_code == 200
        assert response.json() == {
            "subscriptions": [
                {
                    "id": str(live.id),
                    "user_id": str(customer.id),
                    "tarif_plan_id": str(live.plan_id),
                    "pending_plan_id": None,
                    "status": "active",
                    "is_valid": True,
                    "days_remaining": 31,
                    "payment_state": "paid",
                    "quantity": 1,
                    "pending_quantity": None,
                    "trial_ends_at": None,
                    "started_at": "2026-03-01T12:00:00Z",
                    "expires_at": "2026-04-01T12:00:00Z",
                    "cancelled_at": None,
                    "paused_at": None,
                    "created_at": "2026-03-01T12:00:00Z",
                    "plan": {
                        "id": str(live.plan_id),
                        "name": "Pro",
                        "slug": live.plan.slug,
                        "price": "29.00",
                        "currency": "USD",
                        "billing_period": "monthly",
                    },
                }
            ]
        }

    def test_is_newest_first_and_the_customers_own(self, client, customer):
        subscribe(UserFactory(), plan=PlanFactory(), now=NOON)
        ids = [
            str(check_out(customer, plan=PlanFactory(), now=NOON).subscription.id) for _ in range(3)
        ]

        shown = client.get(f"{URL}/").json()["subscriptions"]

        assert [subscription["id"] for subscription in shown] == ids[::-1]

    def test_of_a_new_customer_is_empty(self, client):
        assert client.get(URL).json() == {"subscriptions": []}

    @pytest.mark.parametrize("path", [URL, f"{URL}/active"])
    def test_needs_a_token(self, api, path):
        assert api.get(path).status_code == 401


@pytest.mark.django_db
class TestActive:
    def test_is_the_live_one_with_the_price_of_the_plan_as_a_number(self, client, live):
        shown = client.get(f"{URL}/active").json()["subscription"]

        assert shown["id"] == str(live.id)
        assert shown["plan"]["price"] == 29.0
        assert isinstance(shown["plan"]["price"], float)
        assert shown["plan"]["currency"] == "USD"
        (listed,) = client.get(URL).json()["subscriptions"]
        assert {**shown, "plan": None} == {**listed, "plan": None}

    @pytest.mark.parametrize(
        ("currency", "price", "shown"), [("JPY", "2900", 2900), ("KWD", "2.905", 2.905)]
    )
    def test_the_number_is_the_price_in_any_currency(
        self, client, customer, currency, price, shown
    ):
        plan = PlanFactory(default_currency=currency, prices={currency: price})
        subscribe(customer, plan=plan, now=NOON)

        assert client.get(f"{URL}/active/").json()["subscription"]["plan"]["price"] == shown

    def test_is_null_where_there_is_none(self, client, customer):
        check_out(customer, plan=PlanFactory(), now=NOON)
        subscribe(UserFactory(), plan=PlanFactory(), now=NOON)

        assert client.get(f"{URL}/active").json() == {"subscription": None}

    def test_is_one_that_was_cancelled_and_runs_on(self, client, live):
        client.post(f"{URL}/{live.id}/cancel")

        shown = client.get(f"{URL}/active").json()["subscription"]

        assert (shown["id"], shown["status"], shown["is_valid"]) == (
            str(live.id),
            "cancelled",
            True,
        )

    def test_is_a_paused_one(self, client, live):
        client.post(f"{URL}/{live.id}/pause")

        shown = client.get(f"{URL}/active").json()["subscription"]

        assert (shown["status"], shown["is_valid"]) == ("paused", False)

    def test_is_not_one_whose_time_is_over(self, clock, customer, signed_in, live):
        clock.move_to(live.expires_at)

        assert signed_in(customer).get(f"{URL}/active").json() == {"subscription": None}
        (listed,) = signed_in(customer).get(URL).json()["subscriptions"]
        assert (listed["is_valid"], listed["days_remaining"]) == (False, 0)


@pytest.mark.django_db
class TestDaysRemaining:
    @pytest.mark.parametrize(
        ("moment", "days"),
        [
            (march(1), 31),
            (march(1, 13), 31),  # a day that has begun counts
            (march(2), 30),
            (march(31), 1),
            (datetime(2026, 4, 1, 11, 59, 59, tzinfo=UTC), 1),
            (datetime(2026, 4, 1, 12, tzinfo=UTC), 0),
            (datetime(2026, 6, 1, tzinfo=UTC), 0),
        ],
    )
    def test_are_counted_to_the_end(self, clock, customer, signed_in, live, moment, days):
        clock.move_to(moment)

        (shown,) = signed_in(customer).get(URL).json()["subscriptions"]

        assert shown["days_remaining"] == days

    def test_stand_still_during_a_pause(self, clock, customer, signed_in, live):
        subscriptions.pause(subscription=live, now=march(10))
        clock.move_to(march(25))

        (shown,) = signed_in(customer).get(URL).json()["subscriptions"]

        assert shown["days_remaining"] == 22

    def test_are_null_where_it_never_ends(self, client, customer):
        subscribe(customer, plan=PlanFactory(billing_period="one_time"), now=NOON)

        (shown,) = client.get(URL).json()["subscriptions"]

        assert shown["days_remaining"] is None
        assert shown["expires_at"] is None
        assert shown["is_valid"] is True


@pytest.mark.django_db
class TestCancelOverHTTP:
    def test_answers_with_the_subscription(self, client, live):
        response = client.post(f"{URL}/{live.id}/cancel")

        assert response.status_code == 200
        answer = response.json()
        assert set(answer) == {"subscription", "message"}
        assert answer["message"] == "Subscription cancelled."
        assert answer["subscription"]["id"] == str(live.id)
        assert answer["subscription"]["status"] == "cancelled"
        assert answer["subscription"]["cancelled_at"] == "2026-03-01T12:00:00Z"
        assert answer["subscription"]["expires_at"] == "2026-04-01T12:00:00Z"
        assert answer["subscription"]["is_valid"] is True
        assert answer["subscription"]["plan"]["price"] == "29.00"

    def test_pause_and_resume_answer_with_the_subscription(self, clock, customer, signed_in, live):
        clock.move_to(march(10))
        paused = signed_in(customer).post(f"{URL}/{live.id}/pause/").json()
        clock.move_to(march(15))
        resumed = signed_in(customer).post(f"{URL}/{live.id}/resume/").json()

        assert paused["message"] == "Subscription paused."
        assert paused["subscription"]["status"] == "paused"
        assert paused["subscription"]["is_valid"] is False
        assert paused["subscription"]["paused_at"] == "2026-03-10T12:00:00Z"
        assert resumed["message"] == "Subscription resumed."
        assert resumed["subscription"]["status"] == "active"
        assert resumed["subscription"]["is_valid"] is True
        assert resumed["subscription"]["paused_at"] is None
        assert resumed["subscription"]["expires_at"] == "2026-04-06T12:00:00Z"

    @pytest.mark.parametrize("action", ACTIONS)
    def test_of_anothers_is_not_found_exactly_like_one_that_is_not_there(self, client, action):
        others = subscribe(UserFactory(), plan=PlanFactory(), now=NOON)
        before = rows_of_billing()

        hidden = client.post(f"{URL}/{others.id}/{action}")
        missing = client.post(f"{URL}/{NOWHERE}/{action}")

        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
        assert rows_of_billing() == before

    @pytest.mark.parametrize("action", ACTIONS)
    @pytest.mark.parametrize("pk", ["not-a-uuid", "1", "%00", "a" * 300])
    def test_with_an_id_that_is_none_is_a_mistake(self, client, action, pk):
        response = client.post(f"{URL}/{pk}/{action}")

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_id"

    @pytest.mark.parametrize("action", ACTIONS)
    def test_needs_a_token(self, api, live, action):
        assert api.post(f"{URL}/{live.id}/{action}").status_code == 401
        live.refresh_from_db()
        assert live.status == "active"

    @pytest.mark.parametrize(
        ("action", "status", "done"),
        [
            ("cancel", "cancelled", "cancelled"),
            ("cancel", "expired", "cancelled"),
            ("pause", "pending", "paused"),
            ("pause", "trialing", "paused"),
            ("pause", "cancelled", "paused"),
            ("pause", "expired", "paused"),
            ("resume", "pending", "resumed"),
            ("resume", "trialing", "resumed"),
            ("resume", "active", "resumed"),
            ("resume", "cancelled", "resumed"),
            ("resume", "expired", "resumed"),
        ],
    )
    def test_a_state_that_does_not_allow_it_is_refused(self, client, live, action, status, done):
        Subscription.objects.update(status=status)
        before = rows_of_billing()

        response = client.post(f"{URL}/{live.id}/{action}")

        assert response.status_code == 400
        assert response.json() == {
            "error": f"A subscription that is {status} cannot be {done}.",
            "code": "subscription_state_forbids",
            "context": {"status": status},
        }
        assert rows_of_billing() == before
        live.refresh_from_db()
        assert live.status == status

    def test_a_paused_one_is_not_paused_again(self, client, live):
        subscriptions.pause(subscription=live, now=NOON)

        response = client.post(f"{URL}/{live.id}/pause")

        assert response.status_code == 400
        assert response.json()["context"] == {"status": "paused"}


@pytest.mark.django_db
class TestCancel:
    def test_lets_it_run_on_to_the_end_of_what_is_paid_for(self, live):
        cancelled = subscriptions.cancel(subscription=live, now=march(10))

        assert cancelled.status == "cancelled"
        assert cancelled.cancelled_at == march(10)
        assert cancelled.cancel_reason == "customer"
        assert cancelled.expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)
        assert cancelled.is_valid_at(march(31)) is True
        assert cancelled.is_valid_at(datetime(2026, 4, 1, 12, tzinfo=UTC)) is False
        assert the_add_on().status == "active"
        assert the_add_on().is_valid_at(march(31)) is True

    def test_of_a_trial_is_possible(self, live):
        Subscription.objects.update(status="trialing")

        assert subscriptions.cancel(subscription=live, now=march(2)).status == "cancelled"

    def test_of_one_that_never_ends_ends_it_now_and_its_add_ons(self, customer):
        made = check_out(
            customer,
            plan=PlanFactory(billing_period="one_time"),
            add_ons=[AddOnFactory(), AddOnFactory(billing_period="one_time")],
            now=NOON,
        )
        pay(made.invoice, now=NOON)

        cancelled = subscriptions.cancel(subscription=made.subscription, now=march(10))

        assert (cancelled.status, cancelled.expires_at) == ("cancelled", march(10))
        for add_on in AddOnSubscription.objects.all():
            assert (add_on.status, add_on.expires_at) == ("cancelled", march(10))
            assert add_on.cancelled_at == march(10)
            assert add_on.cancel_reason == "customer"

    def test_of_a_paused_one_loses_no_paused_time(self, live):
        subscriptions.pause(subscription=live, now=march(10))

        cancelled = subscriptions.cancel(subscription=live, now=march(15))

        assert cancelled.status == "cancelled"
        assert cancelled.paused_at is None
        assert cancelled.expires_at == datetime(2026, 4, 6, 12, tzinfo=UTC)
        assert cancelled.is_valid_at(march(20)) is True
        assert (the_add_on().status, the_add_on().expires_at) == (
            "active",
            datetime(2026, 4, 6, 12, tzinfo=UTC),
        )

    @pytest.mark.parametrize("invoice_status", ["pending", "failed"])
    def test_of_one_that_was_never_paid_gives_up_its_whole_checkout(self, customer, invoice_status):
        made = check_out(
            customer,
            plan=PlanFactory(),
            bundles=[TokenBundleFactory()] * 2,
            add_ons=[AddOnFactory()],
            now=NOON,
        )
        Invoice.objects.update(status=invoice_status)

        cancelled = subscriptions.cancel(subscription=made.subscription, now=march(2))

        assert (cancelled.status, cancelled.cancelled_at) == ("cancelled", march(2))
        assert cancelled.is_valid_at(march(2)) is False
        invoice = Invoice.objects.get()
        assert (invoice.status, invoice.is_payable) == ("cancelled", False)
        assert invoice.number == "INV-20260301-01-000001"
        assert list(TokenBundlePurchase.objects.values_list("status", flat=True)) == [
            "cancelled",
            "cancelled",
        ]
        assert the_add_on().status == "cancelled"
        assert the_add_on().cancelled_at == march(2)

    def test_of_one_that_was_never_paid_leaves_other_checkouts_alone(self, customer, live):
        given_up = check_out(customer, plan=PlanFactory(), now=NOON)
        kept = check_out(customer, plan=PlanFactory(), bundles=[TokenBundleFactory()], now=NOON)

        subscriptions.cancel(subscription=given_up.subscription, now=march(2))

        kept.invoice.refresh_from_db()
        live.refresh_from_db()
        assert kept.invoice.status == "pending"
        assert TokenBundlePurchase.objects.get().status == "pending"
        assert live.status == "active"
        assert the_add_on().status == "active"

    def test_of_a_live_one_leaves_the_open_invoice_of_its_add_ons_alone(self, customer, live):
        made = check_out(customer, add_ons=[AddOnFactory()], now=NOON)

        subscriptions.cancel(subscription=live, now=march(2))

        made.invoice.refresh_from_db()
        assert made.invoice.status == "pending"

    def test_tells_what_happened(self, live, customer):
        subscriptions.cancel(subscription=live, now=march(10))

        (event,) = events_named("subscription.cancelled")
        assert (event.subject_id, event.user_id) == (live.id, customer.id)
        assert event.created_at == march(10)


@pytest.mark.django_db
class TestPauseAndResume:
    def test_a_pause_stops_the_clock(self, live):
        paused = subscriptions.pause(subscription=live, now=march(10))

        assert (paused.status, paused.paused_at) == ("paused", march(10))
        assert paused.is_valid_at(march(10)) is False
        assert paused.is_running_at(datetime(2027, 1, 1, tzinfo=UTC)) is True
        assert the_add_on().status == "paused"
        assert the_add_on().is_valid_at(march(10)) is False

    def test_the_worked_example_of_the_billing_rules(self, customer):
        """Paid to 31 March, paused on the 10th, resumed on the 15th: it runs to 5 April."""
        made = check_out(
            customer,
            plan=PlanFactory(),
            add_ons=[AddOnFactory()],
            now=datetime(2026, 2, 28, tzinfo=UTC),
        )
        pay(made.invoice, now=datetime(2026, 2, 28, tzinfo=UTC))
        Subscription.objects.update(expires_at=march(31, 0))
        AddOnSubscription.objects.update(expires_at=march(31, 0))
        subscriptions.pause(subscription=made.subscription, now=march(10, 0))

        resumed = subscriptions.resume(subscription=made.subscription, now=march(15, 0))

        assert (resumed.status, resumed.paused_at) == ("active", None)
        assert resumed.expires_at == datetime(2026, 4, 5, tzinfo=UTC)
        assert the_add_on().status == "active"
        assert the_add_on().expires_at == datetime(2026, 4, 5, tzinfo=UTC)

    def test_no_time_is_lost_to_the_microsecond(self, live):
        moment = march(10) + timedelta(microseconds=1)
        subscriptions.pause(subscription=live, now=moment)

        resumed = subscriptions.resume(
            subscription=live, now=moment + timedelta(days=3, microseconds=7)
        )

        assert resumed.expires_at == datetime(2026, 4, 4, 12, 0, 0, 7, tzinfo=UTC)

    def test_pauses_add_up(self, live):
        for day in (5, 10, 15):
            subscriptions.pause(subscription=live, now=march(day))
            subscriptions.resume(subscription=live, now=march(day + 2))

        live.refresh_from_db()
        assert live.expires_at == datetime(2026, 4, 7, 12, tzinfo=UTC)
        assert the_add_on().expires_at == datetime(2026, 4, 7, 12, tzinfo=UTC)

    def test_a_pause_may_be_longer_than_the_period(self, live):
        subscriptions.pause(subscription=live, now=march(31))

        resumed = subscriptions.resume(
            subscription=live, now=datetime(2026, 12, 31, 12, tzinfo=UTC)
        )

        assert resumed.expires_at == datetime(2027, 1, 1, 12, tzinfo=UTC)

    def test_what_never_ends_can_be_paused_too(self, customer):
        made = check_out(
            customer,
            plan=PlanFactory(billing_period="one_time"),
            add_ons=[AddOnFactory(billing_period="one_time")],
            now=NOON,
        )
        pay(made.invoice, now=NOON)
        subscriptions.pause(subscription=made.subscription, now=march(10))

        resumed = subscriptions.resume(subscription=made.subscription, now=march(15))

        assert (resumed.status, resumed.expires_at) == ("active", None)
        assert (the_add_on().status, the_add_on().expires_at) == ("active", None)

    def test_an_add_on_bought_during_the_pause_ends_with_the_subscription(self, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.pause(subscription=live, now=march(10))
        made = check_out(customer, add_ons=[AddOnFactory()], now=march(12))
        pay(made.invoice, now=march(12))

        resumed = subscriptions.resume(subscription=live, now=march(15))

        assert resumed.expires_at == datetime(2026, 4, 6, 12, tzinfo=UTC)
        assert the_add_on().status == "active"
        assert the_add_on().expires_at == datetime(2026, 4, 6, 12, tzinfo=UTC)

    def test_an_add_on_that_was_cancelled_before_stays_so(self, live):
        AddOnSubscription.objects.update(status="cancelled", cancelled_at=march(5))

        subscriptions.pause(subscription=live, now=march(10))
        subscriptions.resume(subscription=live, now=march(15))

        assert the_add_on().status == "cancelled"
        assert the_add_on().expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)

    def test_what_is_over_cannot_be_paused(self, live):
        before = rows_of_billing()

        with pytest.raises(subscriptions.SubscriptionStateForbids, match="time is over"):
            subscriptions.pause(subscription=live, now=live.expires_at)

        live.refresh_from_db()
        assert live.status == "active"
        assert rows_of_billing() == before

    def test_tell_what_happened(self, live):
        subscriptions.pause(subscription=live, now=march(10))
        subscriptions.resume(subscription=live, now=march(15))

        (paused,) = events_named("subscription.paused")
        (resumed,) = events_named("subscription.resumed")
        assert paused.subject_id == resumed.subject_id == live.id
