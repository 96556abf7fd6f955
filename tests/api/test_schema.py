from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders

from tests.api.routes import every_route

# They describe the API, and are no part of what they describe.
DESCRIPTIONS = {"/api/v1/schema", "/api/v1/docs"}
ERROR = {"$ref": "#/components/schemas/Error"}


@pytest.fixture
def schema(api) -> dict[str, Any]:
    return api.get("/api/v1/schema").json()


class TestSchema:
    def test_is_openapi_3_1(self, api):
        response = api.get("/api/v1/schema")

        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        assert response.json()["openapi"] == "3.1.0"
        assert response.json()["info"]["title"] == "vbwd billing"

    def test_has_every_route_and_method_of_the_resolver(self, schema):
        described = {
            (path, method) for path, operations in schema["paths"].items() for method in operations
        }
        routed = {
            (re.sub(r"<\w+:(\w+)>", r"{\1}", route.template), method)
            for route in every_route()
            for method in route.methods
            if route.template not in DESCRIPTIONS
        }

        # The name of a parameter is the schema's affair.
        assert {(re.sub(r"{\w+}", "{}", path), method) for path, method in described} == {
            (re.sub(r"{\w+}", "{}", path), method) for path, method in routed
        }

    def test_every_operation_has_an_answer_with_a_shape(self, schema):
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                answers = [code for code in operation["responses"] if code.startswith("2")]
                assert answers, f"{method} {path}"
                for code in answers:
                    assert operation["responses"][code].get("content"), f"{method} {path}"

    def test_every_operation_can_fail_in_the_one_shape(self, schema):
        for operations in schema["paths"].values():
            for operation in operations.values():
                failure = operation["responses"]["500"]["content"]["application/json"]
                assert failure["schema"] == ERROR

    def test_every_operation_that_needs_the_database_can_be_without_it(self, schema):
        without = set()
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                answer = operation["responses"].get("503")
                if answer is None or "Retry-After" not in answer["headers"]:
                    without.add(path)

        assert without == {"/api/v1/health"}

    def test_the_error_has_the_keys_of_the_contract(self, schema):
        error = schema["components"]["schemas"]["Error"]

        assert sorted(error["properties"]) == ["code", "context", "error", "fields"]
        assert sorted(error["required"]) == ["code", "error"]

    def test_every_operation_with_a_token_can_answer_401(self, schema):
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if operation.get("security") == [{"bearer": []}]:
                    assert "401" in operation["responses"], f"{method} {path}"

    @pytest.mark.parametrize("query", ["version=%0a", "lang=%00", "format=yaml", "lang=xx"])
    def test_does_not_follow_the_query(self, api, schema, query):
        response = api.get(f"/api/v1/schema?{query}")

        assert response.status_code == 200
        assert response.json() == schema

    def test_needs_no_token_and_minds_none(self, api):
        response = api.get("/api/v1/schema", HTTP_AUTHORIZATION="Bearer nonsense")

        assert response.status_code == 200


class TestDocs:
    @pytest.mark.parametrize("address", ["/api/v1/docs", "/api/v1/docs/"])
    def test_is_a_page_that_loads_the_schema(self, api, address):
        response = api.get(address, HTTP_ACCEPT="text/html")

        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert 'data-schema="/api/v1/schema"' in response.content.decode()

    def test_loads_nothing_from_elsewhere(self, api):
        page = api.get("/api/v1/docs").content.decode()

        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert len(loaded) >= 4
        for address in loaded:
            assert address.startswith("/static/"), address
            assert finders.find(address.removeprefix("/static/")), address
        assert "//cdn" not in page
        assert re.findall(r"https?://", page) == []

    @pytest.mark.parametrize("query", ["version=%22%3E%3Cscript%3E", "lang=%0a", "version=%00"])
    def test_does_not_follow_the_query(self, api, query):
        response = api.get(f"/api/v1/docs?{query}")

        assert response.status_code == 200
        assert 'data-schema="/api/v1/schema"' in response.content.decode()
