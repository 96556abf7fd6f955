"""Some of the lives that ``python -m tests.histories`` plays a thousand of."""

from __future__ import annotations

import random

import pytest

from billing.services import books
from tests.histories.life import Life, open_shop
from tests.histories.random_lives import live


@pytest.mark.django_db
@pytest.mark.parametrize("number", range(4))
def test_every_invoice_is_what_the_event_log_makes_of_it(number):
    life = Life(open_shop(), email="customer@example.com")

    live(life, chance=random.Random(f"0 {number}"))

    assert life.differences() == []
    assert life.invoiced() > 1
    assert [result.name for result in books.verify() if result.violations] == []
