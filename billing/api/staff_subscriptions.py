"""Subscriptions in the staff area."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import TextField
from accounts.api.staff import StaffView
from accounts.models import User
from billing.api import changes
from billing.api.serializers import (
    IdField,
    InvoiceSerializer,
    QuantityField,
    SubscriptionSerializer,
    checked,
    shape,
)
from billing.api.staff_invoices import (
    ReasonSerializer,
    RefundSerializer,
    StaffInvoiceSerializer,
    kept_tokens,
)
from billing.models import Invoice, Subscription
from billing.models.subscription import SubscriptionStatus
from billing.services import staff_changes, staff_subscriptions
from config.errors import DomainError
from config.pagination import SliceParameters
from config.parameters import path_id
from config.schema import ErrorSerializer


class CustomerNotFound(DomainError):
    code = "customer_not_found"


class SubscriptionFilterSerializer(SliceParameters):
    status = serializers.ChoiceField(SubscriptionStatus.choices, required=False)
    user_id = serializers.UUIDField(required=False)


class StaffSubscriptionSerializer(SubscriptionSerializer):
    user_email = serializers.EmailField(source="user.email")

    class Meta(SubscriptionSerializer.Meta):
        fields = [*SubscriptionSerializer.Meta.fields, "user_email", "cancel_reason"]
        read_only_fields = fields


class StartSerializer(serializers.Serializer):
    user_id = IdField()
    plan_id = IdField()
    currency = TextField(required=False, max_length=3, help_text="ISO 4217")


class CancelSerializer(ReasonSerializer):
    at_once = serializers.BooleanField(
        required=False, default=False, help_text="Or at the end of what is paid for."
    )
    credit = serializers.BooleanField(
        required=False, default=False, help_text="At once: the rest goes on account."
    )


class ChangeSerializer(ReasonSerializer):
    plan_id = IdField(required=False, allow_null=True)
    quantity = QuantityField(required=False, allow_null=True, help_text="Seats.")
    at_period_end = serializers.BooleanField(
        required=False, default=False, help_text="Or now, once the difference is paid."
    )

    def validate(self, told: dict[str, Any]) -> dict[str, Any]:
        if told.get("plan_id") is None and told.get("quantity") is None:
            raise serializers.ValidationError({"plan_id": ["Say what to: a plan or seats."]})
        return told


class ExtendSerializer(ReasonSerializer):
    days = serializers.IntegerField(min_value=1, max_value=staff_subscriptions.MOST_DAYS)


ONE = inline_serializer("OneStaffSubscription", {"subscription": StaffSubscriptionSerializer()})
CHANGED = inline_serializer(
    "StaffChangedSubscription",
    {"subscription": StaffSubscriptionSerializer(), "message": serializers.CharField()},
)


@extend_schema(tags=["staff: subscriptions"])
class StaffSubscriptionViewSet(StaffView, viewsets.ViewSet):
    needs = {
        "list": "billing.view_subscription",
        "create": "billing.add_subscription",
        "retrieve": "billing.view_subscription",
        "activate": "billing.change_subscription",
        "cancel": "billing.change_subscription",
        "change": "billing.change_subscription",
        "extend": "billing.change_subscription",
        "refund": "billing.refund_invoice",
    }

    @extend_schema(
        operation_id="staff_subscriptions_list",
        parameters=[SubscriptionFilterSerializer],
        responses={
            200: inline_serializer(
                "StaffSubscriptions",
                {
                    "subscriptions": StaffSubscriptionSerializer(many=True),
                    "total": serializers.IntegerField(),
                    "limit": serializers.IntegerField(),
                    "offset": serializers.IntegerField(),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def list(self, request: Request) -> Response:
        """Everybody's subscriptions, newest first."""
        asked = checked(SubscriptionFilterSerializer, request.query_params)
        limit, offset = asked.pop("limit"), asked.pop("offset")
        rows = Subscription.objects.filter(**asked)
        shown = rows.select_related("user", "plan").order_by("-id")[offset : offset + limit]
        return Response(
            {
                "subscriptions": [shape(StaffSubscriptionSerializer, row) for row in shown],
                "total": rows.count(),
                "limit": limit,
                "offset": offset,
            }
        )

    @extend_schema(
        operation_id="staff_subscription_start",
        request=StartSerializer,
        responses={
            201: inline_serializer(
                "StartedSubscription",
                {
                    "subscription": StaffSubscriptionSerializer(),
                    "invoice": InvoiceSerializer(),
                    "message": serializers.CharField(),
                },
            ),
            409: ErrorSerializer,
        },
    )
    def create(self, request: Request) -> Response:
        """Order a plan for a customer: pending until its invoice is paid, active if it is free."""
        told = checked(StartSerializer, request.data)
        made = staff_subscriptions.start(
            customer=_customer(told["user_id"]),
            plan=changes.plan_of(told["plan_id"]),
            currency=told["currency"].upper() if told.get("currency") else None,
            by=request.user,
            now=timezone.now(),
        )
        made.invoice._prefetched_objects_cache = {"line_items": made.lines}
        return Response(
            {
                "subscription": shape(StaffSubscriptionSerializer, made.subscription),
                "invoice": shape(InvoiceSerializer, made.invoice),
                "message": (
                    "The subscription is active: nothing is to be paid."
                    if made.is_paid
                    else "The subscription waits for its payment."
                ),
            },
            status=201,
        )

    @extend_schema(operation_id="staff_subscription", responses=ONE)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response({"subscription": shape(StaffSubscriptionSerializer, _find(pk))})

    @extend_schema(
        operation_id="staff_subscription_activate",
        request=ReasonSerializer,
        responses={200: CHANGED, 409: ErrorSerializer},
    )
    def activate(self, request: Request, pk: str) -> Response:
        """
        Go on after a pause, take a cancellation back, or take a pending one's invoice as paid.

        The last needs the permission to take payments too.
        """
        subscription = _find(pk)
        told = checked(ReasonSerializer, request.data)
        is_payment = subscription.status == SubscriptionStatus.PENDING
        if is_payment and not request.user.has_perm("billing.take_payment"):
            raise PermissionDenied
        staff_subscriptions.activate(
            subscription=subscription, by=request.user, reason=told["reason"], now=timezone.now()
        )
        return _changed(pk, "The subscription is active.")

    @extend_schema(
        operation_id="staff_subscription_cancel", request=CancelSerializer, responses={200: CHANGED}
    )
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel at the end of what is paid for, or at once."""
        subscription = _find(pk)
        told = checked(CancelSerializer, request.data)
        staff_subscriptions.cancel(
            subscription=subscription,
            at_once=told["at_once"],
            with_credit=told["credit"],
            by=request.user,
            reason=told["reason"],
            now=timezone.now(),
        )
        return _changed(pk, "The subscription is cancelled.")

    @extend_schema(
        operation_id="staff_subscription_change",
        request=ChangeSerializer,
        responses={
            200: inline_serializer(
                "StaffSubscriptionChanged",
                {
                    "subscription": StaffSubscriptionSerializer(),
                    "invoice": InvoiceSerializer(allow_null=True),
                    "message": serializers.CharField(),
                },
            )
        },
    )
    def change(self, request: Request, pk: str) -> Response:
        """Another plan or number of seats, now or when the period ends."""
        subscription = _find(pk)
        told = checked(ChangeSerializer, request.data)
        plan_id = told.get("plan_id")
        wanted: dict[str, Any] = {
            "plan": changes.plan_of(plan_id) if plan_id else None,
            "quantity": told.get("quantity"),
            "by": request.user,
            "reason": told["reason"],
            "now": timezone.now(),
        }
        if told["at_period_end"]:
            staff_changes.change_at_period_end(subscription=subscription, **wanted)
            return _answer_of_change(pk, None, changes.AT_THE_END)
        done = staff_changes.change(subscription=subscription, **wanted)
        return _answer_of_change(pk, done.invoice, changes.message_of(done))

    @extend_schema(
        operation_id="staff_subscription_extend", request=ExtendSerializer, responses={200: CHANGED}
    )
    def extend(self, request: Request, pk: str) -> Response:
        """Give days for nothing."""
        subscription = _find(pk)
        told = checked(ExtendSerializer, request.data)
        staff_subscriptions.extend(
            subscription=subscription, **told, by=request.user, now=timezone.now()
        )
        return _changed(pk, "The subscription ends later.")

    @extend_schema(
        operation_id="staff_subscription_refund",
        request=RefundSerializer,
        responses={
            200: inline_serializer(
                "RefundedSubscription",
                {
                    "subscription": StaffSubscriptionSerializer(),
                    "invoice": StaffInvoiceSerializer(),
                    "message": serializers.CharField(),
                },
            )
        },
    )
    def refund(self, request: Request, pk: str) -> Response:
        """Refund the invoice that made it live, whole, and end at once what was on it."""
        subscription = _find(pk)
        told = checked(RefundSerializer, request.data)
        invoice = staff_subscriptions.refund(
            subscription=subscription,
            reference=told["refund_reference"],
            by=request.user,
            reason=told["reason"],
            now=timezone.now(),
        )
        return Response(
            {
                "subscription": shape(StaffSubscriptionSerializer, _find(pk)),
                "invoice": shape(StaffInvoiceSerializer, invoice),
                "message": f"The subscription is refunded.{kept_tokens(invoice)}",
            }
        )


def _changed(pk: str, message: str) -> Response:
    shown = shape(StaffSubscriptionSerializer, _find(pk))
    return Response({"subscription": shown, "message": message})


def _answer_of_change(pk: str, invoice: Invoice | None, message: str) -> Response:
    return Response(
        {
            "subscription": shape(StaffSubscriptionSerializer, _find(pk)),
            "invoice": invoice and shape(InvoiceSerializer, invoice),
            "message": message,
        }
    )


def _find(pk: str) -> Subscription:
    rows = Subscription.objects.select_related("user", "plan")
    subscription = rows.filter(pk=path_id(pk)).first()
    if subscription is None:
        raise Http404
    return subscription


def _customer(pk: Any) -> User:
    customer = User.objects.select_related("billing_details").filter(pk=pk).first()
    if customer is None:
        raise CustomerNotFound(f"user_id: there is no account {pk}.")
    return customer
