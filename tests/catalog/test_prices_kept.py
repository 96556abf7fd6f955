"""Prices as the database keeps them, how they are listed, and taken back."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, InternalError, OperationalError, connection, transaction

from catalog.models import Plan, Price
from catalog.money import Money
from catalog.services import prices
from tests.catalog.test_prices import LATER, LATER_STILL, NOW, spans, usd
from tests.factories import (
    LONG_AGO,
    PlanFactory,
    PriceFactory,
    TokenBundleFactory,
)


@pytest.mark.django_db
class TestDatabase:
    @pytest.mark.parametrize(
        "change",
        [
            {"amount": "30.00"},
            {"currency": "EUR"},
            {"valid_from": NOW},
        ],
    )
    def test_refuses_to_change_a_price(self, change):
        price = PlanFactory(prices={"USD": "29.00"}).prices.get()

        with pytest.raises(InternalError, match="price_is_never_changed"), transaction.atomic():
            Price.objects.filter(pk=price.pk).update(**change)

        price.refresh_from_db()
        assert (price.money, price.valid_from) == (usd("29.00"), LONG_AGO)

    def test_refuses_to_hand_a_price_to_another_item(self):
        price = PlanFactory(prices={"USD": "29.00"}).prices.get()

        with pytest.raises(InternalError, match="price_is_never_changed"), transaction.atomic():
            Price.objects.filter(pk=price.pk).update(plan=PlanFactory(prices={}))

    @pytest.mark.parametrize("begins", [LONG_AGO, NOW])
    def test_refuses_two_prices_at_one_moment(self, begins):
        plan = PlanFactory(prices={"USD": "29.00"})

        with pytest.raises(IntegrityError, match="price_one_at_a_time"), transaction.atomic():
            PriceFactory(plan=plan, amount="31.00", valid_from=begins)

        assert plan.prices.count() == 1

    def test_lets_one_price_follow_another_and_stand_beside_one_in_another_currency(self):
        plan = PlanFactory(prices={})
        PriceFactory(plan=plan, valid_until=NOW)

        PriceFactory(plan=plan, valid_from=NOW)
        PriceFactory(plan=plan, currency="EUR")
        PriceFactory(plan=PlanFactory(prices={}))

        assert plan.prices.count() == 3

    def test_refuses_a_negative_price(self):
        plan = PlanFactory(prices={})

        with pytest.raises(IntegrityError, match="price_not_negative"), transaction.atomic():
            PriceFactory(plan=plan, amount=Decimal("-0.01"))

        assert not plan.prices.exists()

    def test_refuses_a_price_of_nothing_and_of_two_things(self):
        plan, bundle = PlanFactory(prices={}), TokenBundleFactory(prices={})

        for owners in ({}, {"plan": plan, "bundle": bundle}):
            with pytest.raises(IntegrityError, match="price_is_of_one_item"), transaction.atomic():
                PriceFactory(**owners)

        assert not Price.objects.exists()

    def test_refuses_an_end_before_the_beginning(self):
        plan = PlanFactory(prices={})

        with pytest.raises((IntegrityError, connection.Database.DataError)) as refusal:  # noqa: SIM117
            with transaction.atomic():
                PriceFactory(plan=plan, valid_from=LATER, valid_until=NOW)

        assert "price_ends_after_it_begins" in str(refusal.value)


@pytest.mark.django_db
class TestListings:
    def test_shows_the_price_in_the_currency_asked_for(self):
        PlanFactory(prices={"USD": "29.00", "EUR": "27.00"})

        (listing,) = prices.listings(Plan.objects.all(), currency="EUR", now=NOW)

        assert str(listing.price) == "27.00"
        assert [str(money) for money in listing.prices] == ["27.00", "29.00"]

    def test_shows_none_where_there_is_none_in_it(self):
        PlanFactory(prices={"USD": "29.00"})

        (listing,) = prices.listings(Plan.objects.all(), currency="EUR", now=NOW)

        assert listing.price is None
        assert listing.prices == [usd("29.00")]

    @pytest.mark.parametrize(
        ("default_currency", "shown"),
        [("USD", usd("29.00")), ("GBP", Money.parse("27.00", "EUR"))],
    )
    def test_without_a_currency_shows_the_default_one_or_else_the_first(
        self, default_currency, shown
    ):
        PlanFactory(prices={"USD": "29.00", "EUR": "27.00"}, default_currency=default_currency)

        (listing,) = prices.listings(Plan.objects.all(), currency=None, now=NOW)

        assert listing.price == shown

    def test_shows_a_price_of_zero(self):
        PlanFactory(prices={"USD": "0.00", "EUR": "27.00"})

        (listing,) = prices.listings(Plan.objects.all(), currency=None, now=NOW)

        assert listing.price == usd("0.00")

    @pytest.mark.parametrize(
        ("moment", "shown"),
        [
            (NOW - timedelta(microseconds=1), ["29.00"]),
            (NOW, ["31.00"]),
            (LATER - timedelta(microseconds=1), ["31.00"]),
            (LATER, ["35.00"]),
        ],
    )
    def test_shows_what_is_valid_at_the_moment(self, moment, shown):
        plan = PlanFactory(prices={"USD": "29.00"})
        prices.set_price(item=plan, money=usd("31.00"), now=NOW)
        prices.set_price(item=plan, money=usd("35.00"), now=NOW, valid_from=LATER)

        (listing,) = prices.listings(Plan.objects.all(), currency=None, now=moment)

        assert [str(money) for money in listing.prices] == shown


@pytest.mark.django_db
class TestTakeBack:
    def scheduled(self, plan, amount="35.00", at=LATER):
        return prices.set_price(item=plan, money=usd(amount), now=NOW, valid_from=at)

    def test_lets_the_price_before_it_go_on(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        price = self.scheduled(plan)

        prices.take_back(item=plan, price=price, now=NOW)

        assert spans(plan) == [("USD", "29.00", LONG_AGO, None), ("USD", "35.00", LATER, LATER)]

    def test_lets_the_price_before_it_go_on_until_the_one_after_it(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        price = self.scheduled(plan)
        self.scheduled(plan, "39.00", LATER_STILL)

        prices.take_back(item=plan, price=price, now=NOW)

        assert spans(plan) == [
            ("USD", "29.00", LONG_AGO, LATER_STILL),
            ("USD", "35.00", LATER, LATER),
            ("USD", "39.00", LATER_STILL, None),
        ]

    def test_leaves_a_gap_where_none_was_before_it(self):
        plan = PlanFactory(prices={})
        price = self.scheduled(plan)

        prices.take_back(item=plan, price=price, now=NOW)

        assert spans(plan) == [("USD", "35.00", LATER, LATER)]

    def test_leaves_other_currencies_alone(self):
        plan = PlanFactory(prices={"USD": "29.00"})
        euro = Money.parse("33.00", "EUR")
        prices.set_price(item=plan, money=euro, now=NOW, valid_from=LATER)
        price = self.scheduled(plan)

        prices.take_back(item=plan, price=price, now=NOW)

        assert spans(plan)[0] == ("EUR", "33.00", LATER, None)

    @pytest.mark.parametrize("now", [NOW, LATER_STILL])
    def test_does_nothing_the_second_time(self, now):
        plan = PlanFactory(prices={"USD": "29.00"})
        price = self.scheduled(plan)
        prices.take_back(item=plan, price=price, now=NOW)
        self.scheduled(plan, "33.00")

        prices.take_back(item=plan, price=price, now=now)

        assert [str(price.money) for price in plan.prices.current(LATER)] == ["33.00"]

    @pytest.mark.parametrize("now", [LATER, LATER_STILL])
    def test_refuses_what_has_begun(self, now):
        plan = PlanFactory(prices={"USD": "29.00"})
        price = self.scheduled(plan)
        before = spans(plan)

        with pytest.raises(prices.PriceHasBegun) as refusal:
            prices.take_back(item=plan, price=price, now=now)

        assert refusal.value.code == "price_has_begun"
        assert spans(plan) == before


@pytest.mark.django_db(transaction=True)
class TestTakeBackLock:
    def test_waits_for_the_item(self, held_by_another):
        plan = PlanFactory(prices={"USD": "29.00"})
        price = prices.set_price(item=plan, money=usd("35"), now=NOW, valid_from=LATER)

        with held_by_another(plan), pytest.raises(OperationalError, match="lock timeout"):
            prices.take_back(item=plan, price=price, now=NOW)
