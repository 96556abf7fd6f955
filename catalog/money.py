"""Money: an amount and its currency, and the only rounding in the project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache
from math import ceil, floor

from babel.core import get_global
from babel.numbers import format_currency, get_currency_precision, list_currencies

from config.errors import DomainError

MAX_DIGITS = 17  # columns are numeric(17, 3): up to 99,999,999,999,999.999
DECIMAL_PLACES = 3  # as many as any currency in use has
_LIMIT = Decimal(10) ** (MAX_DIGITS - DECIMAL_PLACES)
_MOMENT = timedelta(microseconds=1)
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
# Decimal itself also reads "1_000", "1e3", " 29 " and the digits of other scripts.
_PLAIN_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class UnknownCurrency(DomainError):
    code = "unknown_currency"


class InvalidAmount(DomainError):
    code = "invalid_amount"


class CurrencyMismatch(DomainError):
    code = "currency_mismatch"


@cache
def currencies() -> frozenset[str]:
    """The ISO 4217 codes that are legal tender somewhere today (CLDR): what may be chosen."""
    return _tender(today=True)


@cache
def known_currencies() -> frozenset[str]:
    """The ISO 4217 codes that are or were legal tender somewhere: what may stand in old rows."""
    return _tender(today=False)


def _tender(*, today: bool) -> frozenset[str]:
    codes = {
        code
        for uses in get_global("territory_currencies").values()
        for code, _start, end, tender in uses
        if tender and (end is None or not today)
    }
    return frozenset(codes & list_currencies())


def require_in_use(currency: str) -> None:
    """
    Check what somebody chooses. What is stored is only read, and may have gone out of use since.

    :raises UnknownCurrency: if the code is no ISO 4217 currency in use
    """
    if currency not in currencies():
        raise UnknownCurrency(f"The currency {currency!r:.20} is unknown: use an ISO 4217 code.")


@cache
def places(currency: str) -> int:
    """
    How many decimal places amounts in this currency have: 2 for USD, 0 for JPY, 3 for KWD.

    Answers for currencies that are out of use too: an old invoice must stay readable.

    :raises UnknownCurrency: if the code never was an ISO 4217 currency
    """
    if currency not in known_currencies():
        raise UnknownCurrency(f"The currency {currency!r:.20} is unknown: use an ISO 4217 code.")
    return get_currency_precision(currency)


@dataclass(frozen=True, slots=True)
class Money:
    """
    An exact amount in one currency.

    :raises UnknownCurrency: if the code never was an ISO 4217 currency
    :raises InvalidAmount: if the amount has more places than the currency, or too many digits
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        _require_bookable(self.amount)
        exact = _to_places(self.amount, self.currency)
        if exact != self.amount:
            raise InvalidAmount(
                f"The amount {self.amount!s:.40} has too many decimal places: "
                f"{self.currency} has {places(self.currency)}."
            )
        object.__setattr__(self, "amount", exact + 0)  # + 0: there is no negative zero

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(Decimal(0), currency)

    @classmethod
    def rounded(cls, amount: Decimal, currency: str) -> Money:
        """The only way from a computed number to money: half up, to the currency's own places."""
        _require_bookable(amount)
        return cls(_to_places(amount, currency), currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """
        Read what the API and people write: ``"29.00"``.

        :raises InvalidAmount: if it is no plain decimal number
        """
        if not _PLAIN_DECIMAL.fullmatch(text):
            raise InvalidAmount(f"The amount {text!r:.40} is not a decimal number.")
        return cls(Decimal(text), currency)

    @classmethod
    def sum(cls, parts: Iterable[Money], currency: str) -> Money:
        total = cls.zero(currency)
        amount = total.amount
        for part in parts:
            total._require_same_currency(part)
            amount += part.amount
        return cls(amount, currency)

    def __add__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, quantity: int) -> Money:
        return Money(self.amount * quantity, self.currency)

    def share(self, part: timedelta, whole: timedelta) -> Money:
        """
        Return what a part of a time costs of what the whole costs, rounded down.

        See docs/adr/0011-proration.md: rounded once, and never to more than the part is worth.
        """
        return self._of_units(floor(self._units(part, whole)))

    def share_rounded_up(self, part: timedelta, whole: timedelta) -> Money:
        """``share``, rounded up: for what is given back."""
        return self._of_units(ceil(self._units(part, whole)))

    def _units(self, part: timedelta, whole: timedelta) -> Fraction:
        """How many of the currency's smallest unit the part is worth, exactly."""
        return (
            Fraction(self.amount)
            * 10 ** places(self.currency)
            * Fraction(part // _MOMENT, whole // _MOMENT)
        )

    def spread(self, weights: Sequence[Money]) -> list[Money]:
        """
        Return this amount in parts that are in proportion to the weights, and add up to it.

        What whole units leave over goes to the largest remainders, the first ones of equal ones.
        """
        whole = sum((weight.amount for weight in weights), Decimal(0))
        if not whole:
            return [Money.zero(self.currency) for _ in weights]
        unit = 10 ** places(self.currency)
        units = Fraction(self.amount) * unit
        exact = [units * Fraction(weight.amount) / Fraction(whole) for weight in weights]
        counts = [floor(part) for part in exact]
        by_remainder = sorted(range(len(exact)), key=lambda at: counts[at] - exact[at])
        for at in by_remainder[: int(units) - sum(counts)]:
            counts[at] += 1
        return [self._of_units(count) for count in counts]

    def __str__(self) -> str:
        """The API's form: the currency's own number of places, no grouping."""
        return f"{self.amount:f}"

    def for_people(self, locale: str = "en_US") -> str:
        """How a person reads it: ``$29.00``, ``¥2,900``."""
        shown = format_currency(self.amount, self.currency, locale=locale)
        # CLDR's rule for a symbol that ends in a letter, which Babel leaves out: KWD 2.900.
        return _LETTER_BEFORE_DIGIT.sub("\N{NO-BREAK SPACE}", shown)

    def _of_units(self, count: int) -> Money:
        return Money(Decimal(count).scaleb(-places(self.currency)), self.currency)

    def _require_same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be added up.")


def amount_string(amount: Decimal, currency: str) -> str:
    """A stored amount in the API's form, without the checks of ``Money``: for reading rows."""
    return f"{_to_places(amount, currency):f}"


def _require_bookable(amount: Decimal) -> None:
    if not amount.is_finite() or abs(amount) >= _LIMIT:
        raise InvalidAmount("The amount is not a number that can be booked.")


def _to_places(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(_unit(currency), rounding=ROUND_HALF_UP)


@cache
def _unit(currency: str) -> Decimal:
    """The currency's smallest."""
    return Decimal(1).scaleb(-places(currency))
