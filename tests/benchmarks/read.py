"""Reads per second: lists and details of a customer with 10 and with 1,000 invoices."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone
from rich.console import Console

from accounts.models import User
from accounts.services import sessions
from billing.models import Invoice
from tests.benchmarks import generator, processes, results
from tests.benchmarks.generator import Call, Measured
from tests.benchmarks.requests import count_statements
from tests.benchmarks.world import PASSWORD, World
from tests.billing.purchases import check_out, pay

SIZES = (10, 1_000)
PART = 5  # seconds of each part of the long form


def run(world: World, *, connections: Sequence[int], rounds: int, seconds: int) -> None:
    calls = {
        f"{name}, {size:,}": call
        for size in SIZES
        for name, call in _calls(_customer(world, size)).items()
    }
    found = [
        Measured(name, each, count_statements("GET", call))
        for name, call in calls.items()
        for each in connections
    ]
    for number in range(rounds + 1):
        for each in found:
            served = generator.send(
                world,
                method="GET",
                calls=[calls[each.what]],
                connections=each.connections,
                seconds=seconds,
            )
            if number:  # the first round warms up
                each.served.append(served)
    generator.show("read", f"Reads: a customer with so many invoices, {world.server}", found)


def hold(world: World, *, requests: int) -> None:
    """So many reads of every kind, and what each worker holds in memory as they go on."""
    calls = list(_calls(_customer(world, SIZES[0])).values())
    held, sent = [], 0
    while sent < requests:
        sent += generator.send(world, method="GET", calls=calls, connections=8, seconds=PART).count
        workers = processes.memory_of_workers(world.process.pid)
        held.append(
            {"requests": sent, "megabytes": [round(one / processes.MEGABYTE, 1) for one in workers]}
        )
        Console().print(f"{sent:>9,} requests: {held[-1]['megabytes']} MB")
    results.keep("memory", held)


def _customer(world: World, invoices: int) -> User:
    """Of one subscription with add-ons; all the other invoices are of bundles. All are paid."""
    user = User.objects.create_user(f"reader{invoices}@example.com", PASSWORD)
    now = timezone.now()
    first = check_out(user, plan=world.plan, add_ons=world.add_ons, now=now)
    pay(first.invoice, now=now)
    for _ in range(invoices - 1):
        pay(check_out(user, bundles=world.bundles[:2], now=now).invoice, now=now)
    return user


def _calls(user: User) -> dict[str, Call]:
    opened = sessions.open(user=user, now=timezone.now())
    headers = {"Authorization": f"Bearer {opened.access}"}
    newest = Invoice.objects.filter(user=user).latest("pk")
    paths = {
        "invoices": "invoices",
        "one invoice": f"invoices/{newest.pk}",
        "subscriptions": "subscriptions",
        "balance": "tokens/balance",
        "movements": "tokens/transactions",
    }
    return {name: Call(f"/api/v1/user/{path}", headers) for name, path in paths.items()}
