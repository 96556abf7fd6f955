"""What belongs to a customer's subscription: its add-ons and its coupon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import TextField
from billing.api import moments
from billing.api.changes import find
from billing.api.moments import OwnTime
from billing.api.serializers import AddOnSubscriptionSerializer, checked, shape
from billing.models import AddOnSubscription, CouponRedemption
from billing.services import add_on_endings, coupon_steps, coupons
from catalog.money import amount_string
from config.parameters import path_id
from config.schema import ErrorSerializer


class CodeSerializer(serializers.Serializer):
    coupon_code = TextField(max_length=50, help_text="In any case of letters.")


class CouponSerializer(serializers.ModelSerializer):
    """``percent`` or ``amount`` of each renewal; ``periods_left`` is null for one that stays."""

    code = serializers.CharField(source="coupon.code")
    amount = serializers.SerializerMethodField()

    class Meta:
        model = CouponRedemption
        fields = ["code", "name", "percent", "amount", "currency", "periods_left", "status"]
        read_only_fields = fields

    def get_amount(self, redemption: CouponRedemption) -> str | None:
        if redemption.amount is None:
            return None
        return amount_string(redemption.amount, redemption.currency)


AddOns = inline_serializer(
    "SubscriptionAddOns", {"add_ons": AddOnSubscriptionSerializer(many=True)}
)
ChangedAddOn = inline_serializer(
    "ChangedAddOn", {"add_on": AddOnSubscriptionSerializer(), "message": serializers.CharField()}
)
OnSubscription = inline_serializer("OnSubscription", {"coupon": CouponSerializer(allow_null=True)})
ChangedCoupon = inline_serializer(
    "ChangedCoupon", {"coupon": CouponSerializer(), "message": serializers.CharField()}
)


@extend_schema(tags=["subscriptions"])
class AddOnViewSet(OwnTime, viewsets.ViewSet):
    @extend_schema(operation_id="subscription_add_ons", responses=AddOns)
    def list(self, request: Request, pk: str) -> Response:
        """All add-ons of the subscription, newest first."""
        rows = find(request, pk).add_ons.order_by("-id")
        return Response({"add_ons": [shape(AddOnSubscriptionSerializer, row) for row in rows]})

    @extend_schema(operation_id="add_on_cancel", request=None, responses=ChangedAddOn)
    def cancel(self, request: Request, pk: str, add_on_pk: str) -> Response:
        """Cancel the add-on: it runs on to the end of what is paid for, and is not renewed."""
        return self._change(request, pk, add_on_pk, add_on_endings.cancel, "Add-on cancelled.")

    @extend_schema(operation_id="add_on_uncancel", request=None, responses=ChangedAddOn)
    def uncancel(self, request: Request, pk: str, add_on_pk: str) -> Response:
        """Take the cancellation back, as long as the add-on still runs."""
        return self._change(request, pk, add_on_pk, add_on_endings.uncancel, "Add-on goes on.")

    def _change(
        self,
        request: Request,
        pk: str,
        add_on_pk: str,
        change: Callable[..., AddOnSubscription],
        message: str,
    ) -> Response:
        rows = AddOnSubscription.objects.filter(subscription=find(request, pk))
        add_on = rows.select_related("subscription").filter(pk=path_id(add_on_pk)).first()
        if add_on is None:
            raise Http404
        changed = change(add_on=add_on, now=moments.now())
        return Response({"add_on": shape(AddOnSubscriptionSerializer, changed), "message": message})


@extend_schema(tags=["subscriptions"])
class CouponViewSet(OwnTime, viewsets.ViewSet):
    @extend_schema(operation_id="subscription_coupon", responses=OnSubscription)
    def retrieve(self, request: Request, pk: str) -> Response:
        """The coupon that lessens its renewals, null where there is none."""
        redemption = coupons.of(subscription_id=find(request, pk).pk)
        return Response({"coupon": redemption and _shaped(redemption)})

    @extend_schema(
        operation_id="subscription_coupon_put_on",
        request=CodeSerializer,
        responses={201: ChangedCoupon, 409: ErrorSerializer},
    )
    def create(self, request: Request, pk: str) -> Response:
        """Put a coupon on: it lessens the next renewal."""
        subscription = find(request, pk)
        told = checked(CodeSerializer, request.data)
        redemption = coupon_steps.put_on(
            subscription=subscription, code=told["coupon_code"], now=moments.now()
        )
        answer = {"coupon": _shaped(redemption), "message": "The next renewal costs less."}
        return Response(answer, status=201)

    @extend_schema(operation_id="subscription_coupon_take_off", responses={200: ChangedCoupon})
    def destroy(self, request: Request, pk: str) -> Response:
        """Take the coupon off. It counts as used all the same."""
        redemption = coupon_steps.take_off(subscription=find(request, pk), now=moments.now())
        return Response({"coupon": _shaped(redemption), "message": "The coupon is taken off."})


def _shaped(redemption: CouponRedemption) -> dict[str, Any]:
    return shape(CouponSerializer, redemption)
