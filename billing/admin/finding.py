"""The one search box: finds a customer, or what is theirs, by whatever they quote."""

from __future__ import annotations

from typing import Any, NamedTuple

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from accounts.models import User
from billing.admin.columns import status_label
from billing.admin.links import Links, address
from billing.models import AddOnSubscription, Invoice, Payment, Subscription, TokenBundlePurchase
from billing.services import search
from billing.services.search import Found, Hit, Kind

MODELS: dict[Kind, type[models.Model]] = {
    Kind.CUSTOMER: User,
    Kind.SUBSCRIPTION: Subscription,
    Kind.INVOICE: Invoice,
    Kind.PAYMENT: Payment,
    Kind.ADD_ON: AddOnSubscription,
    Kind.PURCHASE: TokenBundlePurchase,
}
_HEADINGS = {
    Kind.CUSTOMER: "Customers",
    Kind.SUBSCRIPTION: "Subscriptions",
    Kind.INVOICE: "Invoices",
    Kind.PAYMENT: "Payments",
    Kind.ADD_ON: "Add-on subscriptions",
    Kind.PURCHASE: "Token purchases",
}


class FindForm(forms.Form):
    q = forms.CharField(label="Find", max_length=254, strip=True)


class Row(NamedTuple):
    """One hit as it is listed."""

    link: Any
    about: str
    customer: Any
    status: Any
    is_exact: bool


class Group(NamedTuple):
    heading: str
    rows: list[Row]
    is_cut: bool


def find_view(request: HttpRequest) -> HttpResponse:
    """One hit is gone to at once; several are listed by kind, as far as one may see each."""
    links = Links(request.user)
    kinds = [kind for kind, model in MODELS.items() if links.may_open(model)]
    if not kinds:
        raise PermissionDenied
    form = FindForm(request.GET) if "q" in request.GET else FindForm()
    found = Found((), frozenset())
    if form.is_valid():
        found = search.find(text=form.cleaned_data["q"], kinds=kinds)
        if found.only:
            return redirect(address(found.only.row))
    context = {
        **admin.site.each_context(request),
        "title": "Find",
        "form": form,
        "find_text": form["q"].value() or "",
        "groups": _groups(found, links),
        "is_asked": form.is_valid(),
        "most": search.MOST,
    }
    return TemplateResponse(request, "admin/billing/find.html", context)


def _groups(found: Found, links: Links) -> list[Group]:
    groups = []
    for kind in Kind:
        rows = [_row(hit, links) for hit in found.hits if hit.kind == kind]
        if rows:
            groups.append(Group(_HEADINGS[kind], rows, kind in found.cut))
    # Whatever has exactly what was typed comes before what merely contains it.
    return sorted(groups, key=lambda group: not group.rows[0].is_exact)


def _row(hit: Hit, links: Links) -> Row:
    row = hit.row
    if isinstance(row, User):
        details = getattr(row, "billing_details", None)
        link, about, customer = links.to(row, row.email), describe(details), ""
    else:
        text = {Kind.PAYMENT: "reference", Kind.INVOICE: "number"}.get(hit.kind, "name")
        link, about = links.to(row, getattr(row, text)), _worth(row)
        customer = links.to(row.user, row.user.email) if row.user else ""
    return Row(link, about, customer, status_label(row), hit.is_exact)


def describe(details: Any) -> str:
    """Name and company, as far as they are known."""
    if details is None:
        return ""
    name = f"{details.first_name} {details.last_name}".strip()
    return ", ".join(part for part in (name, details.company) if part)


def _worth(row: Any) -> str:
    if isinstance(row, Invoice):
        return row.total.for_people()
    if isinstance(row, Payment):
        return row.money.for_people()
    return ""
