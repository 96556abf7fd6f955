from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from billing.models import AddOnSubscription, Invoice, Subscription
from billing.services import activation
from tests.billing.purchases import check_out, subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.mark.django_db
class TestFree:
    def test_is_paid_at_once(self, client, customer):
        plan = PlanFactory(name="Free", slug="free", prices={"USD": "0"})
        bundle = TokenBundleFactory(token_amount=50, prices={"USD": "0"})
        add_on = AddOnFactory(prices={"USD": "0"})

        response = client.post(
            URL,
            {
                "plan_id": str(plan.id),
                "token_bundle_ids": [str(bundle.id)] * 2,
                "add_on_ids": [str(add_on.id)],
            },
        )

        assert response.status_code == 201
        made = response.json()
        assert made["message"] == (
            "Checkout completed. There is nothing to pay: everything is active."
        )
        invoice = made["invoice"]
        assert invoice["status"] == "paid"
        assert invoice["total_amount"] == "0.00"
        assert invoice["paid_at"] == "2026-03-01T12:00:00Z"
        assert invoice["is_payable"] is False
        subscription = made["subscription"]
        assert subscription["status"] == "active"
        assert subscription["is_valid"] is True
        assert subscription["started_at"] == "2026-03-01T12:00:00Z"
        assert subscription["expires_at"] == "2026-04-01T12:00:00Z"
        assert subscription["days_remaining"] == 31
        assert subscription["plan"]["slug"] == "free"
        assert [purchase["status"] for purchase in made["token_bundles"]] == ["completed"] * 2
        assert [purchase["tokens_credited"] for purchase in made["token_bundles"]] == [True, True]
        assert made["token_bundles"][0]["completed_at"] == "2026-03-01T12:00:00Z"
        assert [line["item_id"] for line in invoice["line_items"][1:3]] == [
            purchase["id"] for purchase in made["token_bundles"]
        ]
        (bought,) = made["add_ons"]
        assert (bought["status"], bought["is_valid"]) == ("active", True)
        assert bought["starts_at"] == "2026-03-01T12:00:00Z"
        assert bought["expires_at"] == "2026-04-01T12:00:00Z"
        assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 100}

    def test_an_add_on_joins_the_live_subscription_at_once(self, client, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON - timedelta(days=10))
        add_on = AddOnFactory(prices={"USD": "0"})

        made = client.post(URL, {"add_on_ids": [str(add_on.id)]}).json()

        assert live.expires_at == datetime(2026, 3, 19, 12, tzinfo=UTC)
        assert made["invoice"]["status"] == "paid"
        assert made["add_ons"][0]["status"] == "active"
        assert made["add_ons"][0]["expires_at"] == "2026-03-19T12:00:00Z"

    def test_replaces_the_live_subscription(self, client, customer):
        old = subscribe(customer, plan=PlanFactory(), now=NOON - timedelta(days=10))
        free = PlanFactory(prices={"USD": "0"})

        client.post(URL, {"plan_id": str(free.id)})

        old.refresh_from_db()
        assert (old.status, old.cancel_reason) == ("cancelled", "superseded")
        assert Subscription.objects.live().get().plan == free

    def test_a_free_item_beside_a_paid_one_waits_for_the_payment(self, client):
        plan = PlanFactory(prices={"USD": "29.00"})
        add_on = AddOnFactory(prices={"USD": "0"})

        made = client.post(URL, {"plan_id": str(plan.id), "add_on_ids": [str(add_on.id)]}).json()

        assert made["invoice"]["status"] == "pending"
        assert made["add_ons"][0]["status"] == "pending"
        assert made["message"] == "Checkout created. Awaiting payment."


@pytest.mark.django_db(transaction=True)
class TestLockOfAFreeCheckout:
    """It makes a subscription live, so it waits for whatever else does that to the customer."""

    @pytest.fixture
    def free(self):
        return PlanFactory(prices={"USD": "0"})

    def test_waits_for_the_customer(self, customer, free, held_by_another):
        with held_by_another(customer), pytest.raises(OperationalError, match="lock timeout"):
            check_out(customer, plan=free, now=NOON)

        assert not Invoice.objects.exists()

    def test_a_checkout_that_is_to_be_paid_does_not_wait(self, customer, held_by_another):
        plan = PlanFactory()

        with held_by_another(customer):
            check_out(customer, plan=plan, now=NOON)

        assert Invoice.objects.get().status == "pending"

    def test_does_not_hold_the_series_while_it_waits(self, customer, free):
        with CaptureQueriesContext(connection) as captured:
            check_out(customer, plan=free, now=NOON)

        made = [query["sql"] for query in captured]
        (locked,) = [position for position, sql in enumerate(made) if "FOR NO KEY UPDATE" in sql]
        numbered = [position for position, sql in enumerate(made) if "take_number" in sql]
        assert "accounts_user" in made[locked]
        assert locked < min(numbered)


@pytest.mark.django_db
class TestSettleFree:
    def test_what_is_free_cannot_join_a_subscription_that_has_just_ended(self, customer):
        subscription = subscribe(customer, plan=PlanFactory(), now=NOON)
        made = check_out(customer, add_ons=[AddOnFactory()], now=NOON)
        after_its_end = subscription.expires_at

        with pytest.raises(activation.SubscriptionNotActive) as refusal:
            activation.settle_free(invoice=made.invoice, now=after_its_end)

        assert refusal.value.code == "subscription_not_active"
        assert Invoice.objects.get(pk=made.invoice.pk).status == "pending"
        assert AddOnSubscription.objects.get().status == "pending"
