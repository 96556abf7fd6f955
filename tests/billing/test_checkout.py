import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.models import (
    AddOnSubscription,
    Invoice,
    InvoiceLineItem,
    Subscription,
    TokenBundlePurchase,
)
from billing.services import checkout
from billing.services.selection import Order
from tests.billing.purchases import check_out, events_named, subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.mark.django_db
class TestAnswer:
    def test_has_every_key_of_the_contract(self, client, customer):
        plan = PlanFactory(name="Pro", slug="pro")
        bundle = TokenBundleFactory(name="Starter", token_amount=500, prices={"USD": "10.50"})
        add_on = AddOnFactory(name="Support", prices={"USD": "5.00"})

        response = client.post(
            URL,
            {
                "plan_id": str(plan.id),
                "token_bundle_ids": [str(bundle.id)],
                "add_on_ids": [str(add_on.id)],
                "currency": "USD",
            },
        )

        assert response.status_code == 201
        assert response["Content-Type"] == "application/json"
        subscription = Subscription.objects.get()
        invoice = Invoice.objects.get()
        purchase = TokenBundlePurchase.objects.get()
        bought_add_on = AddOnSubscription.objects.get()
        lines = list(InvoiceLineItem.objects.order_by("position"))
        assert response.json() == {
            "subscription": {
                "id": str(subscription.id),
                "user_id": str(customer.id),
                "tarif_plan_id": str(plan.id),
                "pending_plan_id": None,
                "status": "pending",
                "is_valid": False,
                "days_remaining": 0,
                "payment_state": "pending",
                "quantity": 1,
                "pending_quantity": None,
                "trial_ends_at": None,
                "started_at": None,
                "expires_at": None,
                "cancelled_at": None,
                "paused_at": None,
                "created_at": "2026-03-01T12:00:00Z",
                "plan": {
                    "id": str(plan.id),
                    "name": "Pro",
                    "slug": "pro",
                    "price": "29.00",
                    "currency": "USD",
                    "billing_period": "monthly",
                },
            },
            "invoice": {
                "id": str(invoice.id),
                "user_id": str(customer.id),
                "tarif_plan_id": str(plan.id),
                "subscription_id": str(subscription.id),
                "invoice_number": "INV-20260301-01-000001",
                "amount": "44.50",
                "subtotal": "44.50",
                "tax_amount": "0.00",
                "total_amount": "44.50",
                "currency": "USD",
                "status": "pending",
                "reason": "checkout",
                "payment_method": None,
                "payment_ref": None,
                "is_payable": True,
                "line_items": [
                    {
                        "id": str(lines[0].id),
                        "invoice_id": str(invoice.id),
                        "type": "subscription",
                        "item_id": str(subscription.id),
                        "description": "Pro",
                        "quantity": 1,
                        "unit_price": "29.00",
                        "amount": "29.00",
                        "period_start": None,
                        "period_end": None,
                    },
                    {
                        "id": str(lines[1].id),
                        "invoice_id": str(invoice.id),
                        "type": "token_bundle",
                        "item_id": str(purchase.id),
                        "description": "Starter",
                        "quantity": 1,
                        "unit_price": "10.50",
                        "amount": "10.50",
                        "period_start": None,
                        "period_end": None,
                    },
                    {
                        "id": str(lines[2].id),
                        "invoice_id": str(invoice.id),
                        "type": "add_on",
                        "item_id": str(bought_add_on.id),
                        "description": "Support",
                        "quantity": 1,
                        "unit_price": "5.00",
                        "amount": "5.00",
                        "period_start": None,
                        "period_end": None,
                    },
                ],
                "invoiced_at": "2026-03-01T12:00:00Z",
                "paid_at": None,
                "expires_at": "2026-03-31T12:00:00Z",
            },
            "token_bundles": [
                {
                    "id": str(purchase.id),
                    "user_id": str(customer.id),
                    "bundle_id": str(bundle.id),
                    "invoice_id": str(invoice.id),
                    "status": "pending",
                    "tokens_credited": False,
                    "token_amount": 500,
                    "price": "10.50",
                    "currency": "USD",
                    "created_at": "2026-03-01T12:00:00Z",
                    "completed_at": None,
                }
            ],
            "add_ons": [
                {
                    "id": str(bought_add_on.id),
                    "user_id": str(customer.id),
                    "addon_id": str(add_on.id),
                    "subscription_id": str(subscription.id),
                    "invoice_id": str(invoice.id),
                    "status": "pending",
                    "is_valid": False,
                    "quantity": 1,
                    "starts_at": None,
                    "expires_at": None,
                    "cancelled_at": None,
                    "created_at": "2026-03-01T12:00:00Z",
                }
            ],
            "message": "Checkout created. Awaiting payment.",
        }

    def test_ids_are_uuids_of_version_7(self, client):
        response = client.post(URL, {"plan_id": str(PlanFactory().id)})

        invoice = response.json()["invoice"]
        assert uuid.UUID(invoice["id"]).version == 7
        assert uuid.UUID(invoice["line_items"][0]["id"]).version == 7

    @pytest.mark.parametrize(
        ("currency", "price", "shown", "total", "nothing"),
        [
            ("USD", "29", "29.00", "58.00", "0.00"),
            ("JPY", "2900", "2900", "5800", "0"),
            ("KWD", "2.9", "2.900", "5.800", "0.000"),
        ],
    )
    def test_money_has_the_places_of_its_currency(
        self, client, currency, price, shown, total, nothing
    ):
        plan = PlanFactory(prices={currency: price})
        bundle = TokenBundleFactory(prices={currency: price})

        made = client.post(
            URL,
            {
                "plan_id": str(plan.id),
                "token_bundle_ids": [str(bundle.id)],
                "currency": currency,
            },
        ).json()

        invoice = made["invoice"]
        assert invoice["currency"] == currency
        assert invoice["amount"] == invoice["subtotal"] == invoice["total_amount"] == total
        assert invoice["tax_amount"] == nothing
        assert [line["unit_price"] for line in invoice["line_items"]] == [shown, shown]
        assert [line["amount"] for line in invoice["line_items"]] == [shown, shown]
        assert made["subscription"]["plan"]["price"] == shown
        assert made["subscription"]["plan"]["currency"] == currency
        assert made["token_bundles"][0]["price"] == shown

    def test_answers_with_a_trailing_slash_too(self, client):
        response = client.post(f"{URL}/", {"plan_id": str(PlanFactory().id)})

        assert response.status_code == 201

    def test_the_worked_example_of_the_billing_rules(self, client):
        plan = PlanFactory(name="Pro", prices={"USD": "29.00"})
        bundle = TokenBundleFactory(prices={"USD": "10.50"})
        add_ons = [AddOnFactory(prices={"USD": "5.00"}) for _ in range(2)]

        invoice = client.post(
            URL,
            {
                "plan_id": str(plan.id),
                "token_bundle_ids": [str(bundle.id)] * 2,
                "add_on_ids": [str(add_on.id) for add_on in add_ons],
            },
        ).json()["invoice"]

        assert [line["amount"] for line in invoice["line_items"]] == [
            "29.00",
            "10.50",
            "10.50",
            "5.00",
            "5.00",
        ]
        assert invoice["total_amount"] == "60.00"

    @pytest.mark.parametrize(
        ("zone", "number"),
        [("UTC", "INV-20261231-01-000001"), ("Asia/Tokyo", "INV-20270101-01-000001")],
    )
    def test_the_invoice_number_has_the_day_of_the_seller(
        self, clock, customer, signed_in, settings, zone, number
    ):
        settings.BILLING_TIME_ZONE = zone
        clock.move_to(datetime(2026, 12, 31, 23, 30, tzinfo=UTC))

        response = signed_in(customer).post(URL, {"plan_id": str(PlanFactory().id)})

        assert response.json()["invoice"]["invoice_number"] == number
        assert response.json()["invoice"]["invoiced_at"] == "2026-12-31T23:30:00Z"


