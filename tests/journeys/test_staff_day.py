"""Support by the API alone: a customer is signed up, extended, cancelled, and leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from tests.factories import PlanFactory, StaffFactory
from tests.mailbox import letters

AREA = "/api/v1/admin"
PASSWORD = "difference engine no. 2"


def sign_in(email, password="a long password"):
    answer = APIClient().post("/api/v1/auth/login", {"email": email, "password": password}).json()
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {answer['token']}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("books_are_clean")
def test_support_signs_a_customer_up_and_sees_her_off(clock, roles):
    pro = PlanFactory(name="Pro", slug="pro", prices={"USD": "29.00", "EUR": "27.00"})
    for name, role in (("sam", "Support"), ("fin", "Finance")):
        StaffFactory(email=f"{name}@example.com").groups.add(roles[role])
    sam, fin = sign_in("sam@example.com"), sign_in("fin@example.com")

    # Ada calls. She has no account yet; Sam opens one, and she sets her password by a link.
    ada = {
        "email": "ada@example.com",
        "details": {"first_name": "Ada", "last_name": "Lovelace", "country": "GB"},
    }
    opened = sam.post(f"{AREA}/users", ada)
    assert opened.status_code == 201
    assert sam.post(f"{AREA}/users", ada).status_code == 409
    user_id = opened.json()["id"]
    (mail,) = letters()
    token = mail.body.split("token=")[1].split()[0]
    visitor = APIClient()
    reset = {"token": token, "new_password": PASSWORD}
    assert visitor.post("/api/v1/auth/reset-password", reset).status_code == 200

    # He orders Pro for her, in euros. It waits for the money.
    order = {"user_id": user_id, "plan_id": str(pro.pk), "currency": "EUR"}
    started = sam.post(f"{AREA}/subscriptions", order)
    assert started.status_code == 201
    invoice, subscription = started.json()["invoice"], started.json()["subscription"]
    assert (invoice["total_amount"], invoice["status"]) == ("27.00", "pending")
    page = f"{AREA}/subscriptions/{subscription['id']}"

    # She says that she has paid. Sam may not decide that: it is for finance.
    paid = {"reason": "The transfer is there"}
    assert sam.post(f"{page}/activate", paid).json()["code"] == "permission_denied"
    assert fin.post(f"{page}/activate", paid).json()["code"] == "permission_denied"
    transfer = {"payment_reference": "transfer-1", "payment_method": "bank_transfer"}
    marked = fin.post(f"{AREA}/invoices/{invoice['id']}/mark-paid", transfer)
    assert marked.json()["invoice"]["status"] == "paid"
    shown = sam.get(page).json()["subscription"]
    assert (shown["status"], shown["expires_at"]) == ("active", "2026-04-01T12:00:00Z")
    assert sam.post(f"{AREA}/subscriptions", order).json()["code"] == "subscription_is_live"

    # On the tenth there is an outage, and she gets five days more.
    clock.move_to(datetime(2026, 3, 10, 9, tzinfo=UTC))
    sam, fin = sign_in("sam@example.com"), sign_in("fin@example.com")
    extended = sam.post(f"{page}/extend", {"days": 5, "reason": "Outage of 10 March"})
    assert extended.json()["subscription"]["expires_at"] == "2026-04-06T12:00:00Z"

    # She cancels in anger, and thinks better of it.
    cancelled = sam.post(f"{page}/cancel", {"reason": "By phone"}).json()["subscription"]
    assert (cancelled["status"], cancelled["is_valid"]) == ("cancelled", True)
    back = sam.post(f"{page}/activate", {"reason": "By phone, again"}).json()["subscription"]
    assert (back["status"], back["expires_at"]) == ("active", "2026-04-06T12:00:00Z")
    own = sign_in("ada@example.com", PASSWORD)
    seen = own.get("/api/v1/user/subscriptions/active").json()["subscription"]
    assert (seen["id"], seen["expires_at"]) == (subscription["id"], "2026-04-06T12:00:00Z")

    # In the end she leaves at once, and finance gives the money back.
    gone = sam.post(f"{page}/cancel", {"at_once": True, "reason": "Moves away"})
    assert gone.json()["subscription"]["is_valid"] is False
    back = {"refund_reference": "back-1", "reason": "Goodwill"}
    assert sam.post(f"{page}/refund", back).status_code == 403
    refunded = fin.post(f"{page}/refund", back)
    assert refunded.json()["invoice"]["status"] == "refunded"
    assert own.get("/api/v1/user/subscriptions/active").json() == {"subscription": None}

    # Her account is shut, and with it every session.
    shut = sam.post(f"{AREA}/users/{user_id}/suspend", {"reason": "Asked for it"})
    assert shut.json()["user"]["status"] == "suspended"
    assert own.get("/api/v1/user/profile").status_code == 401
    found = sam.get(f"{AREA}/users", {"search": "ada@", "status": "suspended"}).json()
    assert [row["id"] for row in found["users"]] == [user_id]
