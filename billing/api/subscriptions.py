"""The customer's own subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import SubscriptionForDisplaySerializer, SubscriptionSerializer, shape
from billing.models import Subscription
from billing.services import subscriptions
from config.parameters import path_id

ChangedSubscription = inline_serializer(
    "ChangedSubscription",
    {"subscription": SubscriptionSerializer(), "message": serializers.CharField()},
)


@extend_schema(tags=["subscriptions"])
class SubscriptionViewSet(viewsets.ViewSet):
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
        row = _own(request).running(timezone.now()).order_by("-started_at").first()
        return Response({"subscription": row and shape(SubscriptionForDisplaySerializer, row)})

    @extend_schema(operation_id="subscription_cancel", request=None, responses=ChangedSubscription)
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel: it runs on to the end of what is paid for."""
        return _change(request, pk, subscriptions.cancel, "Subscription cancelled.")

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
    row = _own(request).filter(pk=path_id(pk)).first()
    if row is None:
        raise Http404
    changed = change(subscription=row, now=timezone.now())
    return Response({"subscription": shape(SubscriptionSerializer, changed), "message": message})