@pytest.mark.django_db
class TestWhatIsBought:
    def test_the_same_bundle_twice_is_bought_twice(self, client):
        bundle = TokenBundleFactory(prices={"USD": "10.50"})

        made = client.post(URL, {"token_bundle_ids": [str(bundle.id)] * 2}).json()

        first, second = made["token_bundles"]
        assert first["id"] != second["id"]
        assert [line["item_id"] for line in made["invoice"]["line_items"]] == [
            first["id"],
            second["id"],
        ]
        assert made["invoice"]["total_amount"] == "21.00"
        assert TokenBundlePurchase.objects.count() == 2

    def test_bundles_without_a_plan_are_a_top_up(self, client):
        bundle = TokenBundleFactory(prices={"USD": "10.50"})

        response = client.post(URL, {"token_bundle_ids": [str(bundle.id)]})

        assert response.status_code == 201
        made = response.json()
        assert made["subscription"] is None
        assert made["add_ons"] == []
        assert made["invoice"]["tarif_plan_id"] is None
        assert made["invoice"]["subscription_id"] is None
        assert not Subscription.objects.exists()

    @pytest.mark.parametrize("body", [{"plan_id": None}, {"plan_id": None, "currency": None}])
    def test_null_for_the_plan_is_no_plan(self, client, body):
        bundle = TokenBundleFactory()

        response = client.post(URL, {**body, "token_bundle_ids": [str(bundle.id)]})

        assert response.status_code == 201
        assert response.json()["subscription"] is None

    def test_fifty_items_are_bought(self, client):
        bundle = TokenBundleFactory(prices={"USD": "1.00"})

        response = client.post(URL, {"token_bundle_ids": [str(bundle.id)] * 50})

        assert response.status_code == 201
        assert len(response.json()["invoice"]["line_items"]) == 50
        assert response.json()["invoice"]["total_amount"] == "50.00"

    def test_add_ons_without_a_plan_join_the_live_subscription(self, client, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        add_on = AddOnFactory(prices={"USD": "5.00"})

        response = client.post(URL, {"add_on_ids": [str(add_on.id)]})

        assert response.status_code == 201
        made = response.json()
        assert made["subscription"] is None
        assert made["add_ons"][0]["subscription_id"] == str(live.id)
        assert made["invoice"]["subscription_id"] == str(live.id)
        assert made["invoice"]["tarif_plan_id"] is None
        assert Subscription.objects.count() == 1

    def test_add_ons_bound_to_a_plan_join_a_subscription_to_it(self, client, customer):
        plan = PlanFactory()
        subscribe(customer, plan=plan, now=NOON)
        add_on = AddOnFactory(plans=[PlanFactory(), plan])

        response = client.post(URL, {"add_on_ids": [str(add_on.id)]})

        assert response.status_code == 201

    def test_add_ons_bound_to_a_plan_are_sold_with_it(self, client):
        plan = PlanFactory()
        add_on = AddOnFactory(plans=[plan])

        response = client.post(URL, {"plan_id": str(plan.id), "add_on_ids": [str(add_on.id)]})

        assert response.status_code == 201

    def test_the_buyer_is_kept_as_they_were(self, client, customer):
        client.put(
            "/api/v1/user/details",
            {
                "first_name": "Ada",
                "last_name": "Lovelace",
                "company": "Engines Ltd",
                "vat_id": "GB123",
                "address_line_1": "1 Mill Road",
                "city": "London",
                "postal_code": "N1",
                "country": "GB",
            },
        )

        client.post(URL, {"plan_id": str(PlanFactory().id)})
        client.put("/api/v1/user/details", {"company": "Another Ltd", "city": "Paris"})

        assert Invoice.objects.get().buyer == {
            "email": "customer@example.com",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "company": "Engines Ltd",
            "vat_id": "GB123",
            "address_line_1": "1 Mill Road",
            "address_line_2": "",
            "city": "London",
            "postal_code": "N1",
            "country": "GB",
        }

    def test_a_buyer_without_details_is_known_by_their_e_mail(self, client):
        client.post(URL, {"plan_id": str(PlanFactory().id)})

        buyer = Invoice.objects.get().buyer
        assert buyer["email"] == "customer@example.com"
        assert set(buyer.values()) == {"customer@example.com", ""}

    def test_an_open_checkout_does_not_keep_anybody_from_another(self, client):
        plan = PlanFactory()

        numbers = [
            client.post(URL, {"plan_id": str(plan.id)}).json()["invoice"]["invoice_number"]
            for _ in range(2)
        ]

        assert numbers == ["INV-20260301-01-000001", "INV-20260301-01-000002"]
        assert Subscription.objects.filter(status="pending").count() == 2


@pytest.mark.django_db
class TestCurrency:
    def test_is_the_plans_default_where_none_is_named(self, client):
        plan = PlanFactory(default_currency="EUR", prices={"USD": "29.00", "EUR": "27.00"})

        invoice = client.post(URL, {"plan_id": str(plan.id)}).json()["invoice"]

        assert (invoice["total_amount"], invoice["currency"]) == ("27.00", "EUR")

    def test_the_one_that_is_named_counts(self, client):
        plan = PlanFactory(default_currency="EUR", prices={"USD": "29.00", "EUR": "27.00"})

        invoice = client.post(URL, {"plan_id": str(plan.id), "currency": "USD"}).json()["invoice"]

        assert (invoice["total_amount"], invoice["currency"]) == ("29.00", "USD")

    def test_is_named_in_any_letter_case(self, client):
        plan = PlanFactory(prices={"EUR": "27.00"})

        invoice = client.post(URL, {"plan_id": str(plan.id), "currency": "eur"}).json()["invoice"]

        assert invoice["currency"] == "EUR"

    def test_of_a_top_up_is_that_of_the_installation(self, client, settings):
        settings.BILLING_DEFAULT_CURRENCY = "EUR"
        bundle = TokenBundleFactory(default_currency="USD", prices={"USD": "10.00", "EUR": "9.00"})

        invoice = client.post(URL, {"token_bundle_ids": [str(bundle.id)]}).json()["invoice"]

        assert (invoice["total_amount"], invoice["currency"]) == ("9.00", "EUR")

    def test_of_add_ons_is_that_of_the_subscription_they_join(self, client, customer):
        plan = PlanFactory(default_currency="EUR", prices={"EUR": "27.00"})
        subscribe(customer, plan=plan, now=NOON)
        add_on = AddOnFactory(prices={"USD": "5.00", "EUR": "4.50"})

        invoice = client.post(URL, {"add_on_ids": [str(add_on.id)]}).json()["invoice"]

        assert (invoice["total_amount"], invoice["currency"]) == ("4.50", "EUR")


@pytest.mark.django_db
class TestCreate:
    def test_copies_what_was_agreed_on(self, customer):
        plan = PlanFactory(name="Pro", billing_period="yearly", prices={"USD": "290.00"})
        price = plan.prices.get()

        made = checkout.create(user=customer, order=Order(plan_id=plan.id), now=NOON)

        subscription = Subscription.objects.get()
        assert made.subscription == subscription
        assert subscription.price == price
        assert subscription.name == "Pro"
        assert subscription.amount == Decimal("290.000")
        assert subscription.currency == "USD"
        assert subscription.billing_period == "yearly"
        assert subscription.created_at == NOON
        assert made.is_paid is False

    def test_tells_what_happened(self, customer):
        made = check_out(customer, plan=PlanFactory(), now=NOON)

        (requested,) = events_named("checkout.requested")
        (completed,) = events_named("checkout.completed")
        assert requested.payload["plan_id"] == str(made.subscription.plan_id)
        assert completed.subject_id == made.invoice.id
        assert completed.payload == {
            "total_amount": "29.00",
            "currency": "USD",
            "subscription_id": str(made.subscription.pk),
            "items": [
                {
                    "id": str(made.subscription.pk),
                    "kind": "plan",
                    "of": str(made.subscription.plan_id),
                    "price": "29.00",
                    "quantity": 1,
                    "setup_fee": "0.00",
                    "billing_period": "monthly",
                }
            ],
        }
        assert completed.created_at == NOON

    def test_the_days_to_pay_are_a_setting(self, customer, settings):
        settings.BILLING_CHECKOUT_DAYS = 7

        made = check_out(customer, plan=PlanFactory(), now=NOON)

        assert made.invoice.expires_at == datetime(2026, 3, 8, 12, tzinfo=UTC)

    def test_lines_are_kept_in_the_order_of_the_request(self, customer):
        bundles = [TokenBundleFactory(name=name) for name in ("C", "A", "B")]

        made = check_out(
            customer, bundles=[*bundles, bundles[0]], plan=PlanFactory(name="Pro"), now=NOON
        )

        lines = InvoiceLineItem.objects.filter(invoice=made.invoice).order_by("position")
        assert [(line.position, line.description) for line in lines] == [
            (1, "Pro"),
            (2, "C"),
            (3, "A"),
            (4, "B"),
            (5, "C"),
        ]
