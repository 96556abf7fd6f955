"""A subscriber buys another plan: the new one takes the old one's place when it is paid."""

from datetime import UTC, datetime

import pytest

from tests.factories import AddOnFactory, PlanFactory


@pytest.mark.django_db
def test_the_new_plan_takes_the_place_of_the_old_one(clock, customer, signed_in):
    basic = PlanFactory(name="Basic", slug="basic", prices={"USD": "9.00"})
    pro = PlanFactory(name="Pro", slug="pro", billing_period="yearly", prices={"USD": "290.00"})
    add_on = AddOnFactory(name="Support", prices={"USD": "5.00"})

    def at(month, day):
        clock.move_to(datetime(2026, month, day, 12, tzinfo=UTC))
        return signed_in(customer)

    def check_out(client, plan, *add_ons):
        body = {"plan_id": str(plan.id), "add_on_ids": [str(chosen.id) for chosen in add_ons]}
        return client.post("/api/v1/user/checkout", body).json()

    def pay(client, made):
        assert client.post(f"/api/v1/user/invoices/{made['invoice']['id']}/pay").status_code == 200

    def active(client):
        return client.get("/api/v1/user/subscriptions/active").json()["subscription"]

    # A month of Basic with an add-on.
    client = at(1, 31)
    old = check_out(client, basic, add_on)
    pay(client, old)
    assert active(client)["plan"]["name"] == "Basic"
    assert active(client)["expires_at"] == "2026-02-28T12:00:00Z"

    # Pro is ordered: Basic runs on until it is paid.
    client = at(2, 10)
    new = check_out(client, pro)
    assert active(client)["id"] == old["subscription"]["id"]

    # It is paid two days later, for a year from then; Basic and its add-on end.
    client = at(2, 12)
    pay(client, new)
    assert active(client)["id"] == new["subscription"]["id"]
    assert active(client)["expires_at"] == "2027-02-12T12:00:00Z"
    assert active(client)["plan"]["price"] == 290.0
    shown = client.get("/api/v1/user/subscriptions").json()["subscriptions"]
    assert [(row["plan"]["name"], row["status"], row["is_valid"]) for row in shown] == [
        ("Pro", "active", True),
        ("Basic", "cancelled", False),
    ]
    assert shown[1]["cancelled_at"] == shown[1]["expires_at"] == "2026-02-12T12:00:00Z"
    ended = customer.addonsubscription_set.get()
    assert (ended.status, ended.cancel_reason) == ("cancelled", "superseded")

    # Another order of Basic is given up unpaid: Pro is not touched.
    made = check_out(client, basic)
    given_up = client.post(f"/api/v1/user/subscriptions/{made['subscription']['id']}/cancel")
    assert given_up.json()["subscription"]["status"] == "cancelled"
    invoice = client.get(f"/api/v1/user/invoices/{made['invoice']['id']}").json()["invoice"]
    assert (invoice["status"], invoice["is_payable"]) == ("cancelled", False)
    assert client.post(f"/api/v1/user/invoices/{invoice['id']}/pay").status_code == 400
    assert active(client)["id"] == new["subscription"]["id"]
