"""Shapes of the catalogue, for visitors and for staff."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.models import AddOn, Arrival, BillingPeriod
from catalog.money import require_in_use
from catalog.services.prices import Listing

AMOUNT = "A decimal string with the currency's own number of places."


# --- In ---


class CurrencyField(serializers.CharField):
    """
    An ISO 4217 code, in any case.

    :raises UnknownCurrency: where it is none
    """

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data).upper()
        require_in_use(code)
        return code


class CatalogueQuery(serializers.Serializer):
    currency = CurrencyField(
        required=False,
        allow_blank=True,
        help_text="ISO 4217. Without it, each item is shown in its own default currency.",
    )

    def validate_currency(self, code: str) -> str | None:
        return code or None


class PlansQuery(CatalogueQuery):
    country = serializers.RegexField(
        r"\A[A-Za-z]{2}\Z",
        required=False,
        allow_blank=True,
        help_text="ISO 3166 alpha-2; given back in the answer.",
        error_messages={"invalid": "This is not a country code of two letters."},
    )

    def validate_country(self, code: str) -> str | None:
        return code.upper() or None


# --- Out: each of a catalog.services.prices.Listing ---


class PriceSerializer(serializers.Serializer):
    """Of a ``Money``."""

    currency = serializers.CharField(help_text="ISO 4217.")
    amount = serializers.CharField(source="*", help_text=AMOUNT)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "array", "items": {}},
            {"type": "object", "additionalProperties": {}},
        ]
    }
)
class FeaturesField(serializers.JSONField):
    """A list or an object."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ConfigField(serializers.JSONField):
    """An object."""


class PlanSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="item.id")
    name = serializers.CharField(source="item.name")
    slug = serializers.CharField(source="item.slug")
    description = serializers.CharField(source="item.description")
    price = serializers.CharField(allow_null=True, help_text=AMOUNT)
    currency = serializers.CharField(source="price.currency", allow_null=True)
    setup_fee = serializers.CharField(
        allow_null=True, help_text=f"Of this price, once, with the first period. {AMOUNT}"
    )
    prices = PriceSerializer(many=True)
    display_price = serializers.FloatField(
        source="price.amount", allow_null=True, help_text="For display only."
    )
    display_currency = serializers.CharField(source="price.currency", allow_null=True)
    price_float = serializers.FloatField(
        source="price.amount", allow_null=True, help_text="For display only."
    )
    billing_period = serializers.ChoiceField(BillingPeriod.choices, source="item.billing_period")
    trial_days = serializers.IntegerField(
        source="item.trial_days", help_text="0: no trial. One per customer and plan."
    )
    is_trial_paid = serializers.BooleanField(
        source="item.is_trial_paid",
        help_text="The first period is paid at the checkout, and begins when the trial ends.",
    )
    arrival = serializers.ChoiceField(
        Arrival.choices,
        source="item.arrival",
        help_text="How subscribers of another plan move to this one.",
    )
    features = FeaturesField(source="item.features")
    is_active = serializers.BooleanField(source="item.is_active")
    is_recurring = serializers.BooleanField(
        source="item.is_recurring", help_text="False for `one_time`."
    )
    sort_order = serializers.IntegerField(source="item.sort_order")


class TokenBundleSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="item.id")
    name = serializers.CharField(source="item.name")
    description = serializers.CharField(source="item.description")
    token_amount = serializers.IntegerField(source="item.token_amount")
    price = serializers.CharField(allow_null=True, help_text=AMOUNT)
    currency = serializers.CharField(source="price.currency", allow_null=True)
    prices = PriceSerializer(many=True)
    is_active = serializers.BooleanField(source="item.is_active")
    sort_order = serializers.IntegerField(source="item.sort_order")
    created_at = serializers.DateTimeField(source="item.created_at")
    updated_at = serializers.DateTimeField(source="item.updated_at")


class AddOnSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="item.id")
    name = serializers.CharField(source="item.name")
    slug = serializers.CharField(source="item.slug")
    description = serializers.CharField(source="item.description")
    price = serializers.CharField(allow_null=True, help_text=AMOUNT)
    currency = serializers.CharField(source="price.currency", allow_null=True)
    setup_fee = serializers.CharField(
        allow_null=True, help_text=f"Of this price, once, with the first period. {AMOUNT}"
    )
    prices = PriceSerializer(many=True)
    billing_period = serializers.ChoiceField(BillingPeriod.choices, source="item.billing_period")
    config = ConfigField(source="item.config")
    is_active = serializers.BooleanField(source="item.is_active")
    is_recurring = serializers.BooleanField(
        source="item.is_recurring", help_text="False for `one_time`."
    )
    plan_ids = serializers.SerializerMethodField(
        help_text="Sold only with these plans; with any where there are none."
    )
    sort_order = serializers.IntegerField(source="item.sort_order")
    created_at = serializers.DateTimeField(source="item.created_at")
    updated_at = serializers.DateTimeField(source="item.updated_at")

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_plan_ids(self, listing: Listing[AddOn]) -> list[str]:
        """Wants the plans prefetched."""
        return sorted(str(plan.pk) for plan in listing.item.plans.all())


class PlansSerializer(serializers.Serializer):
    plans = PlanSerializer(many=True)
    currency = serializers.CharField(
        help_text="The one asked for, else this installation's default; each plan names its own."
    )
    country = serializers.CharField(allow_null=True, help_text="The one named in the query.")


class TokenBundlesSerializer(serializers.Serializer):
    bundles = TokenBundleSerializer(many=True)


class AddOnsSerializer(serializers.Serializer):
    addons = AddOnSerializer(many=True)
