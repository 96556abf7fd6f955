"""How money and states are shown to people."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format, localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.timezone import template_localtime
from unfold.utils import display_for_label

from accounts.models import User
from billing.models import CouponRedemption, Invoice, Payment
from catalog.models import Price
from catalog.money import Money

NOTHING = "—"

_COLOURS = {
    "pending": "warning",
    "paid": "success",
    "active": "success",
    "completed": "success",
    "captured": "success",
    "trialing": "info",
    "refunded": "info",
    "paused": "warning",
    "failed": "danger",
    "unmatched": "danger",
    "suspended": "danger",
    "waiting": "warning",
    "sending": "info",
    "sent": "success",
    "parked": "danger",
}  # what is over, cancelled or expired, stays grey

METHODS = {  # those that staff choose from
    "bank_transfer": "Bank transfer",
    "card": "Card",
    "cash": "Cash",
    "cheque": "Cheque",
    "other": "Other",
}
_CHANNELS = METHODS | {"manual": "By hand", "none": "Nothing was owed", "staff": "By staff"}


def channel(name: str) -> str:
    """A provider or a method of payment, as people call it."""
    return _CHANNELS.get(name) or capfirst(name.replace("_", " ")) or NOTHING


def money(amount: Decimal, currency: str) -> str:
    return Money(amount, currency).for_people()


def moment(at: datetime | None) -> str:
    return localize(template_localtime(at)) if at else NOTHING


def day(at: datetime | None) -> str:
    """In a sentence."""
    return date_format(template_localtime(at)) if at else "no day"


def periods_left(redemption: CouponRedemption) -> str:
    """How long a coupon goes on to lessen."""
    left = redemption.periods_left
    return "for ever" if left is None else f"{left} more period{'' if left == 1 else 's'}"


def status_label(row: models.Model) -> SafeString:
    """The row's status on its colour."""
    status = row.status  # type: ignore[attr-defined]
    colours = {status: _COLOURS.get(status, "default")}
    text = row.get_status_display()  # type: ignore[attr-defined]
    return display_for_label((status, text), NOTHING, colours)


def invoice_link(invoice: Invoice) -> SafeString:
    """Its number, on one line, as a link to its page."""
    return format_html(
        '<a class="text-link whitespace-nowrap" href="{}">{}</a>',
        reverse("admin:billing_invoice_change", args=[invoice.pk]),
        invoice.number,
    )


def customer_link(user: User) -> SafeString:
    """Their e-mail, as a link to their page."""
    return format_html(
        '<a class="text-link" href="{}">{}</a>',
        reverse("admin:accounts_user_change", args=[user.pk]),
        user.email,
    )


def payment_link(payment: Payment) -> SafeString:
    """Its reference, as a link to its page."""
    return format_html(
        '<a class="text-link" href="{}">{}</a>',
        reverse("admin:billing_payment_change", args=[payment.pk]),
        payment.reference,
    )


class CurrencyFilter(admin.SimpleListFilter):
    """The currencies of the price list: few, and quick to find, unlike those of all rows."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        codes = Price.objects.order_by("currency").values_list("currency", flat=True).distinct()
        return [(code, code) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(currency=self.value()) if self.value() else queryset
