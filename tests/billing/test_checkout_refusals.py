"""What is not sold: refused whole, and nothing is left of it but the event."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.models import InvoiceSeries, TokenAccount
from catalog.services import items
from tests.billing.purchases import check_out, events_named, rows_of_billing, subscribe
from tests.factories import AddOnFactory, PlanFactory, PriceFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"
NOWHERE = "019b0000-0000-7000-8000-000000000000"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.mark.django_db
class TestRefusals:
    """Each answers 400 with its code and a sentence, and leaves nothing but the event."""

    def refused(self, client, body, *, code, sentence=""):
        before = rows_of_billing()

        response = client.post(URL, body)

        assert response.status_code == 400, response.json()
        answer = response.json()
        assert answer["code"] == code
        assert sentence in answer["error"]
        assert rows_of_billing() == {**before, "Event": before["Event"] + 1}
        (event,) = events_named("checkout.failed")
        assert event.payload["code"] == code
        assert event.payload["error"] == answer["error"]
        return answer

    @pytest.mark.parametrize("body", [{}, {"token_bundle_ids": [], "add_on_ids": []}])
    def test_nothing_chosen(self, client, body):
        self.refused(client, body, code="nothing_chosen", sentence="plan_id")

    def test_an_unknown_plan(self, client):
        self.refused(client, {"plan_id": NOWHERE}, code="plan_not_found", sentence="not found")

    def test_an_unknown_bundle(self, client):
        self.refused(
            client,
            {"token_bundle_ids": [str(TokenBundleFactory().id), NOWHERE]},
            code="token_bundle_not_found",
            sentence="not found",
        )

    def test_an_unknown_add_on(self, client):
        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "add_on_ids": [NOWHERE]},
            code="add_on_not_found",
            sentence="not found",
        )

    def test_the_id_of_something_else(self, client):
        self.refused(
            client,
            {"plan_id": str(TokenBundleFactory().id)},
            code="plan_not_found",
            sentence="not found",
        )

    def test_an_inactive_plan(self, client):
        plan = PlanFactory(name="Pro", is_active=False)

        self.refused(
            client,
            {"plan_id": str(plan.id)},
            code="plan_not_active",
            sentence="plan_id: the plan Pro is not active.",
        )

    def test_an_archived_plan(self, client):
        plan = PlanFactory()
        items.archive(item=plan, now=NOON)

        self.refused(
            client, {"plan_id": str(plan.id)}, code="plan_not_active", sentence="not active"
        )

    def test_an_inactive_bundle(self, client):
        bundle = TokenBundleFactory(name="Starter", is_active=False)

        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "token_bundle_ids": [str(bundle.id)]},
            code="token_bundle_not_active",
            sentence="token_bundle_ids: the token bundle Starter is not active.",
        )

    def test_an_inactive_add_on(self, client):
        add_on = AddOnFactory(name="Support", is_active=False)

        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "add_on_ids": [str(add_on.id)]},
            code="add_on_not_active",
            sentence="add_on_ids: the add-on Support is not active.",
        )

    def test_an_add_on_that_is_not_sold_with_the_plan(self, client):
        add_on = AddOnFactory(name="Support", plans=[PlanFactory()])

        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "add_on_ids": [str(add_on.id)]},
            code="add_on_not_for_plan",
            sentence="Support is not sold with this plan",
        )

    def test_an_add_on_that_is_not_sold_with_the_plan_of_the_subscription(self, client, customer):
        subscribe(customer, plan=PlanFactory(), now=NOON)
        add_on = AddOnFactory(name="Support", plans=[PlanFactory()])

        self.refused(
            client,
            {"add_on_ids": [str(add_on.id)]},
            code="add_on_not_for_plan",
            sentence="Support is not sold with this plan",
        )

    def test_the_same_add_on_twice(self, client):
        add_on = AddOnFactory()

        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "add_on_ids": [str(add_on.id)] * 2},
            code="add_on_chosen_twice",
            sentence="add_on_ids",
        )

    def test_the_same_add_on_twice_in_two_spellings(self, client):
        add_on = str(AddOnFactory().id)

        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "add_on_ids": [add_on, add_on.upper()]},
            code="add_on_chosen_twice",
        )

    def test_fifty_one_items(self, client):
        bundle, add_on = TokenBundleFactory(), AddOnFactory()

        answer = self.refused(
            client,
            {
                "plan_id": str(PlanFactory().id),
                "token_bundle_ids": [str(bundle.id)] * 50,
                "add_on_ids": [str(add_on.id)],
            },
            code="too_many_items",
            sentence="50",
        )

        assert answer["context"] == {"maximum": 50}

    def test_an_unknown_currency(self, client):
        self.refused(
            client,
            {"plan_id": str(PlanFactory().id), "currency": "ZZZ"},
            code="unknown_currency",
            sentence="ZZZ",
        )

    def test_add_ons_alone_without_a_subscription(self, client):
        self.refused(
            client,
            {"add_on_ids": [str(AddOnFactory().id)]},
            code="no_active_subscription",
            sentence="add_on_ids",
        )

    def test_add_ons_alone_with_a_subscription_that_is_not_paid(self, client, customer):
        check_out(customer, plan=PlanFactory(), now=NOON)

        self.refused(
            client, {"add_on_ids": [str(AddOnFactory().id)]}, code="no_active_subscription"
        )

    def test_add_ons_alone_with_a_subscription_that_is_over(self, client, customer):
        subscribe(customer, plan=PlanFactory(), now=NOON - timedelta(days=28))  # a February

        self.refused(
            client, {"add_on_ids": [str(AddOnFactory().id)]}, code="no_active_subscription"
        )

    def test_add_ons_alone_with_the_subscription_of_another(self, client):
        subscribe(UserFactory(), plan=PlanFactory(), now=NOON)

        self.refused(
            client, {"add_on_ids": [str(AddOnFactory().id)]}, code="no_active_subscription"
        )

    def test_add_ons_in_another_currency_than_the_subscription(self, client, customer):
        subscribe(customer, plan=PlanFactory(), now=NOON)
        add_on = AddOnFactory(prices={"USD": "5.00", "EUR": "4.50"})

        answer = self.refused(
            client,
            {"add_on_ids": [str(add_on.id)], "currency": "EUR"},
            code="subscription_currency_differs",
            sentence="USD",
        )

        assert answer["context"] == {"currency": "USD"}

    @pytest.mark.parametrize("without_price", ["plan", "bundle", "add-on"])
    def test_an_item_without_a_price_in_the_currency_is_named(self, client, without_price):
        def sold_in(kind):
            return {"USD": "5.00"} if kind == without_price else {"USD": "5.00", "EUR": "4.50"}

        plan = PlanFactory(name="The plan", prices=sold_in("plan"))
        bundle = TokenBundleFactory(name="The bundle", prices=sold_in("bundle"))
        add_on = AddOnFactory(name="The add-on", prices=sold_in("add-on"))
        ids = {"plan": str(plan.id), "bundle": str(bundle.id), "add-on": str(add_on.id)}

        answer = self.refused(
            client,
            {
                "plan_id": ids["plan"],
                "token_bundle_ids": [ids["bundle"]],
                "add_on_ids": [ids["add-on"]],
                "currency": "EUR",
            },
            code="price_not_available",
            sentence=f"The {without_price} has no price in EUR.",
        )

        assert answer["context"] == {
            "item_id": ids[without_price],
            "item_name": f"The {without_price}",
            "currency": "EUR",
        }

    def test_a_bundle_without_a_price_in_the_plans_own_currency(self, client):
        plan = PlanFactory(default_currency="EUR", prices={"EUR": "27.00", "USD": "29.00"})
        bundle = TokenBundleFactory(name="Starter", prices={"USD": "10.00"})

        self.refused(
            client,
            {"plan_id": str(plan.id), "token_bundle_ids": [str(bundle.id)]},
            code="price_not_available",
            sentence="Starter has no price in EUR.",
        )

    def test_a_price_that_begins_later_or_is_over_is_none(self, client):
        plan = PlanFactory(name="Pro", prices={})
        PriceFactory(plan=plan, valid_until=NOON)
        PriceFactory(plan=plan, valid_from=NOON + timedelta(seconds=1))

        self.refused(
            client,
            {"plan_id": str(plan.id)},
            code="price_not_available",
            sentence="Pro has no price in USD.",
        )

    def test_the_event_keeps_what_was_asked_for(self, client, customer):
        client.post(URL, {"plan_id": NOWHERE, "currency": "usd"})

        (event,) = events_named("checkout.failed")
        assert event.user_id == customer.id
        assert event.payload["order"] == {
            "plan_id": NOWHERE,
            "token_bundle_ids": [],
            "add_on_ids": [],
            "currency": "USD",
        }


@pytest.mark.django_db(transaction=True)
class TestAllOrNothing:
    def test_what_fails_half_way_leaves_nothing_but_its_event(self, client, customer):
        plan, bundle, add_on = PlanFactory(), TokenBundleFactory(), AddOnFactory()
        # The last number that the column can hold: all other rows are written when this fails.
        InvoiceSeries.objects.create(day=NOON.date(), series=1, last_number=2**31 - 1)
        body = {
            "plan_id": str(plan.id),
            "token_bundle_ids": [str(bundle.id)],
            "add_on_ids": [str(add_on.id)],
        }
        before = rows_of_billing()

        response = client.post(URL, body, headers={"Idempotency-Key": "key"})

        assert response.status_code == 500
        assert response.json() == {
            "error": "Something went wrong on our side.",
            "code": "server_error",
        }
        assert rows_of_billing() == {**before, "Event": before["Event"] + 1}
        (event,) = events_named("checkout.failed")
        assert event.user_id == customer.id
        assert event.payload["code"] == "server_error"
        assert event.payload["error"] == ""

    def test_a_free_checkout_that_fails_leaves_no_tokens(self, client, customer):
        bundle = TokenBundleFactory(token_amount=1, prices={"USD": "0"})
        # One token more than the balance can hold: it fails when the invoice is paid.
        TokenAccount.objects.create(user=customer, balance=2**63 - 1)
        before = rows_of_billing()

        response = client.post(URL, {"token_bundle_ids": [str(bundle.id)]})

        assert response.json()["code"] == "token_balance_full"
        assert rows_of_billing() == {**before, "Event": before["Event"] + 1}
        assert TokenAccount.objects.get().balance == 2**63 - 1
        assert client.get("/api/v1/user/invoices").json()["total"] == 0
