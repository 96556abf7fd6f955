"""The shapes of the API's answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api import moments
from billing.models import (
    AddOnSubscription,
    Invoice,
    InvoiceLineItem,
    Subscription,
    TokenBundlePurchase,
    TokenTransaction,
)
from billing.models.subscription import SubscriptionStatus
from billing.services import payment_states
from billing.services.payment_states import PaymentState
from billing.services.selection import MOST_SEATS
from catalog.models import BillingPeriod
from catalog.money import amount_string


class IdField(serializers.UUIDField):
    """An id as a client sends it: text. DRF would read the number 5 as a UUID too."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class QuantityField(serializers.IntegerField):
    """A number of seats: a number, not a text of digits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=MOST_SEATS, **options)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "decimal", "examples": ["29.00"]})
class AmountField(serializers.Field):
    """An amount as a string with its currency's own number of places."""

    def __init__(self, column: str = "amount", **options: Any) -> None:
        self.column = column
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, row: Any) -> str:
        owner = row.invoice if isinstance(row, InvoiceLineItem) else row
        return amount_string(getattr(row, self.column), owner.currency)


@extend_schema_field({"type": "number", "format": "double", "examples": [29.0]})
class DisplayAmountField(AmountField):
    """The same as a number, for display only: the contract's one exception."""

    def to_representation(self, row: Any) -> float:
        return float(super().to_representation(row))


class NullableTextField(serializers.CharField):
    """Text that is null where there is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: str) -> str | None:
        return value or None


@cache
def _ready(kind: type[serializers.BaseSerializer]) -> Any:
    return kind()


def checked(kind: type[serializers.BaseSerializer], data: Any) -> dict[str, Any]:
    """
    What a client sent, checked and converted as ``kind`` says. One of each kind is kept, as below.

    :raises serializers.ValidationError: with every fault, by field
    """
    return _ready(kind).run_validation(data)


def shape(kind: type[serializers.BaseSerializer], row: Any) -> dict[str, Any]:
    """
    One row in the shape that ``kind`` describes.

    A serializer makes all its fields anew whenever one is made, and asks of each value what kind
    of thing it is. For output that is the same each time, so it is found out once for each kind:
    that is a third of a checkout's own time.
    """
    return _shaper(kind)(row)


@cache
def _shaper(kind: type[serializers.BaseSerializer]) -> Callable[[Any], dict[str, Any]]:
    return _shaper_of(_ready(kind))


def _shaper_of(serializer: Any) -> Callable[[Any], dict[str, Any]]:
    """What the serializer's ``to_representation`` does, for attributes that are plain values."""
    if type(serializer).to_representation is not serializers.Serializer.to_representation:
        return serializer.to_representation  # ModelSerializer has none of its own
    parts = [
        (field.field_name, _reader(field), _writer(field)) for field in serializer._readable_fields
    ]

    def shaped(row: Any) -> dict[str, Any]:
        answer = {}
        for name, read, write in parts:
            value = read(row)
            answer[name] = None if value is None else write(value)
        return answer

    return shaped


def _reader(field: serializers.Field) -> Callable[[Any], Any]:
    return attrgetter(field.source) if field.source_attrs else lambda row: row


def _writer(field: Any) -> Callable[[Any], Any]:
    if isinstance(field, serializers.ListSerializer):
        shape_one = _shaper_of(field.child)
        return lambda rows: [shape_one(row) for row in rows.all()]
    if isinstance(field, serializers.Serializer):
        return _shaper_of(field)
    return field.to_representation


class SubscribedPlanSerializer(serializers.Serializer):
    """The plan as it was agreed on; only the slug is the catalogue's."""

    id = serializers.UUIDField(source="plan_id")
    name = serializers.CharField()
    slug = serializers.CharField(source="plan.slug")
    price = AmountField()
    currency = serializers.CharField()
    billing_period = serializers.ChoiceField(BillingPeriod.choices)


class SubscribedPlanForDisplaySerializer(SubscribedPlanSerializer):
    price = DisplayAmountField()


