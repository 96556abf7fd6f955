"""What staff edit after a checkout changes neither it nor what a subscriber pays."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from catalog.money import Money
from catalog.services import items, prices
from tests.billing.purchases import subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.mark.django_db
class TestEditsOfTheCatalogue:
    @pytest.fixture
    def everything(self):
        plan = PlanFactory(name="Pro", slug="pro")
        bundle = TokenBundleFactory(name="Starter", token_amount=500, prices={"USD": "10.50"})
        add_on = AddOnFactory(name="Support", prices={"USD": "5.00"})
        return plan, bundle, add_on

    def edit(self, everything, now):
        for item in everything:
            prices.set_price(item=item, money=Money(Decimal("99.00"), "USD"), now=now)
            item.name = f"{item.name} 2"
            item.save()
        plan, bundle, add_on = everything
        plan.billing_period = add_on.billing_period = "yearly"
        plan.save()
        add_on.save()
        bundle.token_amount = 7
        bundle.save()
        for item in everything:
            items.deactivate(item=item)

    def test_change_no_open_checkout(self, clock, customer, signed_in, everything):
        plan, bundle, add_on = everything
        made = (
            signed_in(customer)
            .post(
                URL,
                {
                    "plan_id": str(plan.id),
                    "token_bundle_ids": [str(bundle.id)],
                    "add_on_ids": [str(add_on.id)],
                },
            )
            .json()
        )
        clock.shift(3600)
        client = signed_in(customer)

        self.edit(everything, NOON + timedelta(minutes=30))

        invoice_url = f"/api/v1/user/invoices/{made['invoice']['id']}"
        assert client.get(invoice_url).json()["invoice"] == made["invoice"]
        paid = client.post(f"{invoice_url}/pay").json()["invoice"]
        assert paid["total_amount"] == "44.50"
        assert [line["description"] for line in paid["line_items"]] == ["Pro", "Starter", "Support"]
        (subscription,) = client.get("/api/v1/user/subscriptions").json()["subscriptions"]
        assert subscription["plan"] == made["subscription"]["plan"]
        assert subscription["expires_at"] == "2026-04-01T13:00:00Z"  # still a month
        assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 500}

    def test_change_no_subscribers_price(self, clock, customer, client, everything):
        plan, _, _ = everything
        subscribe(customer, plan=plan, now=NOON)

        self.edit(everything, NOON)

        subscription = client.get("/api/v1/user/subscriptions/active").json()["subscription"]
        assert subscription["plan"] == {
            "id": str(plan.id),
            "name": "Pro",
            "slug": "pro",
            "price": 29.0,
            "currency": "USD",
            "billing_period": "monthly",
        }

    def test_a_new_price_counts_for_the_next_checkout(self, client):
        plan = PlanFactory()
        prices.set_price(item=plan, money=Money(Decimal("31.00"), "USD"), now=NOON)

        invoice = client.post(URL, {"plan_id": str(plan.id)}).json()["invoice"]

        assert invoice["total_amount"] == "31.00"

    @pytest.mark.parametrize(
        ("moment", "total"),
        [
            (datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC), "29.00"),
            (datetime(2026, 4, 1, tzinfo=UTC), "31.00"),
        ],
    )
    def test_a_scheduled_price_holds_from_its_moment(
        self, clock, customer, signed_in, moment, total
    ):
        plan = PlanFactory()
        prices.set_price(
            item=plan,
            money=Money(Decimal("31.00"), "USD"),
            valid_from=datetime(2026, 4, 1, tzinfo=UTC),
            now=NOON,
        )

        clock.move_to(moment)
        response = signed_in(customer).post(URL, {"plan_id": str(plan.id)})

        assert response.json()["invoice"]["total_amount"] == total
