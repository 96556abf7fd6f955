from __future__ import annotations

import json

import pytest
from django.db import connection

from config.version import VERSION


class TestHealth:
    @pytest.mark.parametrize("address", ["/api/v1/health", "/api/v1/health/"])
    def test_is_200_while_the_process_is_up(self, api, address):
        response = api.get(address)  # without the database: a query would fail the test

        assert response.status_code == 200
        assert response.json() == {"status": "ok", "service": "vbwd-api", "version": VERSION}

    def test_minds_no_token(self, api):
        response = api.get("/api/v1/health", HTTP_AUTHORIZATION="Bearer nonsense")

        assert response.status_code == 200


@pytest.mark.django_db
class TestReady:
    @pytest.mark.parametrize("address", ["/api/v1/health/ready", "/api/v1/health/ready/"])
    def test_is_200_with_the_database_and_all_migrations(self, api, address):
        response = api.get(address)

        assert response.status_code == 200
        assert response.json() == {"status": "ok", "missing": []}

    def test_is_503_with_a_migration_to_come(self, api):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'billing'")

        response = api.get("/api/v1/health/ready")

        assert response.status_code == 503
        assert response.json() == {
            "status": "unavailable",
            "missing": ["migrations"],
            "error": "Not ready: migrations.",
            "code": "not_ready",
        }


WITHOUT_DATABASE = """
import json, django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
options = {"HTTP_HOST": "billing.example.com", "secure": True}
for address in ("/api/v1/health", "/api/v1/health/ready", "/api/v1/tarif-plans"):
    answer = client.get(address, **options)
    print(json.dumps([answer.status_code, answer.json()]))
"""


class TestDatabaseDown:
    def test_is_told_by_ready_and_does_not_disturb_health(self, production):
        done = production(["-c", WITHOUT_DATABASE])

        assert done.returncode == 0, done.stderr
        health, ready, plans = (json.loads(line) for line in done.stdout.splitlines())
        assert health[0] == 200
        assert ready == [
            503,
            {
                "status": "unavailable",
                "missing": ["database"],
                "error": "Not ready: database.",
                "code": "not_ready",
            },
        ]
        assert plans == [
            503,
            {
                "error": "The database does not answer, and the request may or may not have been "
                "carried out. Send it again, a checkout with the same Idempotency-Key.",
                "code": "database_unavailable",
            },
        ]
