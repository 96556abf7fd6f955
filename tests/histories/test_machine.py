"""Random customers over three years: the books hold after each step, each amount in the end."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.models import TestClock
from billing.services import books
from tests.histories.life import BEGUN, YEARS, Life, open_shop
from tests.histories.prices import ADD_ONS, CODES, PLACES, PLANS

NUMBERS = count()
PLAN = st.sampled_from([plan.name for plan in PLANS])
SEATS = st.integers(1, 4)
CODE = st.sampled_from([code.code for code in CODES])


class Customer(RuleBasedStateMachine):
    """One customer, in a savepoint of their own that is rolled back when their story is told."""

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        # What is durable elsewhere is so in here too, as in the transaction of any test.
        self.savepoint._from_testcase = True
        self.savepoint.__enter__()
        self.life = Life(open_shop(), email=f"customer-{next(NUMBERS)}@example.com")

    def teardown(self) -> None:
        try:
            assert self.life.differences() == []
        finally:
            transaction.set_rollback(True)
            self.savepoint.__exit__(None, None, None)

    def step(self, name: str, **how: object) -> None:
        self.life.step(name, **how)
        assert [result.name for result in books.verify() if result.violations] == []

    @initialize(
        plan=PLAN,
        quantity=SEATS,
        add_ons=st.sets(st.sampled_from([add_on.name for add_on in ADD_ONS])),
        code=st.none() | CODE,
        currency=st.sampled_from(sorted(PLACES)),
    )
    def begins(self, plan, quantity, add_ons, code, currency):
        self.check_out(plan, quantity, add_ons, code, currency)

    def check_out(self, plan, quantity, add_ons, code, currency):
        self.step(
            "check_out",
            plan=plan,
            quantity=quantity,
            add_ons=tuple(sorted(add_ons)),
            code=code,
            currency=currency,
        )

    @rule(plan=PLAN, quantity=SEATS, currency=st.sampled_from(sorted(PLACES)))
    def comes_back(self, plan, quantity, currency):
        self.check_out(plan, quantity, {"Support"}, None, currency)

    @precondition(lambda self: self.life.now < BEGUN + YEARS)
    @rule(days=st.sampled_from([1, 3, 10, 31, 45, 92, 366]))
    def time_passes(self, days):
        self.step("let_time_pass", days=days)

    @rule(behaviour=st.sampled_from(TestClock.Behaviour.values))
    def gets_another_card(self, behaviour):
        self.step("set_card", behaviour=behaviour)

    @rule()
    def pays(self):
        self.step("pay")

    @rule(plan=PLAN, quantity=SEATS)
    def changes(self, plan, quantity):
        self.step("change", plan=plan, quantity=quantity)

    @rule(plan=PLAN, quantity=SEATS)
    def asks_for_a_change(self, plan, quantity):
        self.step("ask_for_change", plan=plan, quantity=quantity)

    @rule(plan=PLAN, quantity=SEATS)
    def changes_at_the_end(self, plan, quantity):
        self.step("change_at_end", plan=plan, quantity=quantity)

    @rule(quantity=SEATS)
    def changes_an_add_on(self, quantity):
        self.step("change_add_on", quantity=quantity)

    @rule()
    def pauses(self):
        self.step("pause")

    @rule()
    def resumes(self):
        self.step("resume")

    @rule(at_once=st.booleans(), with_credit=st.booleans())
    def cancels(self, at_once, with_credit):
        self.step("cancel", at_once=at_once, with_credit=with_credit)

    @rule()
    def takes_it_back(self):
        self.step("uncancel")

    @rule(code=CODE)
    def puts_a_coupon_on(self, code):
        self.step("put_coupon_on", code=code)

    @rule()
    def takes_the_coupon_off(self):
        self.step("take_coupon_off")


@pytest.mark.django_db
def test_every_invoice_is_what_the_event_log_makes_of_it():
    run_state_machine_as_test(
        Customer,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=timedelta(minutes=5),
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            print_blob=True,
        ),
    )
