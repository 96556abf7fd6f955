"""Walks every page and action of the admin as every kind of visitor."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from tests.access import table
from tests.access.pages import every_page

SIGN_IN = "/admin/login/"
NO = "—"


def answer_of(client: Client, address: str) -> str:
    """
    ``use`` where a form is taken, ``look`` where only reading is, a dash where neither is.

    Forms are sent empty: who may not use a page is refused before anybody reads the form.
    """
    got, posted = (_status(client, method, address) for method in ("get", "post"))
    if got == posted == "sign in":
        return "sign in"
    if posted == "in":
        return "use"
    return "look" if got == "in" else NO


def _status(client: Client, method: str, address: str) -> str:
    with table.undone():
        response = getattr(client, method)(address)
    assert response.status_code < 500, (method, address)
    if response.status_code == 302 and response["Location"].startswith(SIGN_IN):
        return "sign in"
    return "out" if response.status_code in (403, 404, 405) else "in"


@pytest.mark.django_db
class TestTable:
    def test_says_what_every_visitor_may_open(self, rows, browsers):
        pages = every_page(rows)

        found = {
            page.template: {
                name: answer_of(browser, page.address) for name, browser in browsers.items()
            }
            for page in pages
            # It ends the session of whoever walks.
            if page.template != "/admin/logout/"
        }

        assert found == table.read("Pages"), table.rendered(found)

    def test_says_which_actions_every_visitor_is_offered(self, rf, rows, browsers):
        found: table.Answers = {}
        for model, model_admin in admin.site._registry.items():
            for name, browser in browsers.items():
                for action in _actions(rf, browser, model_admin):
                    row = f"{model._meta.label_lower}: {action}"
                    found.setdefault(row, dict.fromkeys(table.COLUMNS, NO))[name] = "use"

        assert found == table.read("Actions on lists"), table.rendered(found)


def _actions(rf: Any, browser: Client, model_admin: admin.ModelAdmin) -> list[str]:
    request = rf.get("/admin/")
    request.user = browser.get("/admin/").wsgi_request.user
    return list(model_admin.get_actions(request)) if request.user.is_staff else []
