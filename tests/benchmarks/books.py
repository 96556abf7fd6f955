"""How long the loader takes, and ``verify_books`` over what it loaded."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from django.utils import timezone
from rich.table import Table

from accounts.models import User
from billing.models import Invoice
from catalog.models import AddOn, BillingPeriod, Plan, Price, TokenBundle
from tests.benchmarks import filling, results
from tests.benchmarks.world import PROJECT

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # prices hold on every day that is loaded


@dataclass(frozen=True)
class Measured:
    """:param python_kilobytes: at the most, of the process that asks; not of the database"""

    invoices: int
    loading_seconds: float
    verifying_seconds: float
    python_kilobytes: int


def run(*, size: int) -> None:
    found = _measure(size)
    table = Table(title="verify_books")
    for heading in ("invoices", "loaded in, s", "verified in, s", "memory of Python, MB"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{found.invoices:,}",
        f"{found.loading_seconds:.0f}",
        f"{found.verifying_seconds:.1f}",
        f"{found.python_kilobytes / 1024:.0f}",
    )
    results.show(table)
    results.keep("books", asdict(found))


def _measure(size: int) -> Measured:
    started = time.perf_counter()
    load(size)
    loaded = time.perf_counter()
    # It fails where a rule is broken: then there is nothing to measure.
    subprocess.run(
        [sys.executable, "manage.py", "verify_books"],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Measured(
        invoices=Invoice.objects.count(),
        loading_seconds=loaded - started,
        verifying_seconds=time.perf_counter() - loaded,
        python_kilobytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    )


def load(size: int) -> None:
    """A catalogue, and so many invoices."""
    plan = Plan.objects.create(name="Team", slug="team", billing_period=BillingPeriod.YEARLY)
    add_on = AddOn.objects.create(name="Support", slug="support")
    bundles = [TokenBundle.objects.create(name=f"Pack {n}", token_amount=100) for n in range(4)]
    Price.objects.create(plan=plan, currency="USD", amount="290", valid_from=_LONG_AGO)
    Price.objects.create(add_on=add_on, currency="USD", amount="5", valid_from=_LONG_AGO)
    for bundle in bundles:
        Price.objects.create(bundle=bundle, currency="USD", amount="10", valid_from=_LONG_AGO)
    staff = User.objects.create_user("staff-of-load@example.com", None, is_staff=True)
    filling.fill(
        count=size, plan=plan, bundles=bundles, add_on=add_on, staff=staff, now=timezone.now()
    )
    filling.analyze()
