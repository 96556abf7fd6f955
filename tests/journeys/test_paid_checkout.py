"""A customer registers, looks around, buys, pays, uses, pauses and leaves."""

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory


def sign_in(email, password):
    visitor = APIClient()
    answer = visitor.post("/api/v1/auth/login", {"email": email, "password": password}).json()
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {answer['token']}")


@pytest.mark.django_db
def test_from_the_shop_window_to_the_last_day(clock, webhook):
    PlanFactory(name="Pro", slug="pro", prices={"USD": "29.00"})
    TokenBundleFactory(name="Starter", token_amount=500, prices={"USD": "10.50"})
    AddOnFactory(name="Support", prices={"USD": "5.00"})
    ada = ("ada@example.com", "difference engine no. 2")

    # She registers and says who she is.
    visitor = APIClient()
    answer = visitor.post("/api/v1/auth/register", {"email": ada[0], "password": ada[1]})
    assert answer.json()["success"] is True
    client = sign_in(*ada)
    client.put(
        "/api/v1/user/details", {"first_name": "Ada", "last_name": "Lovelace", "country": "GB"}
    )

    # She chooses from what is on sale.
    (plan,) = visitor.get("/api/v1/tarif-plans").json()["plans"]
    (bundle,) = visitor.get("/api/v1/token-bundles").json()["bundles"]
    (add_on,) = visitor.get("/api/v1/addons").json()["addons"]
    choice = {
        "plan_id": plan["id"],
        "token_bundle_ids": [bundle["id"], bundle["id"]],
        "add_on_ids": [add_on["id"]],
    }

    # The connection breaks after the first click; the client sends the same again.
    first = client.post("/api/v1/user/checkout", choice, headers={"Idempotency-Key": "click-1"})
    again = client.post("/api/v1/user/checkout", choice, headers={"Idempotency-Key": "click-1"})
    assert (first.status_code, again.content) == (201, first.content)
    invoice = first.json()["invoice"]
    assert invoice["total_amount"] == "55.00"

    # Nothing is hers yet.
    assert client.get("/api/v1/user/subscriptions/active").json() == {"subscription": None}
    assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 0}

    # Her bank pays a cent too little, then the right amount; it says so twice.
    notice = {
        "invoice_id": invoice["id"],
        "payment_reference": "bank-1",
        "amount": "54.99",
        "currency": "USD",
    }
    assert webhook(notice).json()["code"] == "wrong_amount"
    clock.move_to(datetime(2026, 3, 2, 9, tzinfo=UTC))
    notice |= {"payment_reference": "bank-2", "amount": "55.00"}
    receipts = [webhook(notice) for _ in range(2)]
    assert [receipt.status_code for receipt in receipts] == [200, 200]
    assert receipts[0].json()["tokens_credited"] == 1000
    assert receipts[0].content == receipts[1].content

    # Now it is, for a month from the payment.
    client = sign_in(*ada)
    subscription = client.get("/api/v1/user/subscriptions/active").json()["subscription"]
    assert subscription["expires_at"] == "2026-04-02T09:00:00Z"
    assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 1000}
    shown = client.get(f"/api/v1/user/invoices/{invoice['id']}").json()["invoice"]
    assert (shown["status"], shown["payment_ref"]) == ("paid", "bank-2")
    assert shown["line_items"] == invoice["line_items"]

    # She is away for ten days, and comes back.
    url = f"/api/v1/user/subscriptions/{subscription['id']}"
    clock.move_to(datetime(2026, 3, 12, 9, tzinfo=UTC))
    client = sign_in(*ada)
    assert client.post(f"{url}/pause").status_code == 200
    clock.move_to(datetime(2026, 3, 22, 9, tzinfo=UTC))
    client = sign_in(*ada)
    resumed = client.post(f"{url}/resume").json()["subscription"]
    assert resumed["expires_at"] == "2026-04-12T09:00:00Z"

    # She cancels, and has what she paid for to the last day.
    assert client.post(f"{url}/cancel").json()["subscription"]["is_valid"] is True
    clock.move_to(datetime(2026, 4, 12, 8, 59, tzinfo=UTC))
    client = sign_in(*ada)
    assert client.get("/api/v1/user/subscriptions/active").json()["subscription"]["is_valid"]
    clock.move_to(datetime(2026, 4, 12, 9, tzinfo=UTC))
    assert client.get("/api/v1/user/subscriptions/active").json() == {"subscription": None}
    assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 1000}
