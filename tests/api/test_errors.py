from __future__ import annotations

import json
import logging

import pytest

from tests.api.routes import every_route
from tests.factories import StaffFactory

METHODS = ["get", "post", "put", "patch", "delete", "options"]
NOT_FOUND = {"error": "There is nothing at this address.", "code": "not_found"}
FAILED = {"error": "Something went wrong on our side.", "code": "server_error"}


class TestUnknownAddress:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        "address",
        [
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v1/nothing",
            "/api/v1/nothing/",
            "/api/v1/health//",
            "/api/v2/health",
            "/api/v1/%00",
            "/api/v1/%ff",
            "/nothing",
            "/nothing/at/all/",
        ],
    )
    def test_is_404_in_the_one_shape(self, api, method, address):
        response = getattr(api, method)(address)

        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == NOT_FOUND

    def test_has_no_body_for_head(self, api):
        response = api.head("/api/v1/nothing")

        assert response.status_code == 404
        assert response.content == b""

    def test_is_404_with_debug_too(self, api, settings):
        settings.DEBUG = True

        response = api.get("/api/v1/nothing")

        assert response.status_code == 404
        assert response.json() == NOT_FOUND


class TestStaffArea:
    addresses = pytest.mark.parametrize(
        "address", ["/api/v1/admin", "/api/v1/admin/", "/api/v1/admin/nothing/at/all"]
    )

    @addresses
    @pytest.mark.parametrize("method", METHODS)
    def test_is_401_for_a_stranger(self, api, address, method):
        response = getattr(api, method)(address)

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json() == {
            "error": "Authentication credentials were not provided.",
            "code": "not_authenticated",
        }

    @addresses
    @pytest.mark.django_db
    def test_is_403_for_a_customer(self, signed_in, customer, address):
        response = signed_in(customer).get(address)

        assert response.status_code == 403
        assert response.json() == {
            "error": "You do not have permission to perform this action.",
            "code": "permission_denied",
        }

    @addresses
    @pytest.mark.django_db
    def test_is_404_for_staff(self, signed_in, address):
        response = signed_in(StaffFactory()).get(address)

        assert response.status_code == 404
        assert response.json() == NOT_FOUND


class TestMethod:
    def test_that_is_not_answered_is_405_and_names_the_others(self, api):
        response = api.delete("/api/v1/health")

        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert response.json() == {
            "error": 'Method "DELETE" not allowed.',
            "code": "method_not_allowed",
        }

    @pytest.mark.parametrize("method", ["post", "options"])
    def test_is_405_in_json_where_the_answer_would_be_a_page(self, api, method):
        response = getattr(api, method)("/api/v1/docs")

        assert response.status_code == 405
        assert response.headers["Content-Type"] == "application/json"
        assert response.json()["code"] == "method_not_allowed"

    def test_head_answers_like_get_without_the_body(self, api):
        response = api.head("/api/v1/health")

        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        assert response.content == b""

    def test_trace_is_405(self, api):
        response = api.trace("/api/v1/health")

        assert response.status_code == 405
        assert response.json()["code"] == "method_not_allowed"

    def test_options_names_the_methods(self, api):
        response = api.options("/api/v1/health")

        assert response.status_code == 200
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert response.headers["Content-Type"] == "application/json"


@pytest.mark.django_db
class TestOptions:
    def test_are_answered_at_every_address(self, signed_in):
        client = signed_in(StaffFactory(is_superuser=True))

        answers = {route.address: client.options(route.address) for route in every_route()}

        answers.pop("/api/v1/docs")  # a page
        assert len(answers) >= 60
        assert {
            (address, answer.status_code, answer.headers["Content-Type"])
            for address, answer in answers.items()
        } == {(address, 200, "application/json") for address in answers}


class TestBody:
    """On the log-in: it is public, and reads a body."""

    url = "/api/v1/auth/login"

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"nothing",
            b"'",
            b'{"email": NaN}',
            b'{"email": "a"} {}',
            b'{"email": "\xff"}',
            b'{"email": "\\ud800"}',
            b"[" * 30,
        ],
    )
    def test_that_is_no_json_is_400(self, api, body):
        response = api.post(self.url, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] == "malformed_json"
        assert response.json()["error"].startswith("JSON parse error - ")

    @pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
    def test_that_is_no_object_is_400(self, api, body):
        response = api.post(self.url, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] == "validation_error"

    @pytest.mark.parametrize("body", [b"{}", b""])
    def test_that_is_empty_is_400_and_names_each_field(self, api, body):
        response = api.post(self.url, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] == "validation_error"
        assert sorted(response.json()["fields"]) == ["email", "password"]
        assert response.json()["error"] == (
            "email: This field is required. password: This field is required."
        )

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "nonsense",
        ],
    )
    def test_of_another_type_is_415(self, api, content_type):
        response = api.post(self.url, b'{"email": "a"}', content_type=content_type)

        assert response.status_code == 415
        assert response.json()["code"] == "unsupported_media_type"

    @pytest.mark.parametrize(
        "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"]
    )
    def test_of_json_by_another_spelling_is_read(self, api, content_type):
        response = api.post(self.url, b"{}", content_type=content_type)

        assert response.json()["code"] == "validation_error"

    @pytest.mark.urls("tests.api.broken_urls")
    def test_of_the_largest_size_is_read(self, api):
        text = "x" * (1024 * 1024 - 2)

        response = api.post("/api/v1/fails", f'"{text}"', content_type="application/json")

        assert response.status_code == 200
        assert response.json() == {"read": text}

    @pytest.mark.urls("tests.api.broken_urls")
    def test_over_the_limit_is_413(self, api):
        text = "x" * (1024 * 1024 - 1)

        response = api.post("/api/v1/fails", f'"{text}"', content_type="application/json")

        assert response.status_code == 413
        assert response.json() == {
            "error": "The request is too large.",
            "code": "request_too_large",
        }


