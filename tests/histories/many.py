"""Many customers, each with a random history of three years."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from accounts.models import User
from billing.models import Invoice
from billing.services import books
from tests.histories.comparison import differences
from tests.histories.customer import STEPS, Customer
from tests.histories.shop import Shop, open_shop

# How often each step is taken, of all that a customer does: what is not named, once.
_OFTEN = {"turn_clock": 8, "turn_to_next": 5, "change": 3, "join": 2, "pay": 3, "check_out": 1}
_NAMES = tuple(name for name in STEPS for _ in range(_OFTEN.get(name, 1)))
BOOKS_EVERY = 50  # customers


@dataclass
class Outcome:
    customers: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    invoices: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def play(*, customers: int, seed: int, progress: Callable[[Outcome], None]) -> Outcome:
    """
    Each history depends on the seed and its own number alone, so that one can be played again.

    :param progress: called after each customer
    """
    shop = open_shop()
    staff = User.objects.create(email="staff@example.com", password="!", is_staff=True)
    outcome = Outcome()
    for number in range(1, customers + 1):
        play_one(number, seed=seed, shop=shop, staff=staff, outcome=outcome)
        if number % BOOKS_EVERY == 0 or number == customers:
            outcome.violations += [
                f"after {number} customers: {one.name} {one.examples}"
                for one in books.verify()
                if one.violations
            ]
        progress(outcome)
    return outcome


def play_one(number: int, *, seed: int, shop: Shop, staff: User, outcome: Outcome) -> Customer:
    chance = random.Random(f"{seed}-{number}")
    customer = Customer(email=f"customer-{number}@example.com", shop=shop, staff=staff)
    _take(customer, "check_out", chance)
    while not customer.is_over:
        _take(customer, chance.choice(_NAMES), chance)
    outcome.customers += 1
    outcome.steps += customer.steps
    outcome.refused += customer.refused
    outcome.invoices.update(
        Invoice.objects.filter(user=customer.user).values_list("reason", flat=True)
    )
    outcome.differences += [f"customer {number}: {text}" for text in differences(customer.user)]
    return customer


def _take(customer: Customer, step: str, chance: random.Random) -> None:
    customer.take(step, **{name: chance.choice(each) for name, each in STEPS[step].items()})
