from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from tests import log_secrets
from tests.factories import PlanFactory
from tests.settings.conftest import PRODUCTION

TOKEN = "a-token-of-the-metrics-0123456789-abcdef"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def token(settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(metric: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0


@pytest.mark.django_db
class TestMetrics:
    def test_is_not_there_without_a_token_in_the_settings(self, client):
        response = client.get("/metrics", headers={"Authorization": "Bearer "})

        assert response.status_code == 404
        assert response.json()["code"] == "not_found"

    @pytest.mark.parametrize(
        "given", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", TOKEN, f"Basic {TOKEN}", "Bearer ü"]
    )
    def test_is_for_nobody_without_the_token(self, client, token, given):
        response = client.get("/metrics", headers={"Authorization": given})

        assert response.status_code == 401
        assert response.json()["code"] == "not_authenticated"
        assert b"billing_due" not in response.content

    def test_says_what_waits(self, client, token):
        response = client.get("/metrics", headers=WITH_TOKEN)

        found = samples(response.content.decode())
        assert response.headers["Content-Type"].startswith("text/plain")
        assert response.headers["Cache-Control"] == "private, no-store"
        assert found[("billing_database_up",)] == 1
        for what in ("mails", "renewals", "collections"):
            assert found[("billing_due", what)] == 0
            assert found[("billing_due_oldest_seconds", what)] == 0
        for what in ("parked_mails", "parked_renewals", "unmatched_payments"):
            assert found[("billing_to_resolve", what)] == 0
        assert found[("billing_unanswered", "payments")] == 0

    def test_says_what_happened_lately(self, client, token, signed_in, customer):
        plan = PlanFactory()
        signed_in(customer).post("/api/v1/user/checkout", {"plan_id": str(plan.pk)})

        found = samples(client.get("/metrics", headers=WITH_TOKEN).content.decode())

        assert found[("billing_events_lately", "checkout.completed")] == 1

    def test_is_answered_without_a_database(self, client, token, monkeypatch):
        def down(*_arguments):
            raise OperationalError("The server is gone.")

        with connection.execute_wrapper(down):
            response = client.get("/metrics", headers=WITH_TOKEN)

        found = samples(response.content.decode())
        assert response.status_code == 200
        assert found[("billing_database_up",)] == 0
        assert not any(name[0] == "billing_due" for name in found)


@pytest.mark.django_db
class TestCounts:
    def test_refusals_by_their_code(self, api):
        before = counted("billing_refusals_total", code="not_authenticated", status="401")

        api.get("/api/v1/user/profile")

        after = counted("billing_refusals_total", code="not_authenticated", status="401")
        assert after - before == 1

    def test_events_once_they_are_committed(
        self, signed_in, customer, django_capture_on_commit_callbacks
    ):
        plan = PlanFactory()
        before = counted("billing_events_total", name="checkout.completed")

        with django_capture_on_commit_callbacks(execute=True):
            signed_in(customer).post("/api/v1/user/checkout", {"plan_id": str(plan.pk)})
            assert counted("billing_events_total", name="checkout.completed") == before

        assert counted("billing_events_total", name="checkout.completed") == before + 1

    def test_requests_by_where_and_how(self, api):
        labels = {"area": "api", "method": "GET", "status": "200"}
        before = counted("billing_request_seconds_count", **labels)

        api.get("/api/v1/health")

        assert counted("billing_request_seconds_count", **labels) == before + 1

    def test_do_not_grow_with_what_callers_make_up(self, api):
        api.generic("BREW", "/api/v1/health")

        assert (
            counted("billing_request_seconds_count", area="api", method="BREW", status="405") == 0
        )
        labels = {"area": "api", "method": "other", "status": "405"}
        assert counted("billing_request_seconds_count", **labels) >= 1


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """Gunicorn as in production, with three processes and a database that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    counts, log = tmp_path / "counts", tmp_path / "log"
    counts.mkdir()
    environment = {
        **PRODUCTION,
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": "postgres://nobody:hunter2@127.0.0.1:1/nothing",
        "METRICS_TOKEN": TOKEN,
        "PORT": str(port),
        "WEB_WORKERS": "3",
        "PROMETHEUS_MULTIPROC_DIR": str(counts),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", "config.wsgi"]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=file)
    made = Server(f"http://127.0.0.1:{port}", counts, log)
    try:
        made.wait(process)
        yield made
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Server:
    address: str
    counts: Path
    log: Path

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(f"{self.address}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until it answers once."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("/api/v1/health")
                return
            except OSError:
                assert process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.1)


class TestServer:
    def test_adds_up_what_its_processes_counted(self, server):
        asked = 0
        with ThreadPoolExecutor(8) as callers:
            while len(list(server.counts.glob("histogram_*.db"))) < 2:
                assert asked < 2000
                asked += len(list(callers.map(server.get, ["/api/v1/health"] * 40)))

        # Whichever process answers.
        for _ in range(4):
            found = samples(server.get("/metrics", **WITH_TOKEN))
            assert found[("billing_request_seconds_count", "api", "GET", "200")] == asked + 1
        assert found[("billing_database_up",)] == 0

        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        requests = [line for line in lines if line["event"] == "request"]
        assert len({line["request_id"] for line in requests}) == len(requests)
        assert {line["path"] for line in requests} == {
            "/api/v1/health",
            "/metrics",
        }
        assert any("Listening at" in line["event"] for line in lines)
        assert log_secrets.find(server.log.read_text(), known=["hunter2", TOKEN]) == []
