"""The first page of the admin: how the business stands, for whoever may see that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from billing.admin import plots
from billing.admin.lists_behind import Lists
from billing.services.analytics import cash, recurring, spans, summary
from billing.services.analytics.recurring import Kind
from billing.services.analytics.spans import Span
from billing.services.analytics.summary import Figure, Summary
from catalog.models import Plan, Price

PERMISSION = "billing.view_dashboard"
MONTH, QUARTER, YEAR, CUSTOM = "30d", "90d", "12m", "custom"
LONGEST = timedelta(days=3660)
EARLIEST = date(2000, 1, 1)

admin.site.index_template = "admin/dashboard.html"


class RangeForm(forms.Form):
    """What the figures are to be of. Valid without any input."""

    range = forms.ChoiceField(
        choices=[
            (MONTH, "30 days"),
            (QUARTER, "90 days"),
            (YEAR, "12 months"),
            (CUSTOM, "From – to"),
        ],
        widget=forms.RadioSelect,
    )
    currency = forms.ChoiceField()
    first = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    last = forms.DateField(
        label="To", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, data: Any, *, today: date) -> None:
        self.today = today
        given = {name: data.get(name, "") for name in ("range", "currency", "first", "last")}
        super().__init__(
            given
            | {
                "range": given["range"] or MONTH,
                "currency": given["currency"] or settings.BILLING_DEFAULT_CURRENCY,
            }
        )
        self.fields["currency"].choices = [(code, code) for code in _currencies()]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("range") == CUSTOM and not self.errors:
            self._check_days(cleaned["first"], cleaned["last"])
        return cleaned

    def _check_days(self, first: date | None, last: date | None) -> None:
        if first is None or last is None:
            self.add_error("first", "Say from which day to which.")
        elif first > last:
            self.add_error("first", "This is after the last day.")
        elif last > self.today:
            self.add_error("last", "This day is still to come.")
        elif first < EARLIEST:
            self.add_error("first", "This is before the year 2000.")
        elif last - first > LONGEST:
            self.add_error("first", "Ten years are the most that can be shown.")


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """
    :param change: in percent against the time before, None where there is nothing to compare with
    :param is_good: whether the change is; None where it is neither
    """

    label: str
    icon: str
    text: str
    hint: str
    link: str
    change: float | None = None
    is_good: bool | None = None

    @property
    def arrow(self) -> str:
        """A name of Material Symbols."""
        if not self.change:
            return "trending_flat"
        return "trending_up" if self.change > 0 else "trending_down"


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the figures to the index page: unfold's DASHBOARD_CALLBACK."""
    if not request.user.has_perm(PERMISSION):
        return context
    now = timezone.now()
    form = RangeForm(request.GET, today=spans.today(now=now))
    is_valid = form.is_valid()
    currency = form.cleaned_data.get("currency", settings.BILLING_DEFAULT_CURRENCY)
    span = _span(form.cleaned_data if is_valid else {"range": MONTH}, now)
    shown: dict[str, Any] = {"form": form, "title": "Dashboard", "subtitle": None}
    if summary.is_anything_sold():
        shown |= _figures(currency, span, Lists(request))
    else:
        shown |= {"first_steps": _first_steps(request)}
    return context | {"title": "Dashboard", "dashboard": shown}


def _span(chosen: dict[str, Any], now: datetime) -> Span:
    match chosen["range"]:
        case "90d":
            return spans.last_days(days=90, now=now)
        case "12m":
            return spans.last_months(months=12, now=now)
        case "custom":
            return spans.between(first=chosen["first"], last=chosen["last"], now=now)
    return spans.last_days(days=30, now=now)


def _figures(currency: str, span: Span, lists: Lists) -> dict[str, Any]:
    found = summary.summarize(currency=currency, span=span)
    waiting = cash.unmatched()
    return {
        "period": _period(span.start, span.end),
        "period_before": _period(span.before, span.start),
        "key_figures": [
            *_money_figures(found, span, lists),
            *_customer_figures(found, span, lists),
            _to_resolve(waiting, lists),
        ],
        "to_resolve": [
            (
                entry.amount.currency,
                plots.Cell(f"{entry.payments:,}", link),
                plots.Cell(entry.amount.for_people(), link),
            )
            for entry in waiting
            for link in [lists.of_unmatched(currency=entry.amount.currency)]
        ],
        "plots": [
            plots.mrr(currency=currency, span=span, lists=lists),
            plots.movement(currency=currency, span=span, lists=lists),
            plots.revenue(currency=currency, span=span, lists=lists),
            plots.receivables(currency=currency, now=span.now, lists=lists),
            plots.top_plans(currency=currency, span=span, lists=lists),
            plots.tokens(span=span, lists=lists),
        ],
    }


