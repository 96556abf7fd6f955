"""What the items of the catalogue bring in, beside them in their lists."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, Count, F, IntegerField, OuterRef, QuerySet, Sum, TextField, When
from django.db.models.functions import Cast, JSONObject
from django.http import HttpRequest
from django.utils import timezone

from billing.admin.columns import NOTHING
from billing.models import AddOnSubscription, Subscription, TokenBundlePurchase
from catalog.models import AddOn, Plan
from catalog.money import Money

# As everywhere, in twelfths of a month: see docs/billing-rules.md, "Figures".
_TWELFTHS = Case(
    When(billing_period="weekly", then=52),
    When(billing_period="monthly", then=12),
    When(billing_period="quarterly", then=4),
    When(billing_period="yearly", then=1),
    default=0,
    output_field=IntegerField(),
)


class ItemFigures:
    """Live subscribers, and what they bring in a month; of bundles, how many were sold."""

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        shown = list(super().get_list_display(request))  # type: ignore[misc]
        own = ["sold"] if not self._is_subscribed_to() else ["live_subscribers", "monthly_value"]
        after_prices = shown.index("current_prices") + 1
        return (*shown[:after_prices], *own, *shown[after_prices:])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)  # type: ignore[misc]
        return rows.annotate(figures=ArraySubquery(self._figures()))

    def _is_subscribed_to(self) -> bool:
        return self.model in (Plan, AddOn)  # type: ignore[attr-defined]

    def _figures(self) -> QuerySet[Any]:
        """One object per currency; amounts as text, because JSON's numbers are not exact."""
        item = OuterRef("pk")
        if not self._is_subscribed_to():
            sold = TokenBundlePurchase.objects.filter(
                bundle=item, status=TokenBundlePurchase.Status.COMPLETED
            )
            return _by_currency(sold, F("amount"))
        running: QuerySet[Any]
        now = timezone.now()  # whose time is over is none, as on the dashboard
        if self.model is Plan:  # type: ignore[attr-defined]
            running = Subscription.objects.live().running(now).filter(plan=item)
        else:
            running = AddOnSubscription.objects.live().running(now).filter(add_on=item)
        return _by_currency(running, F("amount") * _TWELFTHS)

    @admin.display(description="Live subscribers")
    def live_subscribers(self, item: Any) -> int:
        return sum(figure["count"] for figure in item.figures)

    @admin.display(description="Monthly value")
    def monthly_value(self, item: Any) -> str:
        amounts = (
            Money.rounded(Decimal(figure["total"]) / 12, figure["currency"])
            for figure in sorted(item.figures, key=lambda figure: figure["currency"])
        )
        return ", ".join(amount.for_people() for amount in amounts) or NOTHING

    @admin.display(description="Sold")
    def sold(self, item: Any) -> int:
        return sum(figure["count"] for figure in item.figures)


def _by_currency(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
    return (
        rows.order_by()
        .values("currency")
        .annotate(
            figure=JSONObject(
                currency="currency", count=Count("pk"), total=Cast(Sum(value), TextField())
            )
        )
        .values("figure")
    )
