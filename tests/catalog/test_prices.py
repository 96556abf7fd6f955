from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from catalog.models import Plan
from catalog.money import CurrencyMismatch, Money
from catalog.services import prices
from tests.factories import (
    LONG_AGO,
    AddOnFactory,
    PlanFactory,
    TokenBundleFactory,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
LATER_STILL = datetime(2026, 9, 1, tzinfo=UTC)


def usd(amount: str) -> Money:
    return Money.parse(amount, "USD")


def spans(item) -> list[tuple]:
    """Every price the item ever had: currency, amount, from, until."""
    return [
        (price.currency, str(price.money), price.valid_from, price.valid_until)
        for price in item.prices.order_by("currency", "valid_from", "created_at")
    ]


@pytest.mark.django_db
class TestSetPrice:
    @pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])
    def test_gives_an_item_its_first_price(self, factory):
        item = factory(prices={})

        price = prices.set_price(item=item, money=usd("29"), now=NOW)

        assert price.money == usd("29.00")
        assert spans(item) == [("USD", "29.00", NOW, None)]

    def test_ends_the_old_price_and_puts_a_new_one_in_its_place(self):
        plan = PlanFactory(prices={"USD": "29.00"})

        prices.set_price(item=plan, money=usd("31.00"), now=NOW)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, NOW), ("USD", "31.00", NOW, None)]

    def test_the_same_amount_with_another_fee_is_another_price(self):
        plan = PlanFactory(prices={"USD": "29.00"})

        price = prices.set_price(item=plan, money=usd("29"), setup_fee=usd("10"), now=NOW)

        assert (price.fee, str(price)) == (usd("10.00"), "$29.00 + $10.00 for the setup")
        assert spans(plan) == [("USD", "29.00", LONG_AGO, NOW), ("USD", "29.00", NOW, None)]

    def test_the_same_amount_and_fee_change_nothing(self):
        plan = PlanFactory(prices={"USD": ("29.00", "10.00")})

        prices.set_price(item=plan, money=usd("29"), setup_fee=usd("10"), now=NOW)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, None)]

    def test_without_a_fee_there_is_none(self):
        plan = PlanFactory(prices={"USD": ("29.00", "10.00")})

        price = prices.set_price(item=plan, money=usd("29"), now=NOW)

        assert price.fee == usd("0")
        assert price.valid_from == NOW

    @pytest.mark.parametrize(
        ("factory", "fee", "refusal"),
        [
            (PlanFactory, Money.parse("-1", "USD"), prices.NegativePrice),
            (PlanFactory, Money.parse("1", "EUR"), CurrencyMismatch),
            (TokenBundleFactory, Money.parse("1", "USD"), prices.FeeNotForBundle),
        ],
    )
    def test_refuses_a_fee_that_cannot_be(self, factory, fee, refusal):
        item = factory(prices={"USD": "29.00"})

        with pytest.raises(refusal, match="setup_fee: "):
            prices.set_price(item=item, money=usd("31"), setup_fee=fee, now=NOW)

        assert spans(item) == [("USD", "29.00", LONG_AGO, None)]

    def test_does_nothing_where_the_amount_is_the_same(self):
        plan = PlanFactory(prices={"USD": "29.00"})

        price = prices.set_price(item=plan, money=usd("29"), now=NOW)

        assert price.valid_from == LONG_AGO
        assert spans(plan) == [("USD", "29.00", LONG_AGO, None)]

    def test_leaves_other_currencies_and_other_items_alone(self):
        plan = PlanFactory(prices={"USD": "29.00", "EUR": "27.00"})
        other = PlanFactory(prices={"USD": "29.00"})

        prices.set_price(item=plan, money=usd("31.00"), now=NOW)

        assert spans(plan)[0] == ("EUR", "27.00", LONG_AGO, None)
        assert spans(other) == [("USD", "29.00", LONG_AGO, None)]

    def test_can_be_done_twice_at_the_same_moment(self):
        plan = PlanFactory(prices={})
        prices.set_price(item=plan, money=usd("29.00"), now=NOW)

        prices.set_price(item=plan, money=usd("31.00"), now=NOW)

        assert spans(plan) == [("USD", "29.00", NOW, NOW), ("USD", "31.00", NOW, None)]
        assert [price.money for price in plan.prices.current(NOW)] == [usd("31.00")]

    def test_counts_from_its_predecessor_on_where_the_caller_s_clock_is_behind(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("31.00"), now=NOW)

        prices.set_price(item=plan, money=usd("33.00"), now=NOW - timedelta(seconds=1))

        assert spans(plan) == [
            ("USD", "29.00", LONG_AGO, NOW),
            ("USD", "31.00", NOW, NOW),
            ("USD", "33.00", NOW, None),
        ]

    def test_allows_zero(self):
        plan = PlanFactory(prices={})

        prices.set_price(item=plan, money=usd("0"), now=NOW)

        assert spans(plan) == [("USD", "0.00", NOW, None)]

    def test_refuses_less_than_zero(self):
        plan = PlanFactory(prices={"USD": "29.00"})

        with pytest.raises(prices.NegativePrice) as refusal:
            prices.set_price(item=plan, money=usd("-0.01"), now=NOW)

        assert refusal.value.code == "negative_price"
        assert spans(plan) == [("USD", "29.00", LONG_AGO, None)]

    def test_keeps_what_the_row_was_before_in_the_history(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        old = plan.prices.get()

        prices.set_price(item=plan, money=usd("31.00"), now=NOW)

        assert list(old.history.values_list("amount", "valid_until")) == [(Decimal(29), None)]


@pytest.mark.django_db
class TestSetPriceForLater:
    def test_ends_the_standing_price_at_that_moment(self):
        plan = PlanFactory(prices={"USD": "29.00"})

        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, LATER), ("USD", "35.00", LATER, None)]

    def test_joins_on_to_a_price_scheduled_for_before(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        prices.set_price(item=plan, money=usd("40.00"), now=NOW, valid_from=LATER_STILL)

        assert spans(plan) == [
            ("USD", "29.00", LONG_AGO, LATER),
            ("USD", "35.00", LATER, LATER_STILL),
            ("USD", "40.00", LATER_STILL, None),
        ]

    @pytest.mark.parametrize("first", [LATER, LATER_STILL])
    def test_takes_back_a_price_scheduled_for_the_same_moment_or_for_later(self, first):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("40.00"), now=NOW, valid_from=first)

        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        assert sorted(spans(plan)) == sorted(
            [
                ("USD", "29.00", LONG_AGO, LATER),
                ("USD", "40.00", first, first),
                ("USD", "35.00", LATER, None),
            ]
        )
        assert [price.money for price in plan.prices.current(LATER_STILL)] == [usd("35.00")]

    def test_a_new_price_at_once_takes_back_what_is_scheduled(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        prices.set_price(item=plan, money=usd("31.00"), now=NOW)

        assert spans(plan) == [
            ("USD", "29.00", LONG_AGO, NOW),
            ("USD", "31.00", NOW, None),
            ("USD", "35.00", LATER, LATER),
        ]

    def test_the_price_of_now_at_once_changes_nothing_that_is_scheduled(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        prices.set_price(item=plan, money=usd("29.00"), now=NOW)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, LATER), ("USD", "35.00", LATER, None)]

    def test_the_price_of_now_scheduled_takes_back_the_change(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER_STILL)

        prices.set_price(item=plan, money=usd("29.00"), now=NOW, valid_from=LATER)

        assert spans(plan) == [
            ("USD", "29.00", LONG_AGO, None),
            ("USD", "35.00", LATER_STILL, LATER_STILL),
        ]

    def test_refuses_a_moment_that_has_passed(self):
        plan = PlanFactory(prices={"USD": "29.00"})

        with pytest.raises(prices.PriceInThePast) as refusal:
            prices.set_price(
                item=plan, money=usd("35"), now=NOW, valid_from=NOW - timedelta(microseconds=1)
            )

        assert refusal.value.code == "price_in_the_past"
        assert spans(plan) == [("USD", "29.00", LONG_AGO, None)]


