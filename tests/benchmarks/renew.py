"""Renewals per second: ``run_billing`` over everything that is due, by one process and by more."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from rich.table import Table

from billing.models import Invoice
from catalog.models import Plan, Price
from tests.benchmarks import results
from tests.benchmarks.world import PROJECT
from tests.loading import load_subscribers


@dataclass(frozen=True)
class Measured:
    subscriptions: int
    processes: int
    seconds: float
    python_seconds: float
    wal_bytes: int

    @property
    def per_second(self) -> float:
        return self.subscriptions / self.seconds


def run(*, sizes: Sequence[int], processes: Sequence[int]) -> None:
    """Each on rows of its own: what is due is due once."""
    found = [measure(size, count) for size in sizes for count in processes]
    table = Table(title="Renewals: invoice, payment and extension of each, durable")
    headings = ("due", "processes", "seconds", "per second", "an hour")
    for heading in (*headings, "Python, ms each", "WAL, bytes each"):
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(
            f"{each.subscriptions:,}",
            str(each.processes),
            f"{each.seconds:.1f}",
            f"{each.per_second:.0f}",
            f"{each.per_second * 3600:,.0f}",
            f"{each.python_seconds / each.subscriptions * 1000:.2f}",
            f"{each.wal_bytes / each.subscriptions:,.0f}",
        )
    results.show(table)
    results.keep("renew", [asdict(each) | {"per_second": each.per_second} for each in found])
    results.plot("renew", lambda axes: _draw(axes, found))


def _draw(axes: Any, found: Sequence[Measured]) -> None:
    for count in sorted({each.processes for each in found}):
        own = [each for each in found if each.processes == count]
        name = f"{count} process" if count == 1 else f"{count} processes"
        sizes = [each.subscriptions for each in own]
        axes.plot(sizes, [each.per_second for each in own], marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("subscriptions that are due")
    axes.set_ylabel("renewals per second")
    axes.set_title("Renewals: invoice, payment and extension of each, durable")
    axes.legend()


def measure(size: int, processes: int) -> Measured:
    _empty()
    plan = Plan.objects.create(name="Pro", slug="pro")
    Price.objects.create(plan=plan, currency="USD", amount="29")
    load_subscribers(customers=size, plan=plan, begun=timezone.now() - timedelta(days=32))
    connection.close()
    log_began, cpu_began, began = _log(), _python(), time.perf_counter()
    environment = os.environ | {"BILLING_PAYMENT_PROVIDER": "sandbox"}
    running = [
        subprocess.Popen(
            [sys.executable, "manage.py", "run_billing"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(processes)
    ]
    if any(process.wait() for process in running):
        sys.exit("run_billing failed.")
    seconds = time.perf_counter() - began
    renewed = Invoice.objects.filter(reason="renewal", status="paid").count()
    if renewed != size:
        sys.exit(f"{renewed:,} of {size:,} were renewed and paid.")
    return Measured(size, processes, seconds, _python() - cpu_began, _log() - log_began)


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE accounts_user, catalog_plan, billing_invoiceseries, billing_event CASCADE"
        )


def _log() -> int:
    """How much has been written to the log of the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return int(cursor.fetchone()[0])


def _python() -> float:
    """Seconds of CPU of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
