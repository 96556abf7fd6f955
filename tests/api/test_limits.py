"""How large, deep, long and wide a request may be."""

from __future__ import annotations

import json

import pytest

from tests.factories import StaffFactory

PLANS = "/api/v1/admin/tarif-plans"


def nested(levels: int) -> list:
    value: list = []
    for _level in range(levels - 1):
        value = [value]
    return value


@pytest.fixture
def staff(db, signed_in):
    return signed_in(StaffFactory(is_superuser=True))


def post(client, body, address="/api/v1/auth/logout"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(address, content, content_type="application/json")


class TestDepth:
    def test_of_32_levels_is_read(self, api):
        response = post(api, {"refresh_token": nested(31)})

        assert response.json()["code"] == "validation_error"

    @pytest.mark.parametrize(
        "body",
        [{"x": nested(32)}, nested(33), pytest.param(b"[" * 1_000_000, id="unclosed")],
    )
    def test_over_32_levels_is_refused_before_it_is_parsed(self, api, body):
        response = post(api, body)

        assert response.status_code == 400
        assert response.json() == {
            "error": "The body is nested more than 32 levels deep.",
            "code": "body_too_complex",
        }

    @pytest.mark.parametrize("text", ["[" * 40, '"{' * 40, "\\" * 41 + "[" * 40])
    def test_brackets_in_a_text_are_text(self, api, text):
        response = post(api, {"refresh_token": text})

        assert response.json()["code"] == "invalid_refresh_token"


class TestLists:
    def test_of_a_thousand_entries_are_read(self, api):
        response = post(api, {"refresh_token": [1] * 1000})

        assert response.json()["code"] == "validation_error"

    @pytest.mark.parametrize("value", [[1] * 1001, {"x": [{"y": [1] * 1001}]}])
    def test_over_a_thousand_entries_are_refused(self, api, value):
        response = post(api, {"refresh_token": value})

        assert response.status_code == 400
        assert response.json() == {
            "error": "A list in the body has more than 1000 entries.",
            "code": "body_too_complex",
        }


class TestFields:
    def test_over_a_thousand_in_all_are_refused(self, api):
        few = {str(n): n for n in range(501)}

        response = post(api, {"refresh_token": [few, few]})

        assert response.status_code == 400
        assert response.json() == {
            "error": "The body has more than 1000 fields.",
            "code": "body_too_complex",
        }

    def test_with_the_same_key_twice_are_refused(self, api):
        response = post(api, b'{"refresh_token": "a", "refresh\\u005ftoken": "b"}')

        assert response.status_code == 400
        assert response.json() == {
            "error": "JSON parse error - the key 'refresh_token' comes twice.",
            "code": "malformed_json",
        }

    def test_over_a_thousand_parameters_of_a_query_are_refused(self, staff):
        response = staff.get(f"{PLANS}?" + "a=1&" * 1001)

        assert response.status_code == 400
        assert response.json()["code"] == "bad_request"


class TestAdmin:
    """Its forms have the same limits, and a page says so."""

    @pytest.mark.parametrize(
        "form", [{"username": "x" * 1_100_000}, {f"f{n}": "x" for n in range(1001)}]
    )
    def test_too_large_a_form_is_a_page_with_400(self, client, db, form):
        response = client.post("/admin/login/", form)

        assert response.status_code == 400
        assert response.headers["Content-Type"].startswith("text/html")
