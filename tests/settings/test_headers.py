"""What answers tell browsers and caches, with the values that production has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from tests.billing.purchases import check_out
from tests.factories import PlanFactory, StaffFactory
from tests.settings.conftest import PRODUCTION

NAMES = [
    "CONTENT_SECURITY_POLICY",
    "CSRF_COOKIE_HTTPONLY",
    "CSRF_COOKIE_SAMESITE",
    "CSRF_COOKIE_SECURE",
    "MIDDLEWARE",
    "SECURE_CONTENT_TYPE_NOSNIFF",
    "SECURE_CROSS_ORIGIN_OPENER_POLICY",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "SECURE_HSTS_PRELOAD",
    "SECURE_HSTS_SECONDS",
    "SECURE_PROXY_SSL_HEADER",
    "SECURE_REDIRECT_EXEMPT",
    "SECURE_REFERRER_POLICY",
    "SECURE_SSL_REDIRECT",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_SECURE",
    "X_FRAME_OPTIONS",
]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BACKEND = "django.contrib.auth.backends.ModelBackend"
NO_PAGE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HTTPS = {"HTTP_X_FORWARDED_PROTO": "https"}


@pytest.fixture(scope="module")
def values(settings_of) -> dict[str, Any]:
    return settings_of("production", *NAMES, **PRODUCTION)


@pytest.fixture
def production(settings, values) -> None:
    """These settings as production has them; everything else is the tests'."""
    for name, value in values.items():
        setattr(settings, name, value)


@pytest.fixture
def invoice(customer):
    return check_out(customer, plan=PlanFactory(), now=NOON).invoice


@pytest.fixture
def api(production) -> APIClient:
    return APIClient(**HTTPS)


@pytest.fixture
def in_api(production, signed_in, customer) -> APIClient:
    client = signed_in(customer)
    client.defaults.update(HTTPS)
    return client


@pytest.fixture
def in_admin(production, roles) -> Client:
    member = StaffFactory(is_superuser=True)
    client = Client(**HTTPS)
    client.force_login(member, BACKEND)
    return client


def directives(response) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    parts = (part.strip().partition(" ") for part in policy.split(";"))
    return {name: sources for name, _blank, sources in parts}


def assert_is_guarded(response) -> None:
    assert response.headers["Strict-Transport-Security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "camera=()" in response.headers["Permissions-Policy"]
    policy = directives(response)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "'unsafe-inline'" not in policy.get("script-src", "")


@pytest.mark.django_db
class TestAdmin:
    @pytest.mark.parametrize(
        "path",
        [
            "/admin/",
            "/admin/billing/invoice/",
            "/admin/billing/invoice/<id>/change/",
            "/admin/billing/invoice/<id>/history/",
            "/admin/reports/month/",
            "/admin/nothing-here/",
        ],
    )
    def test_page(self, in_admin, invoice, path):
        response = in_admin.get(path.replace("<id>", str(invoice.pk)))

        assert response.status_code == (404 if "nothing" in path else 200)
        assert_is_guarded(response)
        assert "no-store" in response.headers["Cache-Control"]
        assert "private" in response.headers["Cache-Control"]
        assert directives(response)["script-src"] == "'self' 'unsafe-eval'"
        assert "'unsafe-inline'" not in directives(response)["style-src"]

    def test_sign_in(self, production):
        response = Client(**HTTPS).get("/admin/login/")

        assert response.status_code == 200
        assert_is_guarded(response)
        assert "no-store" in response.headers["Cache-Control"]

    def test_cookies_are_sent_by_https_alone_and_never_shown_to_scripts(self, production, roles):
        member = StaffFactory(is_superuser=True)
        client = Client(**HTTPS)

        client.get("/admin/login/")
        client.post("/admin/login/", {"username": member.email, "password": "a long password"})

        assert set(client.cookies) >= {"csrftoken", "sessionid"}
        for name in ("csrftoken", "sessionid"):
            assert client.cookies[name]["secure"] is True, name
            assert client.cookies[name]["httponly"] is True, name
            assert client.cookies[name]["samesite"] == "Lax", name

    def test_file(self, in_admin, invoice):
        response = in_admin.get("/admin/reports/month/invoices.csv?month=2026-03&currency=USD")

        assert response.headers["Content-Type"].startswith("text/csv")
        assert_is_guarded(response)
        assert "no-store" in response.headers["Cache-Control"]

    def test_pdf(self, in_admin, invoice):
        response = in_admin.get(f"/admin/billing/invoice/{invoice.pk}/pdf/")

        assert response.headers["Content-Type"] == "application/pdf"
        assert_is_guarded(response)
        assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db
class TestAPI:
    @pytest.mark.parametrize(
        "path",
        [
            "user/profile",
            "user/invoices",
            "user/invoices/<id>",
            "user/invoices/<id>/pdf",
            "user/tokens/balance",
            "tarif-plans",
            "admin/invoices",
        ],
    )
    def test_private_answer(self, in_api, invoice, path):
        response = in_api.get(f"/api/v1/{path.replace('<id>', str(invoice.pk))}")

        assert response.status_code == (403 if path.startswith("admin") else 200)
        assert_is_guarded(response)
        assert response.headers["Content-Security-Policy"] == NO_PAGE
        assert response.headers["Cache-Control"] == "private, no-store"

    def test_answer_with_tokens(self, api):
        response = api.post(
            "/api/v1/auth/register", {"email": "new@example.com", "password": "a long password"}
        )

        assert "token" in response.json()
        assert_is_guarded(response)
        assert response.headers["Cache-Control"] == "private, no-store"

    @pytest.mark.parametrize("path", ["tarif-plans", "schema", "health", "nothing-here"])
    def test_public_answer_says_nothing_of_caches(self, api, path):
        response = api.get(f"/api/v1/{path}")

        assert_is_guarded(response)
        assert response.headers["Content-Security-Policy"] == NO_PAGE
        assert "Cache-Control" not in response.headers

    def test_documentation(self, api):
        response = api.get("/api/v1/docs")

        assert response.status_code == 200
        assert_is_guarded(response)
        assert directives(response)["script-src"] == "'self'"
        assert directives(response)["connect-src"] == "'self'"

    def test_address_outside(self, api):
        response = api.get("/.git/config")

        assert response.status_code == 404
        assert_is_guarded(response)
        assert response.headers["Content-Security-Policy"] == NO_PAGE

    def test_plain_http_is_sent_to_https(self, api):
        response = api.get("/api/v1/tarif-plans", HTTP_X_FORWARDED_PROTO="http")

        assert response.status_code == 301
        assert response.headers["Location"] == "https://testserver/api/v1/tarif-plans"
