"""The customer's own subscriptions: another plan, more or fewer seats, and what that costs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import moments
from billing.api.moments import OwnTime
from billing.api.serializers import (
    IdField,
    InvoiceSerializer,
    QuantityField,
    SubscriptionSerializer,
    checked,
    shape,
)
from billing.models import AddOnSubscription, Invoice, Subscription
from billing.services import changes, customer_credit
from billing.services.changes import Requested
from billing.services.selection import AddOnNotFound, PlanNotFound
from catalog.models import Plan
from config.parameters import path_id

APPLIED = "The change has taken effect."
AT_THE_END = "The subscription changes when its period ends."
AS_IT_IS = "The subscription stays as it is."
TO_BE_PAID = "The change takes effect when its invoice is paid."


class UpgradeSerializer(serializers.Serializer):
    plan_id = IdField()
    quantity = QuantityField(required=False, allow_null=True, help_text="Without: as many seats.")


class DowngradeSerializer(serializers.Serializer):
    plan_id = IdField(help_text="The plan that it has takes an earlier wish back.")


class QuantitySerializer(serializers.Serializer):
    quantity = QuantityField()
    add_on_subscription_id = IdField(
        required=False, allow_null=True, help_text="Where it is an add-on's."
    )


class QuoteParameters(serializers.Serializer):
    """As they stand in an address: a quantity is text there."""

    new_plan_id = serializers.UUIDField(required=False)
    quantity = serializers.IntegerField(
        required=False, help_text="Without new_plan_id: so many seats of the plan that it has."
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not asked:
            raise serializers.ValidationError({"new_plan_id": ["Say what to: a plan or seats."]})
        return asked


class QuoteSerializer(serializers.Serializer):
    """``amount_due`` is charge − credit, at least zero; ``to_pay`` is less what is on account."""

    credit = serializers.CharField()
    charge = serializers.CharField()
    amount_due = serializers.CharField()
    to_pay = serializers.CharField()
    new_amount = serializers.CharField(source="value")
    currency = serializers.CharField(source="charge.currency")
    days_remaining = serializers.IntegerField(allow_null=True)
    begins_new_period = serializers.BooleanField()
    takes_effect = serializers.ChoiceField(["now", "period_end"])


class BalanceSerializer(serializers.Serializer):
    amount = serializers.CharField(source="*")
    currency = serializers.CharField()


Changed = inline_serializer(
    "SubscriptionChanged",
    {
        "subscription": SubscriptionSerializer(),
        "invoice": InvoiceSerializer(allow_null=True),
        "message": serializers.CharField(),
    },
)


@extend_schema(tags=["subscriptions"])
class ChangeViewSet(OwnTime, viewsets.ViewSet):
    @extend_schema(
        operation_id="subscription_upgrade", request=UpgradeSerializer, responses=Changed
    )
    def upgrade(self, request: Request, pk: str) -> Response:
        """Move to another plan now: the difference is to be paid first, where there is one."""
        subscription = find(request, pk)
        told = checked(UpgradeSerializer, request.data)
        done = changes.request(
            subscription=subscription,
            plan=plan_of(told["plan_id"]),
            quantity=told.get("quantity"),
            now=moments.now(),
        )
        return _answer(done.subscription, done.invoice, message_of(done))

    @extend_schema(
        operation_id="subscription_downgrade", request=DowngradeSerializer, responses=Changed
    )
    def downgrade(self, request: Request, pk: str) -> Response:
        """Move to another plan when the period ends: nothing is charged and nothing given back."""
        subscription = find(request, pk)
        told = checked(DowngradeSerializer, request.data)
        changed = changes.at_period_end(
            subscription=subscription, plan=plan_of(told["plan_id"]), now=moments.now()
        )
        is_other = changed.pending_plan_id is not None
        return _answer(changed, None, AT_THE_END if is_other else AS_IT_IS)

    @extend_schema(
        operation_id="subscription_quantity", request=QuantitySerializer, responses=Changed
    )
    def quantity(self, request: Request, pk: str) -> Response:
        """More or fewer seats now: the difference is to be paid first, or goes on account."""
        subscription = find(request, pk)
        told = checked(QuantitySerializer, request.data)
        done = changes.request(
            subscription=subscription,
            quantity=told["quantity"],
            add_on=add_on_of(subscription, told.get("add_on_subscription_id")),
            now=moments.now(),
        )
        return _answer(done.subscription, done.invoice, message_of(done))

    @extend_schema(
        operation_id="subscription_proration",
        parameters=[QuoteParameters],
        responses=inline_serializer("Proration", {"proration": QuoteSerializer()}),
    )
    def proration(self, request: Request, pk: str) -> Response:
        """What upgrading, or another number of seats, would charge at this moment."""
        subscription = find(request, pk)
        asked = checked(QuoteParameters, request.query_params)
        plan_id = asked.get("new_plan_id")
        quote = changes.quote(
            subscription=subscription,
            plan=plan_of(plan_id) if plan_id else None,
            quantity=asked.get("quantity"),
            now=moments.now(),
        )
        return Response({"proration": shape(QuoteSerializer, quote)})

    @extend_schema(
        operation_id="credit",
        responses=inline_serializer("Credit", {"credit": BalanceSerializer(many=True)}),
    )
    def credit(self, request: Request) -> Response:
        """What is left on account, by currency: the next invoices use it."""
        left = customer_credit.balances(user_id=request.user.pk)
        return Response({"credit": [shape(BalanceSerializer, money) for money in left]})


def message_of(done: Requested) -> str:
    if done.quote.takes_effect == "period_end":
        return AT_THE_END
    return APPLIED if done.is_applied else TO_BE_PAID


def find(request: Request, pk: str) -> Subscription:
    rows = Subscription.objects.filter(user=request.user).select_related("plan")
    subscription = rows.filter(pk=path_id(pk)).first()
    if subscription is None:
        raise Http404
    return subscription


def plan_of(plan_id: UUID) -> Plan:
    """
    The plan that a client names.

    :raises PlanNotFound: if there is none
    """
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None:
        raise PlanNotFound(f"plan_id: plan {plan_id} not found.")
    return plan


def add_on_of(subscription: Subscription, pk: UUID | None) -> AddOnSubscription | None:
    """
    The add-on that a client names, None where it names none.

    :raises AddOnNotFound: if the subscription has none of this id
    """
    if pk is None:
        return None
    add_on = AddOnSubscription.objects.filter(subscription=subscription, pk=pk).first()
    if add_on is None:
        raise AddOnNotFound(f"add_on_subscription_id: add-on {pk} not found.")
    return add_on


def _answer(subscription: Subscription, invoice: Invoice | None, message: str) -> Response:
    return Response(
        {
            "subscription": shape(SubscriptionSerializer, subscription),
            "invoice": invoice and shape(InvoiceSerializer, invoice),
            "message": message,
        }
    )