class SubscriptionSerializer(serializers.ModelSerializer):
    tarif_plan_id = serializers.UUIDField(source="plan_id")
    pending_plan_id = serializers.UUIDField(allow_null=True)
    status = serializers.SerializerMethodField()
    payment_state = serializers.SerializerMethodField()
    is_valid = serializers.SerializerMethodField()
    days_remaining = serializers.SerializerMethodField()
    plan = SubscribedPlanSerializer(source="*")

    class Meta:
        model = Subscription
        fields = ["id", "user_id", "tarif_plan_id", "pending_plan_id", "status", "is_valid"] + [
            "days_remaining",
            "payment_state",
            "quantity",
            "pending_quantity",
            "trial_ends_at",
            "started_at",
            "expires_at",
            "cancelled_at",
            "paused_at",
            "created_at",
            "plan",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(SubscriptionStatus.choices))
    def get_status(self, subscription: Subscription) -> str:
        return payment_states.status_at(subscription, moments.now())

    @extend_schema_field(serializers.ChoiceField(PaymentState.choices))
    def get_payment_state(self, subscription: Subscription) -> str:
        return payment_states.of(subscription)

    # Not a method of DRF's: the key of the contract has the name of one.
    def get_is_valid(self, subscription: Subscription) -> bool:
        return subscription.is_valid_at(moments.now())

    def get_days_remaining(self, subscription: Subscription) -> int | None:
        return subscription.days_remaining_at(moments.now())


class SubscriptionForDisplaySerializer(SubscriptionSerializer):
    plan = SubscribedPlanForDisplaySerializer(source="*")


class LineItemSerializer(serializers.ModelSerializer):
    unit_price = AmountField("unit_price")
    amount = AmountField()

    class Meta:
        model = InvoiceLineItem
        fields = ["id", "invoice_id", "type", "item_id", "description", "quantity"] + [
            "unit_price",
            "amount",
            "period_start",
            "period_end",
        ]
        read_only_fields = fields


class InvoiceSerializer(serializers.ModelSerializer):
    tarif_plan_id = serializers.UUIDField(source="plan_id", allow_null=True)
    subscription_id = serializers.UUIDField(allow_null=True)
    invoice_number = serializers.CharField(source="number")
    amount = AmountField("total_amount")
    subtotal = AmountField("subtotal")
    tax_amount = AmountField("tax_amount")
    total_amount = AmountField("total_amount")
    payment_method = NullableTextField()
    payment_ref = NullableTextField()
    is_payable = serializers.BooleanField()
    line_items = LineItemSerializer(many=True)

    class Meta:
        model = Invoice
        fields = ["id", "user_id", "tarif_plan_id", "subscription_id", "invoice_number"] + [
            "amount",
            "subtotal",
            "tax_amount",
            "total_amount",
            "currency",
            "status",
            "reason",
            "payment_method",
            "payment_ref",
            "is_payable",
            "line_items",
            "invoiced_at",
            "paid_at",
            "expires_at",
        ]
        read_only_fields = fields


class PurchaseSerializer(serializers.ModelSerializer):
    price = AmountField()

    class Meta:
        model = TokenBundlePurchase
        fields = ["id", "user_id", "bundle_id", "invoice_id", "status", "tokens_credited"] + [
            "token_amount",
            "price",
            "currency",
            "created_at",
            "completed_at",
        ]
        read_only_fields = fields


class AddOnSubscriptionSerializer(serializers.ModelSerializer):
    addon_id = serializers.UUIDField(source="add_on_id")
    status = serializers.ChoiceField(SubscriptionStatus.choices)
    is_valid = serializers.SerializerMethodField()
    starts_at = serializers.DateTimeField(source="started_at", allow_null=True)

    class Meta:
        model = AddOnSubscription
        fields = ["id", "user_id", "addon_id", "subscription_id", "invoice_id", "status"] + [
            "is_valid",
            "quantity",
            "starts_at",
            "expires_at",
            "cancelled_at",
            "created_at",
        ]
        read_only_fields = fields

    def get_is_valid(self, add_on: AddOnSubscription) -> bool:
        return add_on.is_valid_at(moments.now())


class TokenTransactionSerializer(serializers.ModelSerializer):
    class Meta:
        model = TokenTransaction
        fields = ["id", "amount", "transaction_type", "reference_id", "description"] + [
            "balance_after",
            "created_at",
        ]
        read_only_fields = fields
