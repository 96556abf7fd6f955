"""What is sold in the histories. The recomputation knows these prices, and the event log."""

from __future__ import annotations

from dataclasses import dataclass

PLACES = {"USD": 2, "EUR": 2, "JPY": 0}


@dataclass(frozen=True)
class Sold:
    """Prices in the currency's smallest unit, of one for one period."""

    name: str
    period: str
    prices: dict[str, int]
    arrival: str = "prorated"


PLANS = (
    Sold("Basic", "monthly", {"USD": 2900, "EUR": 2700, "JPY": 3900}),
    Sold("Pro", "monthly", {"USD": 9900, "EUR": 8999, "JPY": 12345}),
    Sold("Week", "weekly", {"USD": 799, "EUR": 749, "JPY": 1001}),
    Sold("Year", "yearly", {"USD": 29000, "EUR": 27001, "JPY": 39007}),
    Sold("Burst", "monthly", {"USD": 4999, "EUR": 4500, "JPY": 7001}, "full_price"),
)
ADD_ONS = (
    Sold("Support", "monthly", {"USD": 500, "EUR": 333, "JPY": 701}),
    Sold("Archive", "yearly", {"USD": 6000, "EUR": 5555, "JPY": 8001}),
)
BY_NAME = {sold.name: sold for sold in (*PLANS, *ADD_ONS)}


@dataclass(frozen=True)
class Code:
    """A coupon: of a percentage, or of an amount; ``periods`` None is for ever."""

    code: str
    percent: int | None
    amounts: dict[str, int]
    periods: int | None


CODES = (
    Code("HALF3", 50, {}, 3),
    Code("THIRD", 33, {}, None),
    Code("ALL1", 100, {}, 1),
    Code("LESS", None, {"USD": 1000, "EUR": 999, "JPY": 1111}, 2),
)
BY_CODE = {code.code: code for code in CODES}
