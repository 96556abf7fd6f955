from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.money import (
    CurrencyMismatch,
    InvalidAmount,
    Money,
    UnknownCurrency,
    amount_string,
    currencies,
    places,
    require_in_use,
)

CURRENCIES = st.sampled_from(sorted(currencies()))


@st.composite
def amounts(draw):
    """Amounts as they are written in some currency, of any size that can be booked."""
    currency = draw(CURRENCIES)
    smallest_units = draw(st.integers(min_value=-(10**14) + 1, max_value=10**14 - 1))
    return f"{Decimal(smallest_units).scaleb(-places(currency)):f}", currency


class TestPlaces:
    @pytest.mark.parametrize(
        ("currency", "expected"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3)]
    )
    def test_are_the_currency_s_own(self, currency, expected):
        assert places(currency) == expected

    def test_are_of_three_kinds(self):
        assert {places(currency) for currency in currencies()} == {0, 2, 3}

    @pytest.mark.parametrize("code", ["", "usd", "US", "XXX", "XAU", "USD\0", "U" * 5000])
    def test_refuses_what_is_no_currency_in_use(self, code):
        with pytest.raises(UnknownCurrency) as refusal:
            places(code)

        assert refusal.value.code == "unknown_currency"
        assert len(refusal.value.message) < 100


class TestParse:
    @pytest.mark.parametrize(
        ("text", "currency", "expected"),
        [
            ("29.00", "USD", "29.00"),
            ("29", "USD", "29.00"),
            ("29.000000", "USD", "29.00"),
            ("007.5", "USD", "7.50"),
            ("2900", "JPY", "2900"),
            ("2.9", "KWD", "2.900"),
            ("0", "KWD", "0.000"),
            ("-1.50", "EUR", "-1.50"),
            ("99999999999999.999", "KWD", "99999999999999.999"),
        ],
    )
    def test_gives_the_currency_s_own_number_of_places(self, text, currency, expected):
        assert str(Money.parse(text, currency)) == expected

    @given(amounts())
    def test_reads_back_what_it_writes(self, amount):
        text, currency = amount

        money = Money.parse(text, currency)

        assert Money.parse(str(money), currency) == money
        assert Decimal(str(money)) == Decimal(text)
        assert len(str(money).partition(".")[2]) == places(currency)

    @given(CURRENCIES)
    def test_refuses_one_place_too_many(self, currency):
        too_fine = f"{Decimal(1).scaleb(-places(currency) - 1):f}"

        with pytest.raises(InvalidAmount, match="too many decimal places"):
            Money.parse(too_fine, currency)

    @pytest.mark.parametrize(
        "text",
        ["NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1e2", "1_000.00", " 29.00 ", "٢٩"]
        + ["", "-", ".5", "5.", "1,00", "0x10", "29.00\n", "29\0", "twenty", "9" * 5000],
    )
    def test_refuses_what_is_no_plain_decimal_number_that_can_be_booked(self, text):
        with pytest.raises(InvalidAmount) as refusal:
            Money.parse(text, "USD")

        assert refusal.value.code == "invalid_amount"
        assert len(refusal.value.message) < 100

    def test_refuses_an_unknown_currency(self):
        with pytest.raises(UnknownCurrency):
            Money.parse("1.00", "XXX")


class TestMoney:
    @pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e400", "-1e14", "1e-400"])
    def test_refuses_what_cannot_be_booked(self, amount):
        with pytest.raises(InvalidAmount):
            Money(Decimal(amount), "USD")

    def test_says_briefly_that_there_are_too_many_places(self):
        with pytest.raises(InvalidAmount) as refusal:
            Money(Decimal("0." + "1" * 5000), "USD")

        assert len(refusal.value.message) < 120

    @pytest.mark.parametrize("amount", ["-0", "-0.00", "0E+5"])
    def test_knows_one_zero(self, amount):
        money = Money(Decimal(amount), "USD")

        assert str(money) == "0.00"
        assert money == Money.zero("USD")

    def test_is_equal_whatever_places_it_was_given_with(self):
        assert Money(Decimal(29), "USD") == Money(Decimal("29.000"), "USD")
        assert Money(Decimal(29), "USD") != Money(Decimal(29), "EUR")

    def test_is_shown_to_people_in_their_way(self):
        assert Money(Decimal("2900.5"), "USD").for_people() == "$2,900.50"
        assert Money(Decimal(2900), "JPY").for_people() == "¥2,900"
        assert Money(Decimal("2.9"), "KWD").for_people() == "KWD\N{NO-BREAK SPACE}2.900"


