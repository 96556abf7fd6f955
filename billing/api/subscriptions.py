"""The customer's own subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import moments
from billing.api.changes import find
from billing.api.moments import OwnTime
from billing.api.serializers import (
    SubscriptionForDisplaySerializer,
    SubscriptionSerializer,
    checked,
    shape,
)
from billing.models import Subscription
from billing.services import endings, subscriptions


class CancellationSerializer(serializers.Serializer):
    at_once = serializers.BooleanField(
        required=False, default=False, help_text="Or at the end of what is paid for."
    )
    credit = serializers.BooleanField(
        required=False, default=False, help_text="At once: the rest goes on account."
    )


ChangedSubscription = inline_serializer(
    "ChangedSubscription",
    {"subscription": SubscriptionSerializer(), "message": serializers.CharField()},
)


@extend_schema(tags=["subscriptions"])
class SubscriptionViewSet(OwnTime, viewsets.ViewSet):
    @extend_schema(
        operation_id="subscriptions_list",
        responses=inline_serializer(
            "Subscriptions", {"subscriptions": SubscriptionSerializer(many=True)}
        ),
    )
    def list(self, request: Request) -> Response:
        """All of the customer's subscriptions, newest first."""
        rows = _own(request).order_by("-id")
        return Response({"subscriptions": [shape(SubscriptionSerializer, row) for row in rows]})

    @extend_schema(
        operation_id="subscriptions_active",
        responses=inline_serializer(
            "ActiveSubscription",
            {"subscription": SubscriptionForDisplaySerializer(allow_null=True)},
        ),
    )
    def active(self, request: Request) -> Response:
        """The one that is running: live, or cancelled with some of the paid time left."""
        row = _own(request).running(moments.now()).order_by("-started_at").first()
        return Response({"subscription": row and shape(SubscriptionForDisplaySerializer, row)})

    @extend_schema(
        operation_id="subscription_cancel",
        request=CancellationSerializer,
        responses=ChangedSubscription,
    )
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel: it runs on to the end of what is paid for, or ends at once."""
        told = checked(CancellationSerializer, request.data)
        cancel = partial(endings.cancel, at_once=told["at_once"], with_credit=told["credit"])
        return _change(request, pk, cancel, "Subscription cancelled.")

    @extend_schema(
        operation_id="subscription_uncancel", request=None, responses=ChangedSubscription
    )
    def uncancel(self, request: Request, pk: str) -> Response:
        """Take the cancellation back, as long as it still runs."""
        return _change(request, pk, endings.uncancel, "Subscription goes on.")

    @extend_schema(operation_id="subscription_pause", request=None, responses=ChangedSubscription)
    def pause(self, request: Request, pk: str) -> Response:
        """Stop the clock: no use, and no time lost."""
        return _change(request, pk, subscriptions.pause, "Subscription paused.")

    @extend_schema(operation_id="subscription_resume", request=None, responses=ChangedSubscription)
    def resume(self, request: Request, pk: str) -> Response:
        """Go on: the period is as much longer as the pause was."""
        return _change(request, pk, subscriptions.resume, "Subscription resumed.")


def _own(request: Request) -> Any:
    return Subscription.objects.filter(user=request.user).select_related("plan")


def _change(
    request: Request, pk: str, change: Callable[..., Subscription], message: str
) -> Response:
    changed = change(subscription=find(request, pk), now=moments.now())
    return Response({"subscription": shape(SubscriptionSerializer, changed), "message": message})
