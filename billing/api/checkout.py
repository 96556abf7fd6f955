"""POST /user/checkout."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.request import Request

from billing.api import moments
from billing.api.moments import OwnTime
from billing.api.serializers import (
    AddOnSubscriptionSerializer,
    IdField,
    InvoiceSerializer,
    PurchaseSerializer,
    QuantityField,
    SubscriptionSerializer,
    checked,
    shape,
)
from billing.services import checkout, idempotency
from billing.services.checkout import Checkout
from billing.services.selection import Order
from config.errors import DomainError
from config.schema import ErrorSerializer

AWAITING = "Checkout created. Awaiting payment."
AWAITING_TRIAL = "Checkout created. Your trial of {} begins when it is paid."
TRIAL = "Checkout completed. Your trial of {} has begun: there is nothing to pay until it is over."
PAID = "Checkout completed. There is nothing to pay: everything is active."
KEY_LENGTH = 255
MAX_IDS = 100  # of one kind; how many items may be bought is the service's rule


class InvalidIdempotencyKey(DomainError):
    code = "invalid_idempotency_key"


class QuantitiesField(serializers.DictField):
    """
    A number for each of some ids.

    DRF takes any text for a key, and a child that fails is named by it.
    """

    child = QuantityField()

    def to_internal_value(self, data: Any) -> dict[UUID, int]:
        counts = super().to_internal_value(data)
        if len(counts) > MAX_IDS:
            raise serializers.ValidationError(f"It has more than {MAX_IDS} ids.")
        ids = IdField()
        return {ids.run_validation(name): count for name, count in counts.items()}


class CheckoutRequestSerializer(serializers.Serializer):
    plan_id = IdField(required=False, allow_null=True)
    token_bundle_ids = serializers.ListField(child=IdField(), required=False, max_length=MAX_IDS)
    add_on_ids = serializers.ListField(child=IdField(), required=False, max_length=MAX_IDS)
    quantity = QuantityField(required=False, allow_null=True, help_text="Seats of the plan.")
    add_on_quantities = QuantitiesField(
        required=False, allow_null=True, help_text="Of add-ons that are bought more than once."
    )
    currency = serializers.CharField(
        required=False, allow_null=True, max_length=3, help_text="ISO 4217"
    )
    coupon_code = serializers.CharField(
        required=False, allow_null=True, max_length=50, help_text="In any case of letters."
    )


class CheckoutSerializer(serializers.Serializer):
    subscription = SubscriptionSerializer(allow_null=True)
    invoice = InvoiceSerializer()
    token_bundles = PurchaseSerializer(many=True)
    add_ons = AddOnSubscriptionSerializer(many=True)
    message = serializers.CharField()


class CheckoutViewSet(OwnTime, viewsets.ViewSet):
    @extend_schema(
        tags=["checkout"],
        operation_id="checkout",
        request=CheckoutRequestSerializer,
        responses={201: CheckoutSerializer, 409: ErrorSerializer, 422: ErrorSerializer},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="1 to 255 printable characters: the same key gives the same answer.",
            )
        ],
    )
    def create(self, request: Request) -> HttpResponse:
        """Buy a plan, bundles of tokens and add-ons in one call."""
        order = _order(checked(CheckoutRequestSerializer, request.data))

        def answer(made: Checkout) -> idempotency.Answer:
            return idempotency.Answer(201, orjson.dumps(_body(made)))

        given = checkout.place(
            user=request.user,
            order=order,
            key=_key(request, order),
            answer=answer,
            now=moments.now(),
        )
        response = HttpResponse(
            given.body, status=given.status_code, content_type="application/json"
        )
        if given.is_replay:
            response["Idempotency-Replayed"] = "true"
        return response


def _order(chosen: dict[str, Any]) -> Order:
    currency = chosen.get("currency")
    return Order(
        plan_id=chosen.get("plan_id"),
        token_bundle_ids=tuple(chosen.get("token_bundle_ids", ())),
        add_on_ids=tuple(chosen.get("add_on_ids", ())),
        currency=currency.upper() if currency else None,
        quantity=chosen.get("quantity") or 1,
        add_on_quantities=chosen.get("add_on_quantities") or {},
        coupon_code=chosen.get("coupon_code"),
    )


def _key(request: Request, order: Order) -> idempotency.Key | None:
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not (0 < len(text) <= KEY_LENGTH and text.isascii() and text.isprintable()):
        raise InvalidIdempotencyKey("Idempotency-Key must be 1 to 255 printable characters.")
    return idempotency.Key.of(
        user_id=request.user.id, text=text, content=json.dumps(order.as_json())
    )


def _body(made: Checkout) -> dict[str, Any]:
    invoice = made.invoice
    # The lines are at hand: reading them back would be a statement more.
    invoice._prefetched_objects_cache = {"line_items": made.lines}
    subscription = made.subscription
    return {
        "subscription": subscription and shape(SubscriptionSerializer, subscription),
        "invoice": shape(InvoiceSerializer, invoice),
        "token_bundles": [shape(PurchaseSerializer, row) for row in made.purchases],
        "add_ons": [shape(AddOnSubscriptionSerializer, row) for row in made.add_ons],
        "message": _message(made),
    }


def _message(made: Checkout) -> str:
    subscription = made.subscription
    if subscription and subscription.trial_days:
        days = subscription.trial_days
        said = TRIAL if made.is_paid else AWAITING_TRIAL
        return said.format("1 day" if days == 1 else f"{days} days")
    return PAID if made.is_paid else AWAITING
