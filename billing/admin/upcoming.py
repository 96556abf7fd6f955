"""Upcoming invoices: what the billing will write in the next days, as things stand now."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from unfold.widgets import UnfoldAdminSelectWidget

from billing.admin.links import Links
from billing.models import Subscription
from billing.services import clocks
from billing.services.renewals import upcoming
from catalog.money import Money

PERMISSION = "billing.view_subscription"
ROWS = 100  # of one page
MOST = 5_000  # reckoned at once, in less than a second
FAR = 3660  # days
SPANS = {"7": "Next 7 days", "30": "Next 30 days", "90": "Next 90 days"}


class SpanForm(forms.Form):
    days = forms.ChoiceField(choices=list(SPANS.items()), widget=UnfoldAdminSelectWidget)

    def __init__(self, data: Any) -> None:
        asked = data.get("days", "")
        super().__init__({"days": asked if asked in SPANS else "30"})


@dataclass(frozen=True, slots=True)
class Row:
    link: SafeString
    customer: SafeString
    due_at: datetime
    items: str
    total: str


@require_safe
def upcoming_view(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = SpanForm(request.GET)
    form.is_valid()
    days = form.cleaned_data["days"]
    now = timezone.now()
    # Reckoned before they are put into pages: what an add-on is due for comes before its
    # subscription's end, and the sums are of all pages.
    found = _soonest(now, int(days))
    coming = sorted(upcoming.of(found[:MOST], now=now), key=lambda each: each.due_at)
    page = Paginator(coming, ROWS).get_page(request.GET.get("page"))
    links = Links(request.user)
    context = {
        **admin.site.each_context(request),
        "title": "Upcoming invoices",
        "form": form,
        "rows": [_row(each, links) for each in page],
        "sums": _sums(coming),
        "most": MOST if len(found) > MOST else None,
        "page": page,
        "older": _address(days, page, 1) if page.has_next() else "",
        "newer": _address(days, page, -1) if page.has_previous() else "",
    }
    return TemplateResponse(request, "admin/billing/upcoming.html", context)


def _soonest(now: datetime, days: int) -> list[Subscription]:
    """One more than are shown, where there are more."""
    rows = upcoming.due(now=now, days=days).select_related("user", "pending_plan", "pending_price")
    return list(rows.order_by(F("expires_at").asc(nulls_last=True), "pk")[: MOST + 1])


def next_of(subscription: Subscription) -> upcoming.Upcoming | None:
    """The next invoice of one subscription; None where none will come by itself."""
    own = clocks.own_time(user_id=subscription.user_id)
    now = own or timezone.now()
    due = upcoming.due(now=now, days=FAR, user_id=subscription.user_id if own else None)
    rows = list(due.filter(pk=subscription.pk).select_related("pending_plan", "pending_price"))
    return next(iter(upcoming.of(rows, now=now)), None)


def _row(each: upcoming.Upcoming, links: Links) -> Row:
    subscription = each.subscription
    return Row(
        link=links.to(subscription, subscription.name),
        customer=links.to(subscription.user),
        due_at=each.due_at,
        items=", ".join(each.items),
        total=each.total.for_people(),
    )


def _sums(coming: list[upcoming.Upcoming]) -> list[str]:
    sums: dict[str, Money] = {}
    counts: dict[str, int] = defaultdict(int)
    for each in coming:
        code = each.total.currency
        sums[code] = sums.get(code, Money.zero(code)) + each.total
        counts[code] += 1
    return [f"{sums[code].for_people()} ({counts[code]:,})" for code in sorted(sums)]


def _address(days: str, page: Page, step: int) -> str:
    query = urlencode({"days": days, "page": page.number + step})
    return f"{reverse('upcoming-invoices')}?{query}"


urlpatterns = [
    path("upcoming/", admin.site.admin_view(upcoming_view), name="upcoming-invoices"),
]
