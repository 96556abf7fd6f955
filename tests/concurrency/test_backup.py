"""A dump that is taken while people buy is whole: restored elsewhere, every rule holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread

import pytest
from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from billing.models import Invoice, Payment
from config import embedded_postgres
from tests.billing.purchases import check_out
from tests.concurrency.paying import capture
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
RESTORED = "restored_by_the_tests"


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """An empty database beside the tests' own."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {RESTORED}")
    yield RESTORED
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {RESTORED} WITH (FORCE)")


@contextmanager
def buyers(count: int) -> Iterator[Flag]:
    """Threads that check out and pay, again and again, until the block ends."""
    items = {"plan": PlanFactory(), "bundles": [TokenBundleFactory()], "add_ons": [AddOnFactory()]}
    is_over, has_begun = Flag(), Flag()
    failures: list[BaseException] = []

    def buy(number: int) -> None:
        try:
            while not is_over.is_set():
                user = UserFactory(email=f"buyer-{number}-{timezone.now().timestamp()}@example.com")
                invoice = check_out(user, **items, now=timezone.now()).invoice
                assert capture(invoice, f"ref-{invoice.pk}") == "captured"
                has_begun.set()
        except BaseException as failure:
            failures.append(failure)
            raise
        finally:
            connections.close_all()

    threads = [Thread(target=buy, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    assert has_begun.wait(timeout=20)
    try:
        yield is_over
    finally:
        is_over.set()
        for thread in threads:
            thread.join(timeout=20)
    assert not failures


def program(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs against the tests' server."""
    address = settings.DATABASES["default"]
    where = {
        "PGHOST": str(address["HOST"]),
        "PGPORT": str(address["PORT"] or 5432),
        "PGUSER": str(address["USER"]),
        "PGPASSWORD": str(address["PASSWORD"]),
    }
    done = subprocess.run(
        [embedded_postgres.bin_dir() / name, *arguments],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", **where},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


_LOOK = """
import sys, django
from django.conf import settings
django.setup()
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from django.core.management import call_command
from billing.models import Invoice, Payment
call_command("verify_books")
print("paid:", Invoice.objects.filter(status="paid").count(), Payment.objects.count())
"""


def test_a_dump_under_load_is_whole_where_it_is_restored(elsewhere, tmp_path):
    dump = str(tmp_path / "billing.dump")
    name = str(connection.settings_dict["NAME"])
    with buyers(3):
        before = Payment.objects.count()
        program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={name}")
    after = Payment.objects.count()
    assert after > before >= 1

    program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={elsewhere}", dump)

    looked = subprocess.run(
        [sys.executable, "-c", _LOOK, elsewhere],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert looked.returncode == 0, looked.stdout + looked.stderr
    paid, payments = map(int, looked.stdout.split("paid:")[1].split())
    assert paid == payments
    assert before <= payments <= after == Invoice.objects.filter(status="paid").count()
