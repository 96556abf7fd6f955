import re
from datetime import UTC, datetime

import pytest

from accounts.models import User
from accounts.services import accounts
from tests.mailbox import letters

API = "/api/v1"


def bearer(tokens: dict) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['token']}"}


@pytest.mark.django_db(transaction=True)
def test_a_customer_comes_forgets_comes_back_and_is_shut_out(api):
    # Ann registers, and is in.
    credentials = {"email": "Ann@Example.com", "password": "the first of many"}
    first = api.post(f"{API}/auth/register", credentials).json()
    assert first["success"] is True
    profile = api.get(f"{API}/user/profile", headers=bearer(first)).json()
    assert profile["email"] == "ann@example.com"
    assert profile["user"]["id"] == first["user_id"]
    assert profile["user"]["status"] == "active"
    assert profile["user"]["role"] == "user"
    assert profile["details"] is None

    # She says what goes on her invoices, in two goes.
    details = f"{API}/user/details"
    api.put(details, {"first_name": "Ann", "city": "Bonn", "country": "de"}, headers=bearer(first))
    api.put(details, {"company": "Ann Ltd"}, headers=bearer(first))
    profile = api.get(f"{API}/user/profile", headers=bearer(first)).json()
    assert profile["details"]["first_name"] == "Ann"
    assert profile["details"]["company"] == "Ann Ltd"
    assert profile["details"]["country"] == "DE"

    # On her phone she is signed in too, until she changes the password at her desk.
    phone = api.post(f"{API}/auth/login", credentials).json()
    assert phone["success"] is True
    changed = api.post(
        f"{API}/user/change-password",
        {"current_password": "the first of many", "new_password": "the second of many"},
        headers=bearer(first),
    )
    assert changed.json() == {"success": True}
    assert api.get(f"{API}/user/profile", headers=bearer(phone)).status_code == 401
    assert api.post(f"{API}/auth/login", credentials).status_code == 401

    # At her desk she goes on, with new tokens for old, and signs out.
    second = api.post(f"{API}/auth/refresh", {"refresh_token": first["refresh_token"]}).json()
    assert api.get(f"{API}/user/profile", headers=bearer(second)).status_code == 200
    goodbye = api.post(f"{API}/auth/logout", {"refresh_token": second["refresh_token"]})
    assert goodbye.status_code == 200
    assert api.get(f"{API}/user/profile", headers=bearer(second)).status_code == 401
    dead = api.post(f"{API}/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert dead.status_code == 401

    # After her holidays the password is gone, and a mailed link sets another, once.
    assert api.post(f"{API}/auth/forgot-password", {"email": "ann@example.com"}).status_code == 200
    (letter,) = letters()
    (token,) = re.findall(r"token=(\S+)", letter.body)
    reset = {"token": token, "new_password": "the third of many"}
    assert api.post(f"{API}/auth/reset-password", reset).status_code == 200
    assert api.post(f"{API}/auth/reset-password", reset).json()["code"] == "invalid_reset_token"

    # With it she is in again.
    credentials["password"] = "the third of many"
    third = api.post(f"{API}/auth/login", credentials).json()
    assert third["user_id"] == first["user_id"]
    assert api.get(details, headers=bearer(third)).json()["city"] == "Bonn"

    # Then support suspends her account, and every door is shut at once.
    accounts.suspend(user=User.objects.get(pk=third["user_id"]), now=datetime.now(UTC))
    assert api.get(f"{API}/user/profile", headers=bearer(third)).status_code == 401
    dead = api.post(f"{API}/auth/refresh", {"refresh_token": third["refresh_token"]})
    assert dead.status_code == 401
    refused = api.post(f"{API}/auth/login", credentials)
    assert refused.status_code == 401
    assert refused.json()["success"] is False
