"""The lists behind the dashboard's figures: their addresses, and the filters that these need."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    Invoice,
    Payment,
    Subscription,
    TokenAccount,
    TokenBundlePurchase,
    TokenTransaction,
)
from billing.services.analytics import cash, recurring, spans
from billing.services.analytics.recurring import Kind
from catalog.models import BillingPeriod
from catalog.money import known_currencies

NOW = "now"
RECURRING = ",".join(p.value for p in BillingPeriod if p != BillingPeriod.ONE_TIME)


class Lists:
    """Addresses of lists; empty for what whoever asks may not open."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._may_open: dict[type[Model], bool] = {}

    def of_mrr(self, *, currency: str, at: datetime | None = None) -> str:
        return self._address(
            Subscription, currency=currency, billing_period__in=RECURRING, running_at=_moment(at)
        )

    def of_subscriptions(self, *, at: datetime | None = None, **more: Any) -> str:
        return self._address(Subscription, running_at=_moment(at), **more)

    def of_movement(
        self, *, kind: Kind, start: datetime, end: datetime, currency: str | None = None
    ) -> str:
        """What the customers have who moved so."""
        movement = MovementFilter.value_for(kind, start, end)
        in_currency = {"currency": currency} if currency else {}
        return self._address(Subscription, movement=movement, **in_currency)

    def of_payments(self, *, column: str, currency: str, start: datetime, end: datetime) -> str:
        """
        Payments of invoices.

        :param column: ``received_at`` or ``refunded_at``
        """
        return self._address(
            Payment, currency=currency, invoice__isnull=False, **_within(column, start, end)
        )

    def of_unmatched(self, *, currency: str | None = None) -> str:
        in_currency = {"currency": currency} if currency else {}
        return self._address(Payment, status__exact=Payment.Status.UNMATCHED.value, **in_currency)

    def of_receivables(self, *, currency: str, age: cash.Age) -> str:
        issued = {"invoiced_at__gte": age.since, "invoiced_at__lt": age.until}
        return self._address(
            Invoice,
            currency=currency,
            status__in=",".join(status.value for status in cash.OPEN),
            **{lookup: str(moment) for lookup, moment in issued.items() if moment},
        )

    def of_tokens_sold(self, *, start: datetime, end: datetime) -> str:
        return self._address(TokenBundlePurchase, **_within("completed_at", start, end))

    def of_tokens_used(self, *, start: datetime, end: datetime) -> str:
        return self._address(TokenAccount, used=UsedFilter.value_for(start, end))

    def of_registrations(self, *, start: datetime, end: datetime) -> str:
        return self._address(User, is_staff__exact=0, **_within("created_at", start, end))

    def _address(self, model: type[Model], **query: Any) -> str:
        if model not in self._may_open:
            owner = admin.site.get_model_admin(model)
            self._may_open[model] = owner.has_view_permission(self._request)
        if not self._may_open[model]:
            return ""
        meta = model._meta
        page = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        return f"{page}?{urlencode(query)}"


class RunningFilter(admin.SimpleListFilter):
    """What ran at a moment: what the figures of that moment count."""

    title = "counted in figures"
    parameter_name = "running_at"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [(NOW, "Runs now")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        at = timezone.now() if self.value() == NOW else _parse(self.value())
        of_add_ons = queryset.model is AddOnSubscription
        runs = recurring.add_on_runs if of_add_ons else recurring.subscription_runs
        return queryset.filter(runs(at=at))


class MovementFilter(admin.SimpleListFilter):
    """What the customers have whose MRR moved so, in the currency that is chosen beside it."""

    title = "movement of MRR"
    parameter_name = "movement"

    @classmethod
    def value_for(cls, kind: Kind, start: datetime, end: datetime) -> str:
        return f"{kind.value}_{start.isoformat()}_{end.isoformat()}"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [(kind.value, f"{kind.value.capitalize()} this month") for kind in Kind]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        kind, _separator, period = self.value().partition("_")
        if kind not in list(Kind):
            raise IncorrectLookupParameters
        now = timezone.now()
        if period:
            start, end = _parse_two(period)
        else:
            first_on = spans.today(now=now).replace(day=1)
            start, end = spans.midnight(day=first_on), now
        currency = request.GET.get("currency") or None
        if not period and not currency:
            currency = settings.BILLING_DEFAULT_CURRENCY
        if currency and currency not in known_currencies():
            raise IncorrectLookupParameters
        moved = recurring.customers_moved(kind=Kind(kind), currency=currency, start=start, end=end)
        return queryset.filter(user_id__in=moved)


class UsedFilter(admin.SimpleListFilter):
    """Balances of customers who used tokens in a period."""

    title = "tokens used"
    parameter_name = "used"

    @classmethod
    def value_for(cls, start: datetime, end: datetime) -> str:
        return f"{start.isoformat()}_{end.isoformat()}"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        now = timezone.now()
        week = spans.last_days(days=7, now=now)
        return [(self.value_for(week.start, spans.midnight(day=week.tomorrow)), "Last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        start, end = _parse_two(self.value())
        usage = TokenTransaction.objects.filter(
            account=OuterRef("pk"),
            transaction_type=TokenTransaction.Type.USAGE,
            created_at__gte=start,
            created_at__lt=end,
        )
        return queryset.filter(Exists(usage))


def _within(column: str, start: datetime, end: datetime) -> dict[str, str]:
    return {f"{column}__gte": str(start), f"{column}__lt": str(end)}


def _moment(at: datetime | None) -> str:
    return at.isoformat() if at else NOW


def _parse(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise IncorrectLookupParameters from None
    if moment.tzinfo is None:
        raise IncorrectLookupParameters
    return moment


def _parse_two(text: str) -> tuple[datetime, datetime]:
    start, _separator, end = text.partition("_")
    found = _parse(start), _parse(end)
    if found[0] > found[1]:
        raise IncorrectLookupParameters
    return found
