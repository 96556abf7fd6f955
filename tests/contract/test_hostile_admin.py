"""
Every field of every form of the admin, and every parameter of its lists, with what none expects.

A few values each, others for each field; ``CONTRACT_EXAMPLES=50 bin/test tests/contract`` tries
every value in every field alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.forms import BaseForm, CharField, FileField
from django.test import Client

from tests.access.pages import Page, every_page
from tests.access.table import undone
from tests.contract import hostile
from tests.factories import StaffFactory

BACKEND = "django.contrib.auth.backends.ModelBackend"
DOCUMENTS = [
    "[" * 30_000, '{"a": NaN}', '{"a":' * 2000, "[1e400]", '"\\ud800"', '["\\u0000"]', "{", "[]",
]  # fmt: skip
VALUES = [
    *hostile.BAD_TEXTS, *hostile.TEXTS, *hostile.NUMBERS, *hostile.DATES, *hostile.IDS, *DOCUMENTS,
]  # fmt: skip
# They end the session of whoever walks, write where they are looked at, or are of files.
NO_FORMS = (
    "/second-factor/set-up/",
    "/logout/",
    "/login/",
    "/import/",
    "/export/",
    "/history/",
    "/delete/",
)
PARAMETERS = ("q", "p", "o", "all", "e", "_facets", "_popup", "_to_field", "user__password")


@pytest.fixture
def browser(roles) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(StaffFactory(is_superuser=True), BACKEND)
    return client


@pytest.fixture
def pages(rows: dict[type[Model], Model]) -> list[Page]:
    return [page for page in every_page(rows) if not page.template.endswith(NO_FORMS)]


@pytest.mark.django_db
class TestForms:
    def test_never_fail_and_write_nothing_where_they_refuse(self, browser, pages):
        """``everything_stored`` is dear: it is asked for where a form was refused."""
        failed: list[tuple[Any, ...]] = []
        turn = 0
        before = hostile.everything_stored()
        for page in pages:
            forms = list(_forms_of(browser.get(page.address)))
            for sent in _hostile(forms, turn) if forms else ():
                with undone():
                    response = browser.post(page.address, sent)
                    if response.status_code >= 500:
                        failed.append((page.template, f"{response.status_code} for {sent!r:.300}"))
                    elif _is_refused(response) and hostile.everything_stored() != before:
                        failed.append((page.template, f"refused, and written: {sent!r:.300}"))
            turn += sum(len(list(form)) for form in forms)

        assert not failed, _listed(failed)
        assert turn > 100


@pytest.mark.django_db
# Django tells of days that it takes for midnight; a page does not fail for it.
@pytest.mark.filterwarnings("default:DateTimeField:RuntimeWarning")
class TestLists:
    def test_take_no_parameter_for_more_than_it_says(self, browser, pages):
        failed: list[tuple[Any, ...]] = []
        asked = 0
        for page in pages:
            changes = (browser.get(page.address).context or {}).get("cl")
            if not isinstance(changes, ChangeList):
                continue
            for number, name in enumerate(_parameters_of(changes)):
                for value in _some([*VALUES[:2], *VALUES[3:]], number):
                    asked += 1
                    response = browser.get(page.address, {name: value[:5000]})
                    if response.status_code not in (200, 302, 400):
                        failed.append((page.template, name, value[:50], response.status_code))

        assert not failed, _listed(failed)
        assert asked > 300


def _some(values: list[str], turn: int) -> list[str]:
    return values if hostile.IS_FULL else [values[(turn * 3 + n) % len(values)] for n in range(3)]


def _listed(failed: list[tuple[Any, ...]]) -> str:
    return "\n".join(map(repr, failed))


def _parameters_of(changes: ChangeList) -> list[str]:
    filters = [
        name
        for one in changes.filter_specs
        for name in one.expected_parameters()
        if name is not None
    ]
    return [*PARAMETERS, *filters]


def _forms_of(response: Any) -> Iterator[BaseForm]:
    """The forms of a page: of the row, of what belongs to it, of a step."""
    for context in response.context or ():
        for values in getattr(context, "dicts", (context,)):
            if isinstance(form := values.get("form"), BaseForm):
                yield form
            if "adminform" in values:
                yield values["adminform"].form
            for inline in values.get("inline_admin_formsets", ()):
                yield inline.formset.management_form
                yield from inline.formset.forms


def _is_refused(response: Any) -> bool:
    if response.status_code >= 400:
        return True
    return any(form.is_bound and form.errors for form in _forms_of(response))


def _hostile(forms: list[BaseForm], turn: int) -> Iterator[dict[str, Any]]:
    """What a browser would send, but for one field, or for all of them."""
    good = _filled(forms)
    fields = {bound.html_name: bound.field for form in forms for bound in form}
    if hostile.IS_FULL:
        yield from ({**good, name: value} for name in fields for value in VALUES)
        return
    yield {name: VALUES[(turn + place) % len(VALUES)] for place, name in enumerate(fields)}
    texts = [name for name, field in fields.items() if isinstance(field, CharField)]
    for place, name in enumerate(islice(texts, 2)):
        yield {**good, name: hostile.TEXTS[(turn + place) % len(hostile.TEXTS)]}
    others = [name for name in fields if name not in texts]
    if others:
        yield {**good, others[turn % len(others)]: VALUES[(turn * 7) % len(VALUES)]}


def _filled(forms: list[BaseForm]) -> dict[str, Any]:
    """What a browser would send back of what it was shown."""
    sent = {}
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False and not isinstance(bound.field, FileField):
                shown = bound.field.widget.format_value(value)
                sent[bound.html_name] = "" if shown is None else shown
    return sent