def _money_figures(found: Summary, span: Span, lists: Lists) -> list[KeyFigure]:
    currency = found.currency
    at = None if span.end >= span.now else span.end
    behind_mrr = lists.of_mrr(currency=currency, at=at)
    behind_revenue = lists.of_payments(
        column="received_at", currency=currency, start=span.start, end=span.end
    )
    mrr, revenue, arpu = (
        recurring.money(figure.total, currency).for_people()
        for figure in (found.mrr, found.revenue, found.arpu)
    )
    return [
        _rising("MRR", "autorenew", mrr, "a month, recurring", behind_mrr, found.mrr),
        _rising("Revenue", "payments", revenue, "less refunds", behind_revenue, found.revenue),
        _rising("ARPU", "person", arpu, "MRR per customer", behind_mrr, found.arpu),
    ]


def _customer_figures(found: Summary, span: Span, lists: Lists) -> list[KeyFigure]:
    at = None if span.end >= span.now else span.end
    registered = lists.of_registrations(start=span.start, end=span.end)
    left = lists.of_movement(kind=Kind.CHURN, start=span.start, end=span.end)
    churn = _percent(found.churn)
    return [
        _rising(
            "Active subscriptions",
            "subscriptions",
            f"{int(found.active_subscriptions.total):,}",
            "in all currencies",
            lists.of_subscriptions(at=at),
            found.active_subscriptions,
        ),
        _falling("Churn", "logout", churn, "of customers with MRR", left, found.churn),
        _rising(
            "New customers",
            "person_add",
            f"{int(found.user_growth.total):,}",
            "registered",
            registered,
            found.user_growth,
        ),
        _rising(
            "Conversion",
            "conversion_path",
            _percent(found.conversion),
            "of the new ones paid",
            registered,
            found.conversion,
        ),
    ]


def _to_resolve(waiting: list[cash.Unmatched], lists: Lists) -> KeyFigure:
    count = sum(entry.payments for entry in waiting)
    amounts = " + ".join(entry.amount.for_people() for entry in waiting)
    hint = f"payments, {amounts}" if waiting else "every payment has its invoice"
    link = lists.of_unmatched() if count else ""
    return KeyFigure("To resolve", "rule", f"{count:,}", hint, link)


def _rising(label: str, icon: str, text: str, hint: str, link: str, figure: Figure) -> KeyFigure:
    """A figure that is the better the greater it is."""
    change = figure.change_percent
    is_good = change > 0 if change else None
    return KeyFigure(label, icon, text, hint, link if figure.total else "", change, is_good)


def _falling(label: str, icon: str, text: str, hint: str, link: str, figure: Figure) -> KeyFigure:
    change = figure.change_percent
    is_good = change < 0 if change else None
    return KeyFigure(label, icon, text, hint, link if figure.total else "", change, is_good)


def _percent(figure: Figure) -> str:
    return f"{summary.to_one_place(figure.total):.1f} %"


def _period(start: datetime, end: datetime) -> str:
    """In words: from its first day to its last."""
    first = start.astimezone(spans.zone())
    last = (end - timedelta(microseconds=1)).astimezone(spans.zone())
    return f"{date_format(first, 'j M Y')} – {date_format(last, 'j M Y')}"


def _currencies() -> list[str]:
    """Those that anything has ever been sold in, and the seller's own."""
    codes = set(Price.objects.order_by().values_list("currency", flat=True).distinct())
    return sorted(codes | {settings.BILLING_DEFAULT_CURRENCY})


def _first_steps(request: HttpRequest) -> dict[str, Any]:
    may_add = admin.site.get_model_admin(Plan).has_add_permission(request)
    return {
        "has_prices": Price.objects.exists(),
        "add_plan": reverse("admin:catalog_plan_add") if may_add else "",
        "documentation": reverse("docs"),
        "has_demo": settings.BILLING_PAYMENT_PROVIDER == "sandbox",
    }
