"""
Spends per second, over many accounts and on one: the service itself, by so many processes.

Not through HTTP: no route of the API spends tokens, the product that they are for calls the
service.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone
from rich.table import Table

from accounts.models import User
from billing.models import TokenAccount, TokenTransaction
from billing.services import tokens
from config import rows
from tests.benchmarks import results

ACCOUNTS = 10_000
FULL = 1_000_000_000  # tokens: nobody runs out
PART = 1_000  # accounts written by one statement


@dataclass
class Measured:
    accounts: int
    processes: int
    rates: list[float] = field(default_factory=list)


def run(*, processes: Sequence[int], rounds: int, seconds: int) -> None:
    owners = _open_accounts(timezone.now())
    found = [Measured(size, each) for size in (ACCOUNTS, 1) for each in processes]
    for number in range(rounds + 1):
        for each in found:
            rate = _measure(owners[: each.accounts], each.processes, seconds)
            if number:  # the first round warms up
                each.rates.append(rate)
    table = Table(title="Spends, by the service, durable")
    for heading in ("accounts", "processes", "per second"):
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(f"{each.accounts:,}", str(each.processes), results.spread(each.rates, ".0f"))
    results.show(table)
    results.keep("tokens", [asdict(each) for each in found])
    results.plot("tokens", lambda axes: _draw(axes, found))


def _open_accounts(now: datetime) -> list[UUID]:
    users = User.objects.bulk_create(
        User(email=f"spender{number}@example.com", password="!") for number in range(ACCOUNTS)
    )
    for first in range(0, ACCOUNTS, PART):
        part = users[first : first + PART]
        rows.insert(
            *(TokenAccount(user=user, balance=FULL, last_sequence=1) for user in part),
            *(
                TokenTransaction(
                    account_id=user.pk,
                    sequence=1,
                    amount=FULL,
                    balance_after=FULL,
                    transaction_type=TokenTransaction.Type.PURCHASE,
                    reference_id="benchmark",
                    created_at=now,
                )
                for user in part
            ),
        )
    return [user.pk for user in users]


def _measure(owners: Sequence[UUID], processes: int, seconds: int) -> float:
    connection.close()  # no process may share it
    context = multiprocessing.get_context("fork")
    with context.Pool(processes) as pool:
        asked = [(owners, number, seconds) for number in range(processes)]
        return sum(pool.starmap(_spend, asked, chunksize=1))


def _spend(owners: Sequence[UUID], number: int, seconds: int) -> float:
    """Spends per second of this process."""
    chance, began = Random(number), time.monotonic()
    run = f"{time.time_ns()}-{number}"
    for done in count():
        passed = time.monotonic() - began
        if passed >= seconds:
            return done / passed
        owner = owners[chance.randrange(len(owners))]
        tokens.spend(user_id=owner, amount=1, reference=f"{run}-{done}", now=timezone.now())
    raise AssertionError("A count has no end.")


def _draw(axes: Any, found: Sequence[Measured]) -> None:
    names = [f"{each.accounts:,} accounts\n{each.processes} proc." for each in found]
    axes.boxplot([each.rates for each in found], tick_labels=names)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("per second")
    axes.set_title("Spends of tokens, by the service")
