"""What staff send to change the catalogue, and what they see of it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as Refused
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.fields import TextField
from catalog.api.serializers import (
    AddOnSerializer,
    ConfigField,
    CurrencyField,
    FeaturesField,
    PlanSerializer,
    TokenBundleSerializer,
)
from catalog.models import (
    MOST_TOKENS,
    MOST_TRIAL_DAYS,
    Arrival,
    BillingPeriod,
    validate_features,
    validate_object,
)
from catalog.money import DECIMAL_PLACES, MAX_DIGITS
from catalog.validators import validate_storable
from config.pagination import PageParameters

_LARGEST = 2**31 - 1


class StorableJSON:
    """JSON that the database can hold, in the shape that the column asks for."""

    shape: Any

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)  # type: ignore[misc]
        try:
            validate_storable(value)
            type(self).shape(value)
        except Refused as refusal:
            raise serializers.ValidationError(refusal.messages) from None
        return value


@extend_schema_field({"oneOf": [{"type": "array", "items": {}}, {"type": "object"}]})
class FeaturesInput(StorableJSON, FeaturesField):
    shape = validate_features


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ConfigInput(StorableJSON, ConfigField):
    shape = validate_object


# --- In ---


class SlugField(TextField, serializers.SlugField):
    """A slug; a number is none, even of digits."""


class PeriodField(serializers.ChoiceField):
    """A billing period, in any letter case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(BillingPeriod.choices, **options)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data.lower() if isinstance(data, str) else data)


class ItemInput(serializers.Serializer):
    name = TextField(max_length=100)
    description = TextField(max_length=5000, required=False, allow_blank=True)
    price = serializers.DecimalField(
        max_digits=MAX_DIGITS,
        decimal_places=DECIMAL_PLACES,
        min_value=0,
        help_text="In `currency`; a new one takes the place of the one that stands.",
    )
    currency = CurrencyField(
        required=False, max_length=3, help_text="Of the price; the item's default where missing."
    )
    is_active = serializers.BooleanField(required=False)
    sort_order = serializers.IntegerField(required=False, min_value=-_LARGEST, max_value=_LARGEST)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "currency" in attrs and "price" not in attrs:
            raise serializers.ValidationError({"currency": "It is a price's: send the price too."})
        return attrs


class SubscribableInput(ItemInput):
    """Of what is subscribed to: it may have to be set up."""

    setup_fee = serializers.DecimalField(
        max_digits=MAX_DIGITS,
        decimal_places=DECIMAL_PLACES,
        min_value=0,
        required=False,
        help_text="Of the price, once; where missing, that of the price that stands.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "setup_fee" in attrs and "price" not in attrs:
            raise serializers.ValidationError({"setup_fee": "It is a price's: send the price too."})
        return super().validate(attrs)


class PlanInput(SubscribableInput):
    slug = SlugField(required=False, max_length=100)
    trial_days = serializers.IntegerField(
        required=False, min_value=0, max_value=MOST_TRIAL_DAYS, help_text="0: no trial."
    )
    is_trial_paid = serializers.BooleanField(
        required=False, help_text="The first period is paid at the checkout and follows the trial."
    )
    arrival = serializers.ChoiceField(
        Arrival.choices, required=False, help_text="How subscribers of another plan move here."
    )
    billing_period = PeriodField(required=False)
    features = FeaturesInput(required=False)


class TokenBundleInput(ItemInput):
    token_amount = serializers.IntegerField(min_value=1, max_value=MOST_TOKENS)


class AddOnInput(SubscribableInput):
    slug = SlugField(required=False, max_length=100)
    billing_period = PeriodField(required=False)
    config = ConfigInput(required=False)
    plan_ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)


class BundlesQuery(PageParameters):
    include_inactive = serializers.BooleanField(required=False, default=False)


# --- Out: as visitors see it, and what is put away ---


class StaffPlanSerializer(PlanSerializer):
    archived_at = serializers.DateTimeField(source="item.archived_at", allow_null=True)
    created_at = serializers.DateTimeField(source="item.created_at")
    updated_at = serializers.DateTimeField(source="item.updated_at")


class StaffTokenBundleSerializer(TokenBundleSerializer):
    archived_at = serializers.DateTimeField(source="item.archived_at", allow_null=True)


class StaffAddOnSerializer(AddOnSerializer):
    archived_at = serializers.DateTimeField(source="item.archived_at", allow_null=True)
