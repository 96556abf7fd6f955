"""Any steps of any customer: the books hold after each, and every amount can be reckoned again."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from billing.services import books
from tests.factories import StaffFactory
from tests.histories.comparison import differences
from tests.histories.customer import BEGUN, OVER, STEPS, Customer
from tests.histories.shop import open_shop

EXAMPLES = int(os.environ.get("HISTORIES", "6"))  # bin/test plays a few
VACUUM_EVERY = 10  # histories
_numbers = count(1)
_told = count(1)


def _choices(step: str) -> dict[str, Any]:
    return {name: st.sampled_from(options) for name, options in STEPS[step].items()}


class History(RuleBasedStateMachine):
    """One customer, in a transaction that is rolled back when their history has been told."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = transaction.atomic()
        # As in the transaction of a test, what is durable elsewhere can be done in here.
        self.rows._from_testcase = True
        self.rows.__enter__()
        email = f"history-{next(_numbers)}@example.com"
        self.customer = Customer(email=email, shop=open_shop(), staff=StaffFactory())

        self.is_sound = True

    def take(self, step: str, chosen: dict[str, Any]) -> None:
        if self.customer.is_over:
            return
        self.is_sound = False  # until it is seen to be
        self.customer.take(step, **chosen)
        violated = [(one.name, one.examples) for one in books.verify() if one.violations]
        assert violated == []
        self.is_sound = True

    def teardown(self) -> None:
        """Live through the rest of the three years, and reckon everything again."""
        try:
            if self.is_sound:
                self.take("turn_clock", {"by": OVER - BEGUN})
                assert differences(self.customer.user) == []
        finally:
            transaction.set_rollback(True)
            self.rows.__exit__(None, None, None)
            if next(_told) % VACUUM_EVERY == 0:
                # What was rolled back is still there to be passed over, by each rule of the books.
                with connection.cursor() as cursor:
                    cursor.execute("VACUUM")

    @initialize(chosen=st.fixed_dictionaries(_choices("check_out")))
    def begin(self, chosen):
        self.take("check_out", chosen)


def _rule_of(step: str):
    def taken(self, chosen):
        self.take(step, chosen)

    taken.__name__ = step
    return rule(chosen=st.fixed_dictionaries(_choices(step)))(taken)


for _step in STEPS:
    setattr(History, _step, _rule_of(_step))


@pytest.mark.django_db(transaction=True)
def test_every_amount_is_what_the_events_make_of_it():
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=18,
            deadline=None,
            # The same ones each time, but where more are asked for.
            derandomize="HISTORIES" not in os.environ,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
