"""What staff see where a page cannot be shown."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.test import Client

from config.api import django_error
from tests.billing.admin_pages import browser_of
from tests.factories import StaffFactory

WITHOUT_DATABASE = """
import json, django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
client.cookies["sessionid"] = "that-of-somebody"
options = {"HTTP_HOST": "billing.example.com", "secure": True}
answers = [client.get(address, **options) for address in ("/admin/", "/admin/billing/invoice/")]
answers.append(client.post("/admin/billing/invoice/", **options))
answers.append(client.get("/api/v1/tarif-plans", **options))
print(json.dumps([[answer.status_code, dict(answer.headers), answer.content.decode()]
                  for answer in answers]))
"""


class TestWithoutADatabase:
    def test_pages_say_so_and_when_to_come_back(self, production):
        done = production(["-c", WITHOUT_DATABASE])

        assert done.returncode == 0, done.stderr
        *pages, listed = json.loads(done.stdout.splitlines()[-1])
        for status, headers, html in pages:
            assert status == 503
            assert headers["Retry-After"] == "1"
            assert headers["Content-Type"].startswith("text/html")
            assert "private, no-store" in headers["Cache-Control"]
            assert "The database does not answer" in html
            assert "look at the page in a moment before you send it again" in html
        assert listed[0] == 503

    @pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
    def test_whatever_broke_the_line(self, rf, failure):
        request = rf.get("/admin/")
        request.user = AnonymousUser()
        try:
            raise failure("the line is dead")
        except failure:
            response = django_error(500)(request)

        assert response.status_code == 503
        assert b"the line is dead" not in response.content


@pytest.mark.django_db
class TestPages:
    def test_of_what_is_not_there(self):
        browser = browser_of(StaffFactory(is_superuser=True))

        response = browser.get("/admin/billing/nothing/")

        assert response.status_code == 404
        assert b"There is nothing here" in response.content
        assert b'<a href="/admin/">To the overview</a>' in response.content

    def test_of_what_the_group_may_not_do(self):
        response = browser_of(StaffFactory()).get("/admin/billing/invoice/")

        assert response.status_code == 403
        assert b"not among what your group may do" in response.content

    def test_of_a_form_that_is_too_old(self):
        browser = Client(enforce_csrf_checks=True)

        response = browser.post("/admin/login/", {"username": "a@example.com", "password": "x"})

        assert response.status_code == 403
        assert b"The form was open for too long" in response.content
