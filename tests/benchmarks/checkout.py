"""Checkouts per second through HTTP, against the database's own work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from rest_framework.test import APIClient
from rich.table import Table

from tests.benchmarks import generator, processes, replay, results
from tests.benchmarks.generator import Served
from tests.benchmarks.world import World

KEY = "benchmark-key"
PATH = "/api/v1/user/checkout"
CARTS = {"1 plan": (0, 0), "1 + 2 + 2": (2, 2), "1 + 20 + 2": (20, 2)}  # bundles, add-ons
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


@dataclass
class Measured(generator.Measured):
    """One cart over so many connections, and what ``pgbench`` made of its statements."""

    limit: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [each.rate / most for each, most in zip(self.served, self.limit, strict=True)]


def run(world: World, *, connections: Sequence[int], rounds: int, seconds: int) -> None:
    """Alternate server and replay, and show the medians."""
    bodies = {name: _body(world, *counts) for name, counts in CARTS.items()}
    found: list[Measured] = []
    for name, body in bodies.items():
        statements = _statements(world, body, key=f"{KEY}-{len(found)}")
        found += [Measured(name, each, len(statements)) for each in connections]
        _write_replay(world, statements, name, key=f"{KEY}-{len(found) - len(connections)}")
    for number in range(rounds + 1):
        for place, each in enumerate(found):
            served = _serve(world, bodies[each.what], each, f"r{number}-{place}", seconds)
            limit = replay.run(
                program=world.programs / "pgbench",
                script=_script(world, each.what),
                url=_libpq_url(world),
                clients=each.connections,
                seconds=seconds,
                start=(number * len(found) + place) * 1_000_000,
            )
            if number:  # the first round warms both up
                each.served.append(served)
                each.limit.append(limit)
    _show(world, found)


def _body(world: World, bundles: int, add_ons: int) -> dict[str, Any]:
    return {
        "plan_id": str(world.plan.id),
        "token_bundle_ids": [str(bundle.id) for bundle in world.bundles[:bundles]],
        "add_on_ids": [str(add_on.id) for add_on in world.add_ons[:add_ons]],
    }


def _statements(world: World, body: dict[str, Any], *, key: str) -> list[str]:
    """What one checkout sends, authentication, BEGIN and COMMIT included."""
    client = APIClient(HTTP_HOST="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {world.tokens[0]}")
    client.post(PATH, body, format="json")  # opens the day's first series
    # As text, also what the server has prepared: pgbench prepares by itself.
    with override_settings(DATABASE_POOLED=True), CaptureQueriesContext(connection) as captured:
        answer = client.post(PATH, body, format="json", HTTP_IDEMPOTENCY_KEY=key)
    assert answer.status_code == 201, answer.content
    connection.close()
    return [query["sql"] for query in captured.captured_queries]


def _write_replay(world: World, statements: list[str], cart: str, *, key: str) -> None:
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
    text = replay.script(statements=statements, known_ids=known, key=key)
    _script(world, cart).write_text(text)


def _script(world: World, cart: str) -> Any:
    return world.folder / f"replay-{list(CARTS).index(cart)}.sql"


def _serve(world: World, body: dict[str, Any], cart: Measured, run: str, seconds: int) -> Served:
    script = world.folder / "checkout.lua"
    tokens = ", ".join(f'"{token}"' for token in world.tokens)
    script.write_text(_WRK % {"tokens": tokens, "path": PATH, "run": run, "body": json.dumps(body)})
    return generator.run(world, script=script, connections=cart.connections, seconds=seconds)


def _libpq_url(world: World) -> str:
    return f"host={world.socket_folder} user=postgres dbname=vbwd port=5432"


def _show(world: World, found: Sequence[Measured]) -> None:
    table = Table(title=f"Checkouts: plan + bundles + add-ons, {world.server}")
    headings = ("over", "per second", "limit", "ratio", "p50", "p99", "web", "db", "wrk", "SQL")
    table.add_column("cart")
    for heading in (*headings, "log, kB"):
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(
            each.what,
            str(each.connections),
            f"{median(each.of('rate')):.0f}",
            f"{median(each.limit):.0f}",
            results.spread(each.ratios, ".2f"),
            f"{median(each.of('p50')):.1f}",
            f"{median(each.of('p99')):.1f}",
            *(f"{median(each.of(name)):.2f}" for name in ("web", "database", "generator")),
            str(each.statements),
            f"{median(each.of('log')) / 1000:.1f}",
        )
    table.caption = "p50, p99 in ms; web, db, wrk: ms of CPU of one checkout"
    results.show(table)
    workers = processes.memory_of_workers(world.process.pid)
    megabytes = [round(each / processes.MEGABYTE) for each in workers]
    print(f"In memory of each worker: {', '.join(map(str, megabytes))} MB")  # noqa: T201
    told = [asdict(each) | {"ratios": each.ratios} for each in found]
    results.keep("checkout", {"server": world.server, "carts": told, "worker_megabytes": megabytes})
    results.plot("checkout", lambda axes: _draw(axes, found))


def _draw(axes: Any, found: Sequence[Measured]) -> None:
    names = [f"{each.what}\n{each.connections} conn." for each in found]
    places = range(len(found))
    axes.bar(places, [median(each.limit) for each in found], color="#cbd5e1", label="limit")
    axes.bar(places, [median(each.of("rate")) for each in found], color="#4f46e5", label="HTTP")
    for place, each in zip(places, found, strict=True):
        axes.text(
            place, median(each.of("rate")), f"{median(each.ratios):.2f}", ha="center", va="bottom"
        )
    axes.set_xticks(list(places), names, fontsize=8)
    axes.set_ylabel("per second")
    axes.set_title("Checkouts through HTTP against pgbench with the same statements")
    axes.legend()
