"""What is for sale in the histories: odd prices, so that shares and percentages have remainders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from billing.models import Coupon, CouponAmount
from catalog.models import AddOn, Plan, Price, TokenBundle

CURRENCIES = ("EUR", "USD", "JPY")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# By name: period, prices in each currency, setup fee in each, whatever else the plan has.
PLANS = {
    "Basic": ("monthly", ("27.00", "29.00", "2900"), None, {}),
    "Pro": ("monthly", ("95.49", "99.00", "9901"), ("9.99", "10.00", "1000"), {}),
    "Year": ("yearly", ("271.13", "290.00", "29003"), None, {}),
    "Week": ("weekly", ("6.99", "7.77", "777"), ("1.00", "1.11", "101"), {}),
    "Trial": ("monthly", ("37.01", "39.00", "3907"), ("4.99", "5.00", "499"), {"trial_days": 14}),
    "Tried": (
        "monthly",
        ("43.00", "44.44", "4441"),
        None,
        {"trial_days": 9, "is_trial_paid": True},
    ),
    "Full": ("monthly", ("140.03", "149.00", "14999"), None, {"arrival": "full_price"}),
    "Later": ("monthly", ("17.00", "19.00", "1900"), None, {"arrival": "period_end"}),
    "Free": ("monthly", ("0.00", "0.00", "0"), None, {}),
}
ADD_ONS = {
    "Support": ("monthly", ("4.99", "5.00", "499"), ("1.49", "1.50", "151")),
    "Archive": ("yearly", ("59.99", "60.00", "6001"), None),
    "Watch": ("weekly", ("0.99", "1.01", "103"), None),
    "Training": ("one_time", ("48.00", "49.99", "4999"), None),
}
BUNDLES = {"Tokens": ("10.50", "10.50", "1050")}
# By code: percent, or amounts in each currency; for how many periods, None for all of them.
COUPONS: dict[str, tuple[str | tuple[str, str, str], int | None]] = {
    "FIFTH-ONCE": ("20", 1),
    "THIRD-THRICE": ("33.33", 3),
    "HALF": ("50", None),
    "ALL-TWICE": ("100", 2),
    "TEN-ONCE": (("9.01", "10.00", "1003"), 1),
    "SEVEN-THRICE": (("7.00", "7.77", "707"), 3),
    "THREE": (("3.01", "3.00", "299"), None),
}


@dataclass(frozen=True, slots=True)
class Shop:
    plans: dict[str, Plan]
    add_ons: dict[str, AddOn]
    bundles: dict[str, TokenBundle]


def open_shop() -> Shop:
    plans = {
        name: _priced(
            Plan(name=name, slug=name.lower(), billing_period=period, **more), prices, fees
        )
        for name, (period, prices, fees, more) in PLANS.items()
    }
    add_ons = {
        name: _priced(AddOn(name=name, slug=name.lower(), billing_period=period), prices, fees)
        for name, (period, prices, fees) in ADD_ONS.items()
    }
    bundles = {
        name: _priced(TokenBundle(name=name, token_amount=500), prices, None)
        for name, prices in BUNDLES.items()
    }
    for code, (less, periods) in COUPONS.items():
        _offer(code, less, periods)
    return Shop(plans, add_ons, bundles)


Sold = TypeVar("Sold", Plan, AddOn, TokenBundle)


def _priced(item: Sold, prices: tuple[str, ...], fees: tuple[str, ...] | None) -> Sold:
    item.save()
    column = {Plan: "plan", AddOn: "add_on", TokenBundle: "bundle"}[type(item)]
    for currency, price, fee in zip(CURRENCIES, prices, fees or ("0", "0", "0"), strict=True):
        Price.objects.create(
            currency=currency,
            amount=Decimal(price),
            setup_fee=Decimal(fee),
            valid_from=LONG_AGO,
            created_at=LONG_AGO,
            **{column: item},
        )
    return item


def _offer(code: str, less: str | tuple[str, str, str], periods: int | None) -> None:
    is_percent = isinstance(less, str)
    duration = {None: "forever", 1: "once"}.get(periods, "periods")
    coupon = Coupon.objects.create(
        code=code,
        name=code.capitalize(),
        kind="percent" if is_percent else "amount",
        percent=Decimal(less) if is_percent else None,
        duration=duration,
        periods=periods if duration == "periods" else None,
        max_per_customer=1000,
    )
    if not is_percent:
        for currency, amount in zip(CURRENCIES, less, strict=True):
            CouponAmount.objects.create(coupon=coupon, currency=currency, amount=Decimal(amount))