class TestRounded:
    @pytest.mark.parametrize(
        ("amount", "currency", "expected"),
        [
            ("0.005", "USD", "0.01"),
            ("0.0049999", "USD", "0.00"),
            ("0.015", "USD", "0.02"),
            ("0.025", "USD", "0.03"),
            ("2.675", "USD", "2.68"),
            ("-0.005", "USD", "-0.01"),
            ("-0.004", "USD", "0.00"),
            ("0.5", "JPY", "1"),
            ("1.5", "JPY", "2"),
            ("2.5", "JPY", "3"),
            ("0.0005", "KWD", "0.001"),
            ("1.23449", "KWD", "1.234"),
        ],
    )
    def test_rounds_half_up(self, amount, currency, expected):
        assert str(Money.rounded(Decimal(amount), currency)) == expected

    @given(
        st.decimals(min_value="-1e12", max_value="1e12", allow_nan=False, allow_infinity=False),
        CURRENCIES,
    )
    def test_is_never_off_by_more_than_half_of_the_smallest_unit(self, amount, currency):
        money = Money.rounded(amount, currency)

        assert abs(money.amount - amount) <= Decimal("0.5").scaleb(-places(currency))

    @pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e400", "1e14"])
    def test_refuses_what_cannot_be_booked(self, amount):
        with pytest.raises(InvalidAmount):
            Money.rounded(Decimal(amount), "USD")


class TestSum:
    def test_adds_up(self):
        parts = [Money.parse("29.00", "USD"), Money.parse("0.10", "USD"), Money.parse("5", "USD")]

        assert Money.sum(parts, "USD") == Money.parse("34.10", "USD")

    def test_of_nothing_is_zero_of_the_currency(self):
        assert str(Money.sum([], "JPY")) == "0"

    def test_refuses_to_add_up_two_currencies(self):
        with pytest.raises(CurrencyMismatch) as refusal:
            Money.sum([Money.parse("1", "USD"), Money.parse("1", "EUR")], "USD")

        assert refusal.value.code == "currency_mismatch"

    def test_refuses_a_total_that_cannot_be_booked(self):
        with pytest.raises(InvalidAmount):
            Money.sum([Money.parse("99999999999999", "USD")] * 2, "USD")

    @given(st.lists(st.integers(min_value=-(10**9), max_value=10**9), max_size=20))
    def test_loses_no_cent(self, cents):
        parts = [Money(Decimal(n).scaleb(-2), "USD") for n in cents]

        assert Money.sum(parts, "USD").amount * 100 == sum(cents)


class TestArithmetic:
    def test_is_exact(self):
        price = Money.parse("0.10", "USD")

        assert price * 3 == Money.parse("0.30", "USD")
        assert price + price == Money.parse("0.20", "USD")
        assert price - Money.parse("0.30", "USD") == Money.parse("-0.20", "USD")

    def test_refuses_to_take_one_currency_from_another(self):
        with pytest.raises(CurrencyMismatch):
            Money.parse("1", "USD") - Money.parse("1", "JPY")


class TestAmountString:
    @pytest.mark.parametrize(
        ("stored", "currency", "expected"),
        [("29.000", "USD", "29.00"), ("2900.000", "JPY", "2900"), ("2.900", "KWD", "2.900")],
    )
    def test_gives_a_stored_amount_the_currency_s_own_places(self, stored, currency, expected):
        assert amount_string(Decimal(stored), currency) == expected


class TestOutOfUse:
    def test_old_money_is_still_read(self):
        assert str(Money(Decimal("7.50"), "DEM")) == "7.50"
        assert places("ITL") == 0

    def test_it_cannot_be_chosen(self):
        with pytest.raises(UnknownCurrency):
            require_in_use("DEM")