@pytest.mark.django_db
class TestWithdrawPrice:
    def test_ends_the_price_in_that_currency_only(self):
        plan = PlanFactory(prices={"USD": "29.00", "EUR": "27.00"})

        prices.withdraw_price(item=plan, currency="EUR", now=NOW)

        assert spans(plan) == [("EUR", "27.00", LONG_AGO, NOW), ("USD", "29.00", LONG_AGO, None)]

    def test_takes_back_what_is_scheduled(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        prices.withdraw_price(item=plan, currency="USD", now=NOW)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, NOW), ("USD", "35.00", LATER, LATER)]

    def test_does_nothing_the_second_time(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.withdraw_price(item=plan, currency="USD", now=NOW)

        prices.withdraw_price(item=plan, currency="USD", now=LATER)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, NOW)]

    def test_lets_a_price_be_set_again(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.withdraw_price(item=plan, currency="USD", now=NOW)

        prices.set_price(item=plan, money=usd("29.00"), now=LATER)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, NOW), ("USD", "29.00", LATER, None)]


def _set_price(plan: Plan) -> None:
    prices.set_price(item=plan, money=usd("31.00"), now=NOW)


def _withdraw_price(plan: Plan) -> None:
    prices.withdraw_price(item=plan, currency="USD", now=NOW)


@pytest.mark.django_db(transaction=True)
class TestLock:
    @pytest.mark.parametrize("change", [_set_price, _withdraw_price])
    def test_waits_for_whoever_holds_the_item(self, change, held_by_another):
        plan = PlanFactory(prices={"USD": "29.00"})

        with held_by_another(plan), pytest.raises(OperationalError, match="lock timeout"):
            change(plan)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, None)]
