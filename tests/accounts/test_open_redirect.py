"""Where somebody is sent after signing in: to a page of ours, whatever the address says."""

from __future__ import annotations

import pytest
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.accounts.browsers import code_of
from tests.factories import StaffFactory

pytestmark = pytest.mark.django_db

INDEX = "/admin/"
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/admin/",
    "///evil.example",
    "/\\evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "\x00//evil.example",
    " https://evil.example",
]


@pytest.mark.parametrize("wanted", ELSEWHERE)
class TestNext:
    def test_of_the_sign_in_is_a_page_of_ours(self, wanted):
        StaffFactory(email="sam@example.com", password="a long password")
        told = {"username": "sam@example.com", "password": "a long password", "next": wanted}

        answer = Client().post("/admin/login/", told, query_params={"next": wanted})

        assert (answer.status_code, answer["Location"]) == (302, INDEX)

    def test_of_the_second_factor_is_a_page_of_ours(self, wanted):
        staff = StaffFactory(email="sam@example.com")
        phone = TOTPDevice.objects.create(user=staff, name="phone")
        browser = Client()
        browser.force_login(staff, "django.contrib.auth.backends.ModelBackend")

        answer = browser.post(
            "/admin/second-factor/", {"code": code_of(phone)}, query_params={"next": wanted}
        )

        assert (answer.status_code, answer["Location"]) == (302, INDEX)
