"""Every field of every operation, as the schema names them, with what no field expects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from rest_framework.test import APIClient

from billing.models import Coupon, Event, Invoice, Payment, Subscription
from catalog.models import AddOn, Plan, TokenBundle
from config.documentation import _schema
from tests.access.table import undone
from tests.contract import hostile
from tests.factories import StaffFactory

GOOD = {
    "string": "something",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "array": [],
    "object": {},
}
NAMED = {
    "email": "someone@example.com",
    "password": "a long password",
    "new_password": "another long password",
    "current_password": "a long password",
    "currency": "USD",
    "country": "DE",
    "price": "29.00",
    "amount": "29.00",
    "setup_fee": "0",
    "billing_period": "monthly",
}
MODELS = {
    "tarif-plans": Plan,
    "token-bundles": TokenBundle,
    "addons": AddOn,
    "subscriptions": Subscription,
    "invoices": Invoice,
}
# Said in the contract: the failed checkout is noted, and money that arrived is kept.
KEPT = {Event._meta.db_table, Payment._meta.db_table}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in _schema()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(shape: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in shape:
        shape = _schema()["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    for key in ("oneOf", "anyOf", "allOf"):
        if key in shape:
            return {**resolved(shape[key][0]), "type": resolved(shape[key][0]).get("type")}
    return shape


def type_of(shape: dict[str, Any]) -> str:
    kind = shape.get("type") or "string"
    return next(one for one in kind if one != "null") if isinstance(kind, list) else kind


def fields(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {})
    shape = resolved(content.get("application/json", {}).get("schema", {}))
    return {name: resolved(inner) for name, inner in shape.get("properties", {}).items()}


def values_for(shape: dict[str, Any]) -> list[Any]:
    kind, form = type_of(shape), shape.get("format", "")
    texts = hostile.BAD_TEXTS + hostile.TEXTS
    if form in ("date", "date-time"):
        texts = hostile.DATES + texts[:4]
    elif form == "uuid":
        texts = hostile.IDS + texts[:4]
    elif kind in ("integer", "number") or form == "decimal":
        texts = hostile.NUMBERS + texts[:3]
    listed = [[text] for text in texts[:5]] + [[1] * 1001] if kind == "array" else []
    keyed = [{text: text} for text in texts[:5]] if kind == "object" else []
    return hostile.WRONG + texts + listed + keyed


def good(name: str, shape: dict[str, Any], rows: dict[Any, Any]) -> Any:
    if name in NAMED:
        return NAMED[name]
    ids = {"plan_id": Plan, "new_plan_id": Plan, "invoice_id": Invoice}
    if name in ids:
        return str(rows[ids[name]].pk)
    if name == "user_id":
        return str(rows[Subscription].user_id)
    if name == "coupon_code":
        return rows[Coupon].code
    if shape.get("enum"):
        return shape["enum"][0]
    return GOOD[type_of(shape)]


def address(path: str, rows: dict[Any, Any]) -> str:
    model = next((model for part, model in MODELS.items() if part in path), None)
    row = str(rows[model].pk) if model else str(rows[Subscription].user_id)
    return re.sub(r"{\w+}", row, path)


def is_refused(response: Any) -> bool:
    """Whether it is; what it says is in the contract's one shape."""
    assert response.status_code < 500 or response.status_code == 503, response.content[:300]
    if response.status_code < 400:
        return False
    assert response.headers["Content-Type"] == "application/json"
    body = orjson.loads(response.content)
    assert {"error", "code"} <= set(body) <= {"error", "code", "fields", "context", "success"}
    assert isinstance(body["error"], str)
    assert body["error"]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", body["code"])
    said = body["error"]
    assert "Traceback" not in said
    assert "psycopg" not in said
    assert "SELECT" not in said.replace("'; DROP", "")
    return True


