"""
Schemathesis holds every operation against the OpenAPI schema, as each kind of caller.

Few examples, always the same ones; ``CONTRACT_EXAMPLES=100 bin/test tests/contract`` has many.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.utils import timezone
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from accounts.models import User
from accounts.services import sessions
from billing.models import Subscription
from tests.contract.callers import application
from tests.factories import StaffFactory

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "1"))
IS_FULL = EXAMPLES > 1


def configuration(token: str | None) -> schemathesis.Config:
    """Every check and phase, and what of them is otherwise here."""
    settings: dict[str, Any] = {
        "seed": 1,
        "cache": {"enabled": False},
        "auth": {"auto-signup": False},  # a stranger stays one
        "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        "phases": {
            "stateful": {"max-steps": 6 if IS_FULL else 3},
        },
        "checks": {
            # A rule that says no to good data is a 400 here, as the contract has it.
            "positive_data_acceptance": {
                "expected-statuses": ["2XX", "400", "401", "402", "403", "404", "409", "422", "503"]
            },
        },
    }
    if token:
        settings["headers"] = {"Authorization": f"Bearer {token}"}
    return schemathesis.Config.from_dict(settings)


def failures_of(schema: Any) -> tuple[Counter[str], dict[str, str]]:
    """How many calls and checks there were, and what failed: each once, with its first example."""
    counted: Counter[str] = Counter()
    failed: dict[str, str] = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            failed[f"{event.label} could not be called"] = repr(event.value)
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            counted["calls"] += len(recorder.interactions)
            for case_id, nodes in recorder.checks.items():
                label = recorder.cases[case_id].value.operation.label
                counted["checks"] += len(nodes)
                for found in (node.failure_info for node in nodes if node.failure_info):
                    what = f"{label}: {found.failure.title}: {found.failure.message}"
                    failed.setdefault(what, found.code_sample)
    return counted, failed


@pytest.fixture(autouse=True)
def probes_in_this_process(monkeypatch) -> None:
    """Schemathesis 4.32 hands options of real connections to its probes in this process too."""
    send = WSGITransport.send

    def send_here(self: Any, case: Any, **options: Any) -> Any:
        for name in ("max_redirects", "verify", "cert", "proxies"):
            options.pop(name, None)
        return send(self, case, **options)

    monkeypatch.setattr(WSGITransport, "send", send_here)


@pytest.fixture
def tokens(rows) -> dict[str, str | None]:
    """An access token of each kind of caller."""

    def token(user: User) -> str:
        return sessions.open(user=user, now=timezone.now()).access

    return {
        "stranger": None,
        "customer": token(rows[Subscription].user),
        "staff": token(StaffFactory(is_superuser=True)),
    }


@pytest.mark.django_db
class TestSchema:
    @pytest.mark.parametrize("caller", ["stranger", "customer", "staff"])
    def test_holds_for_a(self, caller, tokens):
        with application() as app:
            schema = schemathesis.openapi.from_wsgi(
                "/api/v1/schema", app, config=configuration(tokens[caller])
            )
            counted, failed = failures_of(schema)

        assert failed == {}, f"{caller}: {dict(counted)}"
        assert counted["calls"] > 200
        assert counted["checks"] > counted["calls"]
