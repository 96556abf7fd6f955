"""Rounds of load and faults, each followed by its verification."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from django.db import connections
from django.utils import timezone

from accounts.models import User
from accounts.services import sessions
from billing.services.renewals import collecting, running
from catalog.models import Plan
from tests.billing.purchases import check_out, pay
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory
from tests.faults.board import Board
from tests.faults.customers import Customer
from tests.faults.injections import Injections
from tests.faults.staff import Spender, Staff
from tests.faults.verification import Findings, verify
from tests.faults.world import World

CUSTOMERS = 6
RENEWING = 15  # subscriptions of each round whose period is over
PASSWORD = "a long enough passphrase"


@dataclass(slots=True)
class Result:
    """What a whole run came to."""

    rounds: int = 0
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def play(
    *,
    world: World,
    seed: int,
    seconds: float,
    round_seconds: float,
    pause: float,
    tell: Callable[[str], None],
    stop_at_first: bool = False,
) -> Result:
    """
    Play rounds until the time is over. The same seed gives the same plan; what each request meets
    is a matter of the moment.
    """
    result = Result()
    items, staff_token = _seed()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        left = seconds - (time.monotonic() - began)
        result.rounds += 1
        board = Board(items=items, staff_token=staff_token)
        name = f"{seed}:{result.rounds}"
        injections = Injections(world, chance=Random(f"{name}:injections"), pause=pause)
        findings = _round(world, board, injections, name, min(round_seconds, left))
        result.findings.add(findings)
        result.skipped = injections.skipped
        for kind, recoveries in injections.recoveries.items():
            result.recoveries.setdefault(kind, []).extend(recoveries)
        faults = sum(map(len, injections.recoveries.values()))
        asked = sum(world.web.statuses.values())
        verdict = "clean" if findings.is_clean else "NOT CLEAN"
        tell(f"Round {result.rounds}: {faults} faults, {asked:,} requests so far, {verdict}.")
        if stop_at_first and not findings.is_clean:
            break
    result.seconds = time.monotonic() - began
    return result


def _round(
    world: World, board: Board, injections: Injections, name: str, seconds: float
) -> Findings:
    world.journal.begin_round()
    renewing = _past_customers(name)
    world.keep_billing()
    what: dict[str, Any] = {
        "seed": name,
        "web": world.web,
        "board": board,
        "journal": world.journal,
    }
    actors = [
        *(Customer(name=f"customer{number}", **what) for number in range(CUSTOMERS)),
        *(Staff(name=f"staff{number}", **what) for number in range(2)),
        Spender(name="spender", **what),
    ]
    for actor in [*actors, injections]:
        actor.start()
    time.sleep(seconds)
    injections.over.set()
    injections.join()
    world.wait_until_ready()
    board.over.set()
    for actor in actors:
        actor.join(timeout=150)
        if actor.is_alive():
            world.journal.complain(f"{actor.name} does not come to its end")
    world.stop_runners()
    _until_rest(world)
    last = world.run_billing()
    if last.wait(timeout=120) != 0:
        world.journal.complain("run_billing failed after all faults were over")
    connections.close_all()  # whatever led to a database that is no more
    # What somebody was killed in the middle of is asked for again only after a while.
    running.run(now=timezone.now() + collecting.PATIENCE)
    return verify(journal=world.journal, board=board, renewing=renewing)


def _until_rest(world: World) -> None:
    """What was killed or given up on may still be at work in the database."""
    deadline = time.monotonic() + 30
    with world.direct() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle'"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            if cursor.fetchone()[0] == 0:
                return
            time.sleep(0.05)
    world.journal.complain("The database does not come to rest")


def _seed() -> tuple[dict[str, list[str]], str]:
    """What is for sale, and a member of staff."""
    items = {
        "plans": [PlanFactory(prices={"USD": "29.00"}), PlanFactory(prices={"USD": "99.00"})],
        "free": [PlanFactory(prices={"USD": "0"})],
        "bundles": [TokenBundleFactory(prices={"USD": "10.00"}) for _ in range(3)],
        "add_ons": [AddOnFactory(prices={"USD": "5.00"}) for _ in range(2)],
    }
    clerk = User.objects.create_superuser("clerk@example.com", PASSWORD)
    token = sessions.open(user=clerk, now=timezone.now()).access
    return {kind: [str(item.pk) for item in of_kind] for kind, of_kind in items.items()}, token


def _past_customers(name: str) -> list[Any]:
    """Customers who bought a month ago and a day: the renewal of each is due."""
    then = timezone.now() - timedelta(days=32)
    plan = Plan.objects.filter(slug="faults-monthly").first()
    if plan is None:
        plan = PlanFactory(slug="faults-monthly", prices={"USD": "19.00"})
    made = []
    for number in range(RENEWING):
        email = f"past-{name}-{number}@example.com".replace(":", "-")
        user = User.objects.create_user(email, PASSWORD)
        pay(check_out(user, plan=plan, now=then).invoice, now=then)
        made.append(user.pk)
    return made