BODIES = [(path, method) for path, method, operation in operations() if fields(operation)]
QUERIES = [
    (path, method)
    for path, method, operation in operations()
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", []))
]


@pytest.fixture
def client(rows, signed_in) -> APIClient:
    """Staff who may do everything, or the customer that the rows belong to."""
    return {
        "staff": signed_in(StaffFactory(is_superuser=True)),
        "customer": signed_in(rows[Subscription].user),
    }


def text_of(body: Any) -> bytes:
    """As JSON: with NaN and lone surrogates where a value has them."""
    return json.dumps(body).encode()


@pytest.mark.django_db
class TestBodies:
    @pytest.mark.parametrize(("path", "method"), BODIES)
    def test_are_refused_in_the_contracts_shape_and_nothing_is_written(
        self, path, method, client, rows
    ):
        caller = client["staff" if "/admin/" in path or "webhooks" in path else "customer"]
        shapes = fields(_schema()["paths"][path][method])
        base = {name: good(name, shape, rows) for name, shape in shapes.items()}
        target = address(path, rows)
        before = hostile.everything_stored()
        failed = []

        for turn, (name, shape) in enumerate(shapes.items()):
            for value in hostile.chosen(values_for(shape), turn):
                with undone():
                    response = getattr(caller, method)(
                        target, text_of({**base, name: value}), content_type="application/json"
                    )
                    try:
                        if is_refused(response) and written(before):
                            failed.append((name, repr(value)[:80], "written", written(before)))
                    except AssertionError as wrong:
                        failed.append(
                            (name, repr(value)[:80], response.status_code, str(wrong)[:200])
                        )

        assert failed == []

    @pytest.mark.parametrize(("path", "method"), BODIES)
    def test_as_a_whole_are_refused(self, path, method, client, rows):
        caller = client["staff" if "/admin/" in path or "webhooks" in path else "customer"]
        target = address(path, rows)
        name = next(iter(fields(_schema()["paths"][path][method])))
        before = hostile.everything_stored()

        with undone():
            for body, status, code in (
                (b'{"%s": "\\ud800"}' % name.encode(), 400, "malformed_json"),
                (b'{"%s": NaN}' % name.encode(), 400, "malformed_json"),
                (b'{"%s": 1e400}' % name.encode(), 400, "malformed_json"),
                (b'{"%s": 1, "%s": 2}' % (name.encode(), name.encode()), 400, "malformed_json"),
                (b'{"%s": ' % name.encode() + b"[" * 99, 400, "body_too_complex"),
                (b'"' + b"x" * 10_000_000 + b'"', 413, "request_too_large"),
                (b"[]", 400, "validation_error"),
            ):
                response = getattr(caller, method)(target, body, content_type="application/json")
                assert (response.status_code, response.json()["code"]) == (status, code), body[:50]
            assert written(before) == []


def written(before: list[tuple[Any, ...]]) -> list[str]:
    now = hostile.everything_stored()
    return [
        new[0] for old, new in zip(before, now, strict=True) if old != new and new[0] not in KEPT
    ]


@pytest.mark.django_db
class TestQueries:
    @pytest.mark.parametrize(("path", "method"), QUERIES)
    def test_never_fail(self, path, method, client, rows):
        caller = client["staff" if "/admin/" in path else "customer"]
        target = address(path, rows)
        parameters = _schema()["paths"][path][method]["parameters"]
        failed = []

        for turn, parameter in enumerate(p for p in parameters if p["in"] == "query"):
            texts = (
                hostile.BAD_TEXTS[:2]
                + hostile.TEXTS
                + hostile.NUMBERS
                + hostile.DATES
                + hostile.IDS
            )
            for text in hostile.chosen(texts, turn):
                response = getattr(caller, method)(target, query_params={parameter["name"]: text})
                try:
                    is_refused(response)
                except AssertionError as wrong:
                    failed.append((parameter["name"], text[:80], str(wrong)[:200]))

        assert failed == []
