"""A life by chance: the same for the same number."""

from __future__ import annotations

import random

from billing.models import TestClock
from tests.histories.life import BEGUN, YEARS, Life
from tests.histories.prices import ADD_ONS, CODES, PLACES, PLANS

# How often each step is taken.
WEIGHTS = {
    "let_time_pass": 40,
    "change": 12,
    "set_card": 8,
    "change_at_end": 6,
    "change_add_on": 6,
    "pay": 5,
    "pause": 5,
    "resume": 6,
    "put_coupon_on": 5,
    "check_out": 5,
    "cancel": 4,
    "uncancel": 4,
    "ask_for_change": 3,
    "take_coupon_off": 2,
}


def live(life: Life, *, chance: random.Random) -> None:
    """Three years of a customer."""
    life.step("check_out", **_order(chance))
    while life.now < BEGUN + YEARS:
        (name,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        life.step(name, **_how(name, chance))


def _how(name: str, chance: random.Random) -> dict[str, object]:
    plan = chance.choice(PLANS).name
    seats = chance.randint(1, 4)
    match name:
        case "let_time_pass":
            return {"days": chance.choice((1, 3, 10, 31, 45, 92, 366))}
        case "set_card":
            return {"behaviour": chance.choice(TestClock.Behaviour.values)}
        case "change" | "ask_for_change" | "change_at_end":
            return {"plan": plan, "quantity": seats}
        case "change_add_on":
            return {"quantity": seats}
        case "put_coupon_on":
            return {"code": chance.choice(CODES).code}
        case "cancel":
            return {"at_once": chance.random() < 0.5, "with_credit": chance.random() < 0.5}
        case "check_out":
            return _order(chance)
    return {}


def _order(chance: random.Random) -> dict[str, object]:
    names = [add_on.name for add_on in ADD_ONS]
    return {
        "plan": chance.choice(PLANS).name,
        "quantity": chance.randint(1, 4),
        "add_ons": tuple(sorted(chance.sample(names, chance.randint(0, len(names))))),
        "code": chance.choice((None, *(code.code for code in CODES))),
        "currency": chance.choice(sorted(PLACES)),
    }
