"""Walks every route of the API's staff area as every kind of visitor."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from rest_framework.test import APIClient

from tests.access import table
from tests.api.routes import every_route

AREA = "/api/v1/admin/"
MODELS = {
    "tarif-plans": "catalog.plan",
    "token-bundles": "catalog.tokenbundle",
    "addons": "catalog.addon",
    "users": "accounts.user",
    "subscriptions": "billing.subscription",
    "invoices": "billing.invoice",
}


@pytest.fixture
def callers(browsers, signed_in) -> dict[str, APIClient]:
    """The same visitors with a token of the API."""
    callers = {}
    for name, browser in browsers.items():
        user = browser.get("/admin/login/").wsgi_request.user
        callers[name] = signed_in(user) if user.is_authenticated else APIClient()
    return callers


@pytest.mark.django_db
class TestTable:
    def test_says_what_every_visitor_may_call(self, rows, callers):
        found: table.Answers = {}
        for route in every_route():
            if not route.template.startswith(AREA):
                continue
            shown = re.sub(r"<str:\w+>", "<id>", route.template.removeprefix(AREA))
            shown = re.sub(r"<\w+:\w+>", "<slug>", shown)
            for method in route.methods:
                row = f"{method.upper()} {shown}"
                found[row] = {
                    name: _answer(caller, method, _address(route.template, rows))
                    for name, caller in callers.items()
                }

        assert found == table.read("Staff API"), table.rendered(found)


def _address(template: str, rows: dict) -> str:
    model = apps.get_model(MODELS.get(template.removeprefix(AREA).split("/")[0], "accounts.user"))
    address = re.sub(r"<str:\w+>", str(rows[model].pk), template)
    return re.sub(r"<\w+:\w+>", "some-slug", address)


def _answer(caller: APIClient, method: str, address: str) -> str:
    """With an empty body: who may not call it is refused before anybody reads that."""
    with table.undone():
        response = getattr(caller, method)(address, {} if method in ("post", "put") else None)
    assert response.status_code < 500, (method, address)
    return {401: "401", 403: "403"}.get(response.status_code, "yes")
