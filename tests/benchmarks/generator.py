"""Requests through HTTP with wrk, and what each of them costs: web, database and wrk itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from django.db import connection
from rich.table import Table

from tests.benchmarks import processes, results
from tests.benchmarks.processes import Used
from tests.benchmarks.world import World

# The threads share the list out: what is on it is sent once, and then from the start again.
_LIST = """
local threads = {}
function setup(thread) table.insert(threads, thread); thread:set("number", #threads) end
local list = dofile("%(list)s")
local place = nil
function request()
  place = place and place + %(threads)s or number
  local each = list[(place - 1) %% #list + 1]
  return wrk.format("%(method)s", each.path, each.headers, each.body)
end
"""


@dataclass(frozen=True)
class Call:
    path: str
    headers: Mapping[str, str]
    body: str = ""


@dataclass(frozen=True)
class Served:
    """One measurement through HTTP. Milliseconds of CPU, and bytes of log, are of one request."""

    count: int
    rate: float
    p50: float
    p99: float
    web: float
    database: float
    generator: float
    log: float


@dataclass
class Measured:
    """The same requests in every round."""

    what: str
    connections: int
    statements: int
    served: list[Served] = field(default_factory=list)

    def of(self, name: str) -> list[float]:
        return [getattr(each, name) for each in self.served]


def send(
    world: World, *, method: str, calls: Sequence[Call], connections: int, seconds: int
) -> Served:
    """One after the other, and from the start again when all were sent."""
    listed = world.folder / "calls.lua"
    listed.write_text("return {\n" + ",\n".join(map(_as_lua, calls)) + "\n}\n")
    script = world.folder / "calls-sent.lua"
    threads = _threads(connections)
    script.write_text(_LIST % {"list": listed, "threads": threads, "method": method})
    return run(world, script=script, connections=connections, seconds=seconds)


def run(world: World, *, script: Path, connections: int, seconds: int) -> Served:
    """
    :raises RuntimeError: where one request was refused: what is measured would be something else
    """
    began, log_began = _used(world), _log()
    done = subprocess.run(
        ["wrk", f"-t{_threads(connections)}", f"-c{connections}", f"-d{seconds}s"]
        + ["--latency", "-s", script, world.address],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"Not every request succeeded:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    served = re.search(r"(\d+) requests in", done.stdout)
    assert rate
    assert served
    used, count = _used(world) - began, int(served[1])
    return Served(
        count=count,
        rate=float(rate[1]),
        p50=_milliseconds(done.stdout, "50%"),
        p99=_milliseconds(done.stdout, "99%"),
        web=used.web / count * 1000,
        database=used.database / count * 1000,
        generator=used.generator / count * 1000,
        log=(_log() - log_began) / count,
    )


def show(name: str, title: str, found: Sequence[Measured]) -> None:
    """As a table and as JSON, and the rates as a plot."""
    table = Table(title=title)
    table.add_column("what")
    headings = ("over", "per second", "p50", "p99", "web", "db", "wrk", "wrk, %", "SQL", "log, kB")
    for heading in headings:
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(
            each.what,
            str(each.connections),
            results.spread(each.of("rate"), ".0f"),
            f"{median(each.of('p50')):.1f}",
            f"{median(each.of('p99')):.1f}",
            *(f"{median(each.of(part)):.2f}" for part in ("web", "database", "generator")),
            f"{_share_of_generator(each):.0f}",
            str(each.statements),
            f"{median(each.of('log')) / 1000:.1f}",
        )
    table.caption = (
        "p50, p99 in ms; web, db, wrk: ms of CPU of one request; wrk, %: of one processor"
    )
    results.show(table)
    results.keep_requests(name, found)
    results.plot_rates(name, title, found)


def _share_of_generator(each: Measured) -> float:
    """How busy the generator was: far below 100, it was not what the rest waited for."""
    return median(one.generator * one.rate / 10 for one in each.served)


def _threads(connections: int) -> int:
    return min(2, connections)


def _as_lua(call: Call) -> str:
    headers = ", ".join(f'["{name}"] = "{value}"' for name, value in call.headers.items())
    return f'{{path = "{call.path}", headers = {{{headers}}}, body = [[{call.body}]]}}'


def _used(world: World) -> Used:
    return processes.used(web=world.process.pid, data=world.folder / "pg" / "data")


def _log() -> int:
    """How much has been written to the log of the database, in bytes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return int(cursor.fetchone()[0])


def _milliseconds(output: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", output)
    assert found
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]
