"""A customer without a subscription buys tokens, pays in the sandbox, uses them, buys more."""

import pytest
from django.utils import timezone

from billing.services import tokens
from tests.factories import TokenBundleFactory


@pytest.mark.django_db
def test_tokens_come_and_go(clock, customer, signed_in):
    small = TokenBundleFactory(name="Small", token_amount=500, prices={"USD": "10.00"})
    large = TokenBundleFactory(name="Large", token_amount=5000, prices={"USD": "80.00"})
    gift = TokenBundleFactory(name="Gift", token_amount=50, prices={"USD": "0"})
    client = signed_in(customer)

    def buy(*bundles):
        body = {"token_bundle_ids": [str(bundle.id) for bundle in bundles]}
        return client.post("/api/v1/user/checkout", body).json()

    def balance():
        return client.get("/api/v1/user/tokens/balance").json()["balance"]

    # A gift is there at once.
    given = buy(gift)
    assert given["invoice"]["status"] == "paid"
    assert balance() == 50

    # What costs something is there when it is paid.
    made = buy(small, small, large)
    assert made["subscription"] is None
    assert made["invoice"]["total_amount"] == "100.00"
    assert balance() == 50
    paid = client.post(f"/api/v1/user/invoices/{made['invoice']['id']}/pay").json()
    assert paid["message"] == "Payment successful"
    assert balance() == 6050

    # The product takes tokens out; a job that is reported twice costs once.
    for _ in range(2):
        tokens.spend(user_id=customer.id, amount=120, reference="job-1", now=timezone.now())
    assert balance() == 5930

    # The statement adds up, from the newest to the first.
    page = client.get("/api/v1/user/tokens/transactions").json()
    assert [(row["amount"], row["balance_after"]) for row in page["transactions"]] == [
        (-120, 5930),
        (5000, 6050),
        (500, 1050),
        (500, 550),
        (50, 50),
    ]
    assert page["total"] == 5
    assert page["transactions"][1]["reference_id"] == made["token_bundles"][2]["id"]

    # Both invoices are kept, and no subscription has come of it.
    listed = client.get("/api/v1/user/invoices").json()
    assert [invoice["total_amount"] for invoice in listed["invoices"]] == ["100.00", "0.00"]
    assert client.get("/api/v1/user/subscriptions").json() == {"subscriptions": []}
