"""A subscriber adds something in the middle of the period, and in a pause."""

from datetime import UTC, datetime

import pytest

from tests.factories import AddOnFactory, PlanFactory


@pytest.mark.django_db
def test_add_ons_join_the_subscription_and_end_with_it(clock, customer, signed_in):
    plan, other_plan = PlanFactory(name="Pro"), PlanFactory(name="Basic")
    support = AddOnFactory(name="Support", billing_period="yearly", plans=[plan])
    storage = AddOnFactory(name="Storage", prices={"USD": "7.00", "EUR": "6.50"})
    of_basic = AddOnFactory(name="Only with Basic", plans=[other_plan])

    def at(day, hour=12):
        clock.move_to(datetime(2026, 3, day, hour, tzinfo=UTC))
        return signed_in(customer)

    def add(client, add_on, **more):
        return client.post("/api/v1/user/checkout", {"add_on_ids": [str(add_on.id)], **more})

    def pay(client, made):
        return client.post(f"/api/v1/user/invoices/{made['invoice']['id']}/pay")

    # Without a subscription there is nothing to join.
    client = at(1)
    assert add(client, support).json()["code"] == "no_active_subscription"

    # With one there is: from its payment to the end of the subscription's month.
    made = client.post("/api/v1/user/checkout", {"plan_id": str(plan.id)}).json()
    assert add(client, support).json()["code"] == "no_active_subscription"
    pay(client, made)
    subscription_id = made["subscription"]["id"]
    client = at(11)
    made = add(client, support).json()
    assert made["subscription"] is None
    assert made["invoice"]["subscription_id"] == subscription_id
    assert made["add_ons"][0]["status"] == "pending"
    pay(client, made)

    # What does not fit is refused by name.
    assert "Only with Basic" in add(client, of_basic).json()["error"]
    assert add(client, storage, currency="EUR").json()["code"] == "subscription_currency_differs"

    # One that is paid for during a pause waits, and then ends with the subscription too.
    client.post(f"/api/v1/user/subscriptions/{subscription_id}/pause")
    client = at(15)
    pay(client, add(client, storage).json())
    client = at(21)
    resumed = client.post(f"/api/v1/user/subscriptions/{subscription_id}/resume").json()
    assert resumed["subscription"]["expires_at"] == "2026-04-11T12:00:00Z"
    ends = {
        add_on.name: (add_on.status, add_on.expires_at)
        for add_on in customer.addonsubscription_set.all()
    }
    end = datetime(2026, 4, 11, 12, tzinfo=UTC)
    assert ends == {"Support": ("active", end), "Storage": ("active", end)}
