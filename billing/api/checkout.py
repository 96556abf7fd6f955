"""POST /user/checkout."""

from __future__ import annotations

import json
from typing import Any

import orjson
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.request import Request

from billing.api.serializers import (
    AddOnSubscriptionSerializer,
    IdField,
    InvoiceSerializer,
    PurchaseSerializer,
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
PAID = "Checkout completed. There is nothing to pay: everything is active."
KEY_LENGTH = 255
MAX_IDS = 100  # of one kind; how many items may be bought is the service's rule


class InvalidIdempotencyKey(DomainError):
    code = "invalid_idempotency_key"


class CheckoutRequestSerializer(serializers.Serializer):
    plan_id = IdField(required=False, allow_null=True)
    token_bundle_ids = serializers.ListField(child=IdField(), required=False, max_length=MAX_IDS)
    add_on_ids = serializers.ListField(child=IdField(), required=False, max_length=MAX_IDS)
    currency = serializers.CharField(
        required=False, allow_null=True, max_length=3, help_text="ISO 4217"
    )


class CheckoutSerializer(serializers.Serializer):
    subscription = SubscriptionSerializer(allow_null=True)
    invoice = InvoiceSerializer()
    token_bundles = PurchaseSerializer(many=True)
    add_ons = AddOnSubscriptionSerializer(many=True)
    message = serializers.CharField()


class CheckoutViewSet(viewsets.ViewSet):
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
            now=timezone.now(),
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
        "message": PAID if made.is_paid else AWAITING,
    }