class TestAccept:
    @pytest.mark.parametrize("accepted", ["*/*", "application/json", "text/html, */*;q=0.8"])
    def test_gets_json_wherever_it_may(self, api, accepted):
        response = api.get("/api/v1/health", HTTP_ACCEPT=accepted)

        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"

    def test_of_something_else_only_is_406_and_json_all_the_same(self, api):
        response = api.get("/api/v1/health", HTTP_ACCEPT="text/html")

        assert response.status_code == 406
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == {
            "error": "Could not satisfy the request Accept header.",
            "code": "not_acceptable",
        }

    def test_by_the_query_has_no_meaning(self, api):
        response = api.get("/api/v1/health?format=html")

        assert response.status_code == 200


class TestHost:
    @pytest.mark.parametrize("address", ["/api/v1/health", "/nothing"])
    def test_that_is_not_served_is_400(self, api, address):
        response = api.get(address, HTTP_HOST="elsewhere.example")

        assert response.status_code == 400
        assert response.json() == {
            "error": "The request cannot be understood.",
            "code": "bad_request",
        }


@pytest.mark.urls("tests.api.broken_urls")
class TestFailure:
    @pytest.mark.parametrize("debug", [False, True])
    def test_in_a_view_is_500_and_tells_nothing(self, api, settings, debug):
        settings.DEBUG = debug

        response = api.get("/api/v1/fails")

        assert response.status_code == 500
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == FAILED

    def test_in_a_view_is_logged_in_full(self, api, caplog):
        with caplog.at_level(logging.ERROR, logger="config.api"):
            api.get("/api/v1/fails")

        (record,) = [record for record in caplog.records if record.name == "config.api"]
        assert record.getMessage() == "GET /api/v1/fails failed"
        assert "SELECT password FROM users" in str(record.exc_info)

    @pytest.mark.parametrize(
        ("address", "status", "body"),
        [
            ("/api/v1/unrenderable", 500, FAILED),
            ("/api/v1/fails-outside?kind=secretive", 500, FAILED),
            (
                "/api/v1/fails-outside?kind=suspicious",
                400,
                {"error": "The request cannot be understood.", "code": "bad_request"},
            ),
            (
                "/api/v1/fails-outside?kind=denied",
                403,
                {"error": "You are not allowed to do this.", "code": "permission_denied"},
            ),
        ],
    )
    def test_outside_of_a_view_has_the_same_shape(self, api, address, status, body):
        api.raise_request_exception = False

        response = api.get(address)

        assert response.status_code == status
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == body

    @pytest.mark.parametrize(
        ("kind", "status"), [("secretive", 500), ("suspicious", 400), ("denied", 403)]
    )
    def test_in_the_admin_is_a_page_that_tells_nothing(self, client, kind, status):
        client.raise_request_exception = False

        response = client.get(f"/admin/fails-outside?kind={kind}")

        assert response.status_code == status
        assert response.headers["Content-Type"].startswith("text/html")
        assert b"SELECT" not in response.content
        assert b"Secretive" not in response.content


IN_PRODUCTION = """
import json, django
django.setup()
from django.conf import settings
settings.ROOT_URLCONF = "tests.api.broken_urls"
from django.test import Client
client = Client(raise_request_exception=False)
answers = []
for address, host in [
    ("/api/v1/fails", "billing.example.com"),
    ("/api/v1/fails-outside?kind=secretive", "billing.example.com"),
    ("/api/v1/unrenderable", "billing.example.com"),
    ("/api/v1/nothing", "billing.example.com"),
    ("/api/v1/health", "elsewhere.example"),
]:
    answer = client.get(address, HTTP_HOST=host, secure=True)
    answers.append([answer.status_code, answer.headers["Content-Type"], answer.content.decode()])
print(json.dumps(answers))
"""


class TestProduction:
    def test_answers_like_the_tests_do(self, production):
        done = production(["-c", IN_PRODUCTION])

        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        assert {content_type for _status, content_type, _body in answers} == {"application/json"}
        assert [(status, json.loads(body)) for status, _type, body in answers] == [
            (500, FAILED),
            (500, FAILED),
            (500, FAILED),
            (404, NOT_FOUND),
            (400, {"error": "The request cannot be understood.", "code": "bad_request"}),
        ]
