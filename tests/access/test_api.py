"""Walks every route of the API as every kind of visitor."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db.models import Model
from rest_framework.test import APIClient

from accounts.models import User
from tests.access import table
from tests.api.routes import Route, every_route
from tests.factories import UserFactory

COLUMNS = ("stranger", "owner", "another", "suspended", "Catalogue", "Finance", "Support") + (
    "superuser",
)
METHODS = ("get", "post", "put", "patch", "delete")
API = "/api/v1/"
# Whose id stands in an address, by what comes before it.
MODELS = {
    "tarif-plans": "catalog.plan",
    "token-bundles": "catalog.tokenbundle",
    "addons": "catalog.addon",
    "users": "accounts.user",
    "subscriptions": "billing.subscription",
    "invoices": "billing.invoice",
}
BOUGHT = {"addons": "billing.addonsubscription"}  # below /user/ it is what the customer has of it


@pytest.fixture
def callers(rows, browsers, signed_in) -> dict[str, APIClient]:
    """One of each kind of visitor; ``rows`` are the owner's."""
    suspended = signed_in(user := UserFactory(email="sue@example.com"))
    User.objects.filter(pk=user.pk).update(status=User.Status.SUSPENDED)
    callers = {
        "owner": signed_in(rows[User]),
        "another": signed_in(UserFactory(email="bob@example.com")),
        "suspended": suspended,
    }
    for name, browser in browsers.items():
        user = browser.get("/admin/login/").wsgi_request.user
        callers.setdefault(name, signed_in(user) if user.is_authenticated else APIClient())
    return {name: callers[name] for name in COLUMNS}


@pytest.mark.django_db
class TestTable:
    def test_says_what_every_visitor_may_call(self, rows, callers):
        found = {
            f"{method.upper()} {_shown(route)}": {
                name: _answer(caller, method, _address(route, rows))
                for name, caller in callers.items()
            }
            for route in every_route()
            for method in route.methods
        }

        assert found == table.read("API", COLUMNS), table.rendered(found, COLUMNS)

    def test_nobody_gets_in_by_a_method_that_a_route_does_not_have(self, rows, callers):
        let_in = [
            (name, method, route.template, answer)
            for route, method in _not_offered()
            for name, caller in callers.items()
            if (answer := _answer(caller, method, _address(route, rows)))
            not in ("401", "403", "405")
        ]

        assert let_in == []


@pytest.mark.django_db
class TestWhatIsAnothers:
    def test_is_answered_like_what_does_not_exist(self, rows, callers):
        asked = {}
        for route in every_route():
            if not route.template.startswith(f"{API}user/") or "<" not in route.template:
                continue
            for method in route.methods:
                answers = [
                    _called(callers["another"], method, address).json()
                    for address in (_address(route, rows), route.address)
                ]
                asked[f"{method} {route.template}"] = answers[0] == answers[1]

        assert len(asked) > 10
        assert [name for name, is_alike in asked.items() if not is_alike] == []


def _not_offered() -> Iterator[tuple[Route, str]]:
    for route in every_route():
        yield from ((route, method) for method in METHODS if method not in route.methods)


def _shown(route: Route) -> str:
    shown = re.sub(r"<str:\w+>", "<id>", route.template.removeprefix(API))
    return re.sub(r"<\w+:\w+>", "<slug>", shown)


def _address(route: Route, rows: dict[type[Model], Model]) -> str:
    """With the ids of real rows, each by the word that stands before it."""
    models = MODELS | (BOUGHT if route.template.startswith(f"{API}user/") else {})

    def filled(found: re.Match[str]) -> str:
        return f"{found[1]}/{rows[apps.get_model(models[found[1]])].pk}"

    def by_slug(found: re.Match[str]) -> str:
        row = rows[apps.get_model(models[found[1]])]
        return f"{found[0].rpartition('/')[0]}/{row.slug}"

    address = re.sub(r"([\w-]+)/<str:\w+>", filled, route.template)
    return re.sub(r"([\w-]+)/(?:slug/)?<slug:\w+>", by_slug, address)


def _called(caller: APIClient, method: str, address: str):
    """With an empty body: who may not call it is refused before anybody reads that."""
    body = {} if method in ("post", "put", "patch") else None
    with table.undone():
        response = getattr(caller, method)(address, body)
    assert response.status_code < 500, (method, address)
    return response


def _answer(caller: APIClient, method: str, address: str) -> str:
    response = _called(caller, method, address)
    return str(response.status_code) if response.status_code in (401, 403, 404, 405) else "yes"
