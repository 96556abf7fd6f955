"""Failed sign-ins to the admin lock an account for an address, for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.test import Client

from accounts.staff_login.callers import address_of
from tests.factories import StaffFactory

LOGIN = "/admin/login/?next=/admin/"
PASSWORD = "a long enough password"


@pytest.fixture
def member(db):
    member = StaffFactory(email="ann@example.com")
    member.set_password(PASSWORD)
    member.save()
    return member


def sign_in(password: str, *, email: str = "ann@example.com", address: str = "192.0.2.1", **more):
    form = {"username": email, "password": password}
    return Client(REMOTE_ADDR=address, **more).post(LOGIN, form)


def fail(times: int, **more) -> None:
    for _ in range(times):
        sign_in("wrong", **more)


@pytest.mark.usefixtures("member")
class TestLockout:
    def test_comes_after_five_failures(self):
        fail(4)
        fifth = sign_in("wrong")

        response = sign_in(PASSWORD)

        assert fifth.status_code == 429
        assert response.status_code == 429
        assert "locked for 15 minutes" in response.content.decode()
        assert "_auth_user_id" not in response.wsgi_request.session

    def test_does_not_come_after_four(self):
        fail(4)

        assert sign_in(PASSWORD).status_code == 302

    def test_counts_from_the_start_after_a_success(self):
        fail(4)
        sign_in(PASSWORD)
        fail(4)

        assert sign_in(PASSWORD).status_code == 302

    def test_ends_by_itself(self, clock):
        fail(5)
        clock.shift(timedelta(minutes=14))
        early = sign_in(PASSWORD)
        clock.shift(timedelta(minutes=2))

        assert early.status_code == 429
        assert sign_in(PASSWORD).status_code == 302

    def test_is_of_one_address(self):
        fail(5, address="198.51.100.7")

        assert sign_in(PASSWORD).status_code == 302

    def test_is_of_one_account(self):
        StaffFactory(email="bob@example.com")
        fail(5, email="bob@example.com")

        assert sign_in(PASSWORD).status_code == 302

    def test_is_not_escaped_by_another_spelling(self):
        for email in ("ann@example.com", "Ann@example.com", "ANN@EXAMPLE.COM", " ann@example.com"):
            sign_in("wrong", email=email)
        sign_in("wrong", email="aNN@example.com")

        assert sign_in(PASSWORD).status_code == 429

    def test_is_the_same_for_an_account_that_does_not_exist(self):
        fail(5)
        fail(5, email="nobody@example.com")

        known = sign_in("wrong")
        unknown = sign_in("wrong", email="nobody@example.com")

        assert known.status_code == unknown.status_code == 429
        assert known.content == unknown.content

    def test_is_lifted_by_a_superuser(self, client):
        fail(5)
        client.force_login(
            StaffFactory(is_superuser=True), "django.contrib.auth.backends.ModelBackend"
        )

        page = client.get("/admin/axes/accessattempt/").content.decode()
        client.post(
            f"/admin/axes/accessattempt/{AccessAttempt.objects.get().pk}/delete/", {"post": "yes"}
        )

        assert "ann@example.com" in page
        assert sign_in(PASSWORD).status_code == 302

    def test_keeps_no_password(self):
        sign_in("a very secret mistake")

        attempt = AccessAttempt.objects.get()
        assert "secret" not in attempt.post_data + attempt.get_data

    def test_does_not_reach_the_api(self, api):
        fail(5)

        login = {"email": "ann@example.com", "password": PASSWORD}
        assert api.post("/api/v1/auth/login", login).status_code == 200


class TestAddress:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "address"),
        [
            (0, "", "192.0.2.1"),
            (0, "203.0.113.9", "192.0.2.1"),
            (1, "203.0.113.9", "203.0.113.9"),
            (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            (2, "198.51.100.1, 203.0.113.9, 192.0.2.55", "203.0.113.9"),
            (2, "203.0.113.9", "192.0.2.1"),
            (1, "", "192.0.2.1"),
            (1, "no address", "192.0.2.1"),
            (1, "2001:db8::1", "2001:db8::1"),
        ],
    )
    def test_is_what_our_own_proxies_saw(self, rf, settings, proxies, forwarded, address):
        settings.TRUSTED_PROXIES = proxies
        request = rf.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)

        assert address_of(request) == address

    def test_of_a_unix_socket_is_this_machine(self, rf):
        assert address_of(rf.get("/", REMOTE_ADDR="")) == "127.0.0.1"
