import pytest
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def shape(schema: dict, reference: dict) -> dict:
    return schema["components"]["schemas"][reference["$ref"].rsplit("/", 1)[1]]


class TestSchema:
    @pytest.mark.parametrize(
        ("path", "methods"),
        [
            ("auth/register", ["post"]),
            ("auth/login", ["post"]),
            ("auth/refresh", ["post"]),
            ("auth/logout", ["post"]),
            ("auth/forgot-password", ["post"]),
            ("auth/reset-password", ["post"]),
            ("user/profile", ["get"]),
            ("user/details", ["get", "put"]),
            ("user/change-password", ["post"]),
        ],
    )
    def test_has_every_route_with_its_shapes(self, schema, path, methods):
        operations = schema["paths"][f"/api/v1/{path}"]

        assert sorted(operations) == methods
        for method, operation in operations.items():
            assert "$ref" in operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert ("requestBody" in operation) == (method != "get")

    def test_public_routes_ask_for_nothing_and_the_others_for_a_bearer_token(self, schema):
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                if path.startswith("/api/v1/auth/"):
                    assert not any(operation.get("security", []))
                if path in ("/api/v1/user/profile", "/api/v1/user/details"):
                    assert operation["security"] == [{"bearer": []}]
        assert schema["components"]["securitySchemes"]["bearer"] == {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
        }

    @pytest.mark.parametrize("path", ["auth/register", "auth/login"])
    def test_signing_in_has_success_in_answers_and_errors(self, schema, path):
        responses = schema["paths"][f"/api/v1/{path}"]["post"]["responses"]

        for status in ("200", "400"):
            body = shape(schema, responses[status]["content"]["application/json"]["schema"])
            assert "success" in body["required"]

    @pytest.mark.parametrize("path", ["auth/login", "auth/refresh", "auth/logout"])
    def test_names_the_401(self, schema, path):
        assert "401" in schema["paths"][f"/api/v1/{path}"]["post"]["responses"]
