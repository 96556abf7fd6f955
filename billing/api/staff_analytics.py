"""How the business stands, for staff: the last 30 days held against the 30 before them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.staff import StaffView
from billing.api.serializers import AmountField
from billing.services.analytics import recurring, spans, summary
from billing.services.analytics.summary import Figure, Summary
from catalog.money import Money, require_in_use
from config.schema import ErrorSerializer

DAYS = 30
CHANGE = "Against the 30 days before; null where there was nothing then."


class CurrencyParameter(serializers.Serializer):
    currency = serializers.CharField(
        max_length=3, required=False, help_text="ISO 4217; the seller's default if none is given."
    )


def _figure(name: str, total: serializers.Field) -> serializers.Serializer:
    change = serializers.FloatField(allow_null=True, help_text=CHANGE)
    return inline_serializer(name, {"total": total, "change_percent": change})


def _amount(name: str, help_text: str) -> serializers.Serializer:
    return _figure(name, AmountField(help_text=help_text))


def _number(name: str, help_text: str) -> serializers.Serializer:
    return _figure(name, serializers.IntegerField(help_text=help_text))


def _rate(name: str, help_text: str) -> serializers.Serializer:
    return _figure(name, serializers.FloatField(help_text=help_text))


@extend_schema(tags=["staff: analytics"])
class AnalyticsDashboard(StaffView):
    needs = {"get": "billing.view_dashboard"}

    @extend_schema(
        operation_id="admin_analytics_dashboard",
        parameters=[CurrencyParameter],
        responses={
            200: inline_serializer(
                "AnalyticsDashboard",
                {
                    "mrr": _amount("MrrFigure", "Monthly value of what runs and recurs, now."),
                    "revenue": _amount("RevenueFigure", "Came in for invoices, less refunds."),
                    "user_growth": _number("UserGrowthFigure", "Customers who registered."),
                    "active_subscriptions": _number(
                        "ActiveSubscriptionsFigure", "Running now, in all currencies."
                    ),
                    "churn": _rate("ChurnFigure", "Percent of the recurring customers who left."),
                    "conversion": _rate("ConversionFigure", "Percent of the new ones who paid."),
                    "arpu": _amount("ArpuFigure", "MRR per customer who brings it, now."),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def get(self, request: Request) -> Response:
        """Key figures of the last 30 days. Money is in one currency, counts are over all."""
        form = CurrencyParameter(data=request.query_params)
        form.is_valid(raise_exception=True)
        currency = form.validated_data.get("currency", settings.BILLING_DEFAULT_CURRENCY)
        require_in_use(currency)
        span = spans.rolling(days=DAYS, now=timezone.now())
        return Response(_shape(summary.summarize(currency=currency, span=span)))


def _shape(found: Summary) -> dict[str, dict[str, Any]]:
    def amount(figure: Figure) -> Money:
        return recurring.money(figure.total, found.currency)

    return {
        "mrr": _with_change(str(amount(found.mrr)), found.mrr),
        "revenue": _with_change(str(amount(found.revenue)), found.revenue),
        "user_growth": _with_change(int(found.user_growth.total), found.user_growth),
        "active_subscriptions": _with_change(
            int(found.active_subscriptions.total), found.active_subscriptions
        ),
        "churn": _with_change(summary.to_one_place(found.churn.total), found.churn),
        "conversion": _with_change(summary.to_one_place(found.conversion.total), found.conversion),
        "arpu": _with_change(str(amount(found.arpu)), found.arpu),
    }


def _with_change(total: str | int | float, figure: Figure) -> dict[str, Any]:
    return {"total": total, "change_percent": figure.change_percent}
