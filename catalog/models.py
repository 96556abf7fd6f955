"""What is for sale, and for how much."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self, TypeVar

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from uuid_utils.compat import uuid7

from catalog.money import DECIMAL_PLACES, MAX_DIGITS, Money, currencies
from config.history import tracked
from config.locking import LockingQuerySet

MOST_TRIAL_DAYS = 366


def default_currency() -> str:
    return settings.BILLING_DEFAULT_CURRENCY


def validate_currency(code: str) -> None:
    if code not in currencies():
        raise ValidationError(f"{code} is not an ISO 4217 currency in use.")


def validate_features(value: Any) -> None:
    if not isinstance(value, dict | list):
        raise ValidationError("Features are an object or a list.")


def validate_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError("This must be an object.")


class BillingPeriod(models.TextChoices):
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    ONE_TIME = "one_time", "one time"


class Arrival(models.TextChoices):
    """How subscribers of another plan move to this one."""

    PRORATED = "prorated", "now, prorated"
    FULL_PRICE = "full_price", "now, for the full price and a new period"
    PERIOD_END = "period_end", "at the end of their period"


Sold = TypeVar("Sold", bound="Item")


class ItemQuerySet(LockingQuerySet[Sold]):
    def on_sale(self) -> Self:
        return self.filter(is_active=True, archived_at=None)


class Item(models.Model):
    """What a plan, a bundle and an add-on have in common."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=5000)
    default_currency = models.CharField(
        max_length=3, default=default_currency, validators=[validate_currency]
    )
    is_active = models.BooleanField("active", default=True, help_text="On sale.")
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    sort_order = models.IntegerField(default=0, help_text="Smaller numbers come first.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True
        ordering = ["sort_order", "name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(archived_at=None) | Q(is_active=False),
                name="%(class)s_archived_is_not_on_sale",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_recurring(self) -> bool:
        return getattr(self, "billing_period", None) != BillingPeriod.ONE_TIME


@tracked()
class Plan(Item):
    """A tariff plan: what a subscription is to."""

    slug = models.SlugField(max_length=100, unique=True)
    billing_period = models.CharField(
        max_length=10, choices=BillingPeriod.choices, default=BillingPeriod.MONTHLY
    )
    features = models.JSONField(
        default=list, blank=True, validators=[validate_features], help_text="A list or an object."
    )
    trial_days = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(MOST_TRIAL_DAYS)],
        help_text="0: no trial. One per customer and plan.",
    )
    is_trial_paid = models.BooleanField(
        "trial after payment",
        default=False,
        help_text="The first period is paid at the checkout, and begins when the trial ends.",
    )
    arrival = models.CharField(
        "change to this plan",
        max_length=10,
        choices=Arrival.choices,
        default=Arrival.PRORATED,
        help_text="What it means to move here from another plan in the middle of a period.",
    )

    objects = ItemQuerySet.as_manager()

    class Meta(Item.Meta):
        verbose_name = "tariff plan"


MOST_TOKENS = 10**12  # of a bundle: more is a slip, and millions of these fit on an account


@tracked()
class TokenBundle(Item):
    """So many prepaid tokens for one price."""

    token_amount = models.PositiveBigIntegerField(
        "tokens",
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TOKENS)],
        help_text="Credited when paid.",
    )

    objects = ItemQuerySet.as_manager()

    class Meta(Item.Meta):
        constraints = [
            *Item.Meta.constraints,
            models.CheckConstraint(condition=Q(token_amount__gte=1), name="bundle_has_tokens"),
        ]


@tracked()
class AddOn(Item):
    """Something on top of a subscription, sold with some plans or with any."""

    slug = models.SlugField(max_length=100, unique=True)
    billing_period = models.CharField(
        max_length=10, choices=BillingPeriod.choices, default=BillingPeriod.MONTHLY
    )
    config = models.JSONField(
        default=dict, blank=True, validators=[validate_object], help_text="An object."
    )
    plans = models.ManyToManyField(
        Plan, blank=True, related_name="add_ons", help_text="Sold with these; with any if empty."
    )

    objects = ItemQuerySet.as_manager()

    class Meta(Item.Meta):
        verbose_name = "add-on"


def shown(price: Money, setup_fee: Money) -> str:
    """How a person reads a price: ``$29.00``, ``$29.00 + $10.00 for the setup``."""
    fee = f" + {setup_fee.for_people()} for the setup" if setup_fee.amount else ""
    return price.for_people() + fee


class PriceQuerySet(LockingQuerySet["Price"]):
    def current(self, at: datetime) -> Self:
        return self.filter(
            Q(valid_until=None) | Q(valid_until__gt=at),
            valid_from__lte=at,
        )


@tracked()
class Price(models.Model):
    """
    One amount in one currency for one item, while it is valid.

    A price is never changed: ``catalog.services.prices`` ends it and puts a new one in its place,
    so that whoever bought at a price can always be shown it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.CASCADE, related_name="prices"
    )
    bundle = models.ForeignKey(
        TokenBundle, null=True, blank=True, on_delete=models.CASCADE, related_name="prices"
    )
    add_on = models.ForeignKey(
        AddOn, null=True, blank=True, on_delete=models.CASCADE, related_name="prices"
    )
    currency = models.CharField(max_length=3, validators=[validate_currency])
    amount = models.DecimalField(max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES)
    setup_fee = models.DecimalField(
        max_digits=MAX_DIGITS,
        decimal_places=DECIMAL_PLACES,
        default=0,
        db_default=0,
        help_text="Once, with the first period.",
    )
    valid_from = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ["currency", "valid_from"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="price_not_negative"),
            models.CheckConstraint(condition=Q(setup_fee__gte=0), name="price_fee_not_negative"),
            models.CheckConstraint(
                condition=(
                    Q(plan__isnull=False, bundle=None, add_on=None)
                    | Q(plan=None, bundle__isnull=False, add_on=None)
                    | Q(plan=None, bundle=None, add_on__isnull=False)
                ),
                name="price_is_of_one_item",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gte=F("valid_from")),
                name="price_ends_after_it_begins",
            ),
            # At most one price of an item in a currency at any moment, past and scheduled too.
            ExclusionConstraint(
                name="price_one_at_a_time",
                expressions=[
                    (Coalesce("plan", "bundle", "add_on"), RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    (
                        Func("valid_from", "valid_until", function="TSTZRANGE"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="price_is_never_changed",
                fields=["id", "plan", "bundle", "add_on", "currency", "amount", "setup_fee"]
                + ["valid_from"],
            )
        ]

    def __str__(self) -> str:
        return shown(self.money, self.fee)

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def fee(self) -> Money:
        return Money(self.setup_fee, self.currency)
