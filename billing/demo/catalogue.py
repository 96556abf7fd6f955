"""What the demo sells. Ids are fixed, so that an interrupted load finds its own again."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from billing.models import Coupon
from catalog.models import AddOn, BillingPeriod, Item, Plan, TokenBundle
from catalog.money import Money
from catalog.services import prices
from catalog.services.prices import AnyItem

STARTER = UUID("01900000-0000-7000-8000-000000000001")
PRO = UUID("01900000-0000-7000-8000-000000000002")
ENTERPRISE = UUID("01900000-0000-7000-8000-000000000003")
SMALL = UUID("01900000-0000-7000-8000-000000000011")
MEDIUM = UUID("01900000-0000-7000-8000-000000000012")
LARGE = UUID("01900000-0000-7000-8000-000000000013")
SUPPORT = UUID("01900000-0000-7000-8000-000000000021")
SEATS = UUID("01900000-0000-7000-8000-000000000022")
SIGN_ON = UUID("01900000-0000-7000-8000-000000000023")

WELCOME = "WELCOME20"

TOKENS = {SMALL: 500, MEDIUM: 2_500, LARGE: 10_000}

# The one price that was raised on the way, for the history of prices.
PRO_BEFORE = Money(Decimal("25.00"), "USD")
PRICES = {
    STARTER: {"USD": "9.00", "EUR": "9.00", "JPY": "1400"},
    PRO: {"USD": "29.00", "EUR": "27.00"},
    ENTERPRISE: {"USD": "990.00", "EUR": "940.00"},
    SMALL: {"USD": "5.00", "EUR": "5.00", "JPY": "800"},
    MEDIUM: {"USD": "20.00", "EUR": "19.00", "JPY": "3000"},
    LARGE: {"USD": "70.00", "EUR": "65.00"},
    SUPPORT: {"USD": "15.00", "EUR": "14.00", "JPY": "2300"},
    SEATS: {"USD": "12.00", "EUR": "11.00"},
    SIGN_ON: {"USD": "120.00", "EUR": "110.00"},
}


def make(*, since: datetime, price_rise: datetime) -> None:
    """Make three plans, three bundles, three add-ons and a coupon, on sale since that day."""
    _make_plans(since)
    _make_bundles(since)
    _make_add_ons(since)
    for kind in (Plan, TokenBundle, AddOn):
        for item in kind.objects.filter(pk__in=PRICES):
            _set_prices(item, since=since)
    Coupon.objects.create(
        code=WELCOME,
        name="Welcome: 20 % for three periods",
        percent=Decimal(20),
        duration=Coupon.Duration.PERIODS,
        periods=3,
        created_at=since,
    )
    pro = Plan.objects.get(pk=PRO)
    prices.set_price(item=pro, money=PRO_BEFORE, now=since)
    prices.set_price(item=pro, money=Money(Decimal("29.00"), "USD"), now=price_rise)


def _set_prices(item: AnyItem, *, since: datetime) -> None:
    for currency, amount in PRICES[item.pk].items():
        if (item.pk, currency) != (PRO, PRO_BEFORE.currency):
            prices.set_price(item=item, money=Money(Decimal(amount), currency), now=since)


def _make_plans(since: datetime) -> None:
    rows = [
        (STARTER, "Starter", BillingPeriod.MONTHLY, ["1 project", "Community support"]),
        (PRO, "Pro", BillingPeriod.MONTHLY, ["20 projects", "E-mail support", "API access"]),
        (
            ENTERPRISE,
            "Enterprise",
            BillingPeriod.YEARLY,
            ["Unlimited projects", "A named contact", "99.9 % availability"],
        ),
    ]
    Plan.objects.bulk_create(
        Plan(
            id=pk,
            name=name,
            slug=name.lower(),
            description=f"{name}: {features[0].lower()} and more.",
            billing_period=period,
            features=features,
            sort_order=position,
            created_at=since,
        )
        for position, (pk, name, period, features) in enumerate(rows, start=1)
    )


def _make_bundles(since: datetime) -> None:
    names = {SMALL: "500 tokens", MEDIUM: "2,500 tokens", LARGE: "10,000 tokens"}
    TokenBundle.objects.bulk_create(
        TokenBundle(
            id=pk, name=name, token_amount=TOKENS[pk], sort_order=position, created_at=since
        )
        for position, (pk, name) in enumerate(names.items(), start=1)
    )


def _make_add_ons(since: datetime) -> None:
    names = {SUPPORT: "Priority support", SEATS: "Five more seats", SIGN_ON: "Single sign-on"}
    AddOn.objects.bulk_create(
        AddOn(
            id=pk,
            name=name,
            slug=name.lower().replace(" ", "-"),
            billing_period=BillingPeriod.YEARLY if pk == SIGN_ON else BillingPeriod.MONTHLY,
            sort_order=position,
            created_at=since,
        )
        for position, (pk, name) in enumerate(names.items(), start=1)
    )
    AddOn.objects.get(pk=SIGN_ON).plans.add(ENTERPRISE)


def price_rise(*, started_at: datetime) -> datetime:
    return started_at - timedelta(days=75)


def taken_names() -> list[Item]:
    """Items of others that stand where the demo's would."""
    slugs = ["starter", "pro", "enterprise", "priority-support", "five-more-seats"]
    return [
        item
        for kind in (Plan, AddOn)
        for item in kind.objects.filter(slug__in=[*slugs, "single-sign-on"])
    ]
