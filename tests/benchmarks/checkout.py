"""Checkouts per second through HTTP, against the database's own work."""

from __future__ import annotations

import json
import re
import subprocess
from statistics import median

from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from rest_framework.test import APIClient
from rich.console import Console
from rich.table import Table

from tests.benchmarks import replay
from tests.benchmarks.world import World

KEY = "benchmark-key"
PATH = "/api/v1/user/checkout"
_WRK = """
local tokens = {%(tokens)s}
local threads = 0
function setup(thread) thread:set("number", threads); threads = threads + 1 end
local count = 0
function request()
  count = count + 1
  return wrk.format("POST", "%(path)s", {
    ["Authorization"] = "Bearer " .. tokens[count %% #tokens + 1],
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = "%(run)s-" .. number .. "-" .. count,
  }, [[%(body)s]])
end
"""


def run(world: World, *, rounds: int, seconds: int) -> None:
    """Alternate server and replay, and show the medians."""
    body = {
        "plan_id": str(world.plan.id),
        "token_bundle_ids": [str(bundle.id) for bundle in world.bundles[:2]],
        "add_on_ids": [str(add_on.id) for add_on in world.add_ons],
    }
    statements = _statements(world, body)
    _write_replay(world, statements)
    served: list[dict[str, float]] = []
    limit: list[float] = []
    for number in range(rounds + 1):
        measured = _wrk(world, body, run=f"r{number}", seconds=seconds)
        replayed = replay.run(
            program=world.programs / "pgbench",
            folder=world.folder,
            url=_libpq_url(world),
            clients=world.connections,
            seconds=seconds,
            start=number * 1_000_000,
        )
        if number:  # the first round warms both up
            served.append(measured)
            limit.append(replayed)
    _show(world, statements, served, limit)


def _statements(world: World, body: dict) -> list[str]:
    """What one checkout sends, authentication, BEGIN and COMMIT included."""
    client = APIClient(HTTP_HOST="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {world.tokens[0]}")
    client.post(PATH, body, format="json")  # opens the day's first series
    # As text, also what the server has prepared: pgbench prepares by itself.
    with override_settings(DATABASE_POOLED=True), CaptureQueriesContext(connection) as captured:
        answer = client.post(PATH, body, format="json", HTTP_IDEMPOTENCY_KEY=KEY)
    assert answer.status_code == 201, answer.content
    connection.close()
    return [query["sql"] for query in captured.captured_queries]


def _write_replay(world: World, statements: list[str]) -> None:
    from accounts.models import Session, User
    from catalog.models import Price

    known = {
        str(pk)
        for model in (User, Session, Price)
        for pk in model.objects.values_list("pk", flat=True)
    } | {str(item.pk) for item in (world.plan, *world.bundles, *world.add_ons)}
    with connection.cursor() as cursor:
        # As many series as there are clients, so that each finds one.
        cursor.execute(
            "INSERT INTO billing_invoiceseries (day, series, last_number)"
            " SELECT now()::date, n, 0 FROM generate_series(2, %s) n ON CONFLICT DO NOTHING",
            [world.connections * 2],
        )
    connection.close()
    text = replay.script(statements=statements, known_ids=known, key=KEY)
    (world.folder / "replay.sql").write_text(text)


def _wrk(world: World, body: dict, *, run: str, seconds: int) -> dict[str, float]:
    script = world.folder / "checkout.lua"
    tokens = ", ".join(f'"{token}"' for token in world.tokens)
    script.write_text(_WRK % {"tokens": tokens, "path": PATH, "run": run, "body": json.dumps(body)})
    done = subprocess.run(
        ["wrk", "-t2", f"-c{world.connections}", f"-d{seconds}s", "--latency", "-s", script]
        + [world.address],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"Not every checkout succeeded:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert rate
    return {
        "rate": float(rate[1]),
        "p50": _milliseconds(done.stdout, "50%"),
        "p99": _milliseconds(done.stdout, "99%"),
    }


def _milliseconds(output: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", output)
    assert found
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def _libpq_url(world: World) -> str:
    return f"host={world.socket_folder} user=postgres dbname=vbwd port=5432"


def _show(
    world: World, statements: list[str], served: list[dict[str, float]], limit: list[float]
) -> None:
    rates = [measured["rate"] for measured in served]
    ratios = [rate / most for rate, most in zip(rates, limit, strict=True)]
    table = Table(title=f"Checkout: 1 plan + 2 bundles + 2 add-ons, {world.server}")
    for column in ("what", "median", "lowest", "highest"):
        table.add_column(column, justify="left" if column == "what" else "right")
    rows = [
        ("checkouts per second (HTTP)", rates, ".0f"),
        ("transactions per second (pgbench)", limit, ".0f"),
        ("ratio", ratios, ".3f"),
        ("p50, ms", [measured["p50"] for measured in served], ".1f"),
        ("p99, ms", [measured["p99"] for measured in served], ".1f"),
    ]
    for name, values, form in rows:
        shown = [format(value, form) for value in (median(values), min(values), max(values))]
        table.add_row(name, *shown)
    table.add_row("SQL statements of a checkout", str(len(statements)), "", "")
    Console().print(table)
