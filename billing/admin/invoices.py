"""Invoices: what was sold to whom for how much, and what came in for it."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from billing.admin.columns import CurrencyFilter, money, status_label
from billing.admin.history import HistoryInline
from billing.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from billing.models import (
    AddOnSubscription,
    Invoice,
    InvoiceLineItem,
    Payment,
    TokenBundlePurchase,
)


class LineItemInline(ReadOnlyInline):
    model = InvoiceLineItem
    verbose_name_plural = "lines"
    fields = (
        "position",
        "shown_type",
        "description",
        "quantity",
        "shown_unit_price",
        "shown_amount",
    )

    @admin.display(description="type")
    def shown_type(self, line: InvoiceLineItem) -> str:
        return capfirst(line.get_type_display())

    @admin.display(description="unit price")
    def shown_unit_price(self, line: InvoiceLineItem) -> str:
        return money(line.unit_price, line.invoice.currency)

    @admin.display(description="amount")
    def shown_amount(self, line: InvoiceLineItem) -> str:
        return money(line.amount, line.invoice.currency)


class PaymentInline(ReadOnlyInline):
    model = Payment
    ordering = ("-id",)
    fields = ("provider", "reference", "method", "shown_amount", "shown_status", "received_at")

    @admin.display(description="amount")
    def shown_amount(self, payment: Payment) -> str:
        return payment.money.for_people()

    @admin.display(description="status")
    def shown_status(self, payment: Payment) -> str:
        return status_label(payment)


class PurchaseInline(ReadOnlyInline):
    model = TokenBundlePurchase
    verbose_name_plural = "bundles of tokens"
    ordering = ("id",)
    fields = ("name", "token_amount", "shown_status", "completed_at")

    @admin.display(description="status")
    def shown_status(self, purchase: TokenBundlePurchase) -> str:
        return status_label(purchase)


class AddOnInline(ReadOnlyInline):
    model = AddOnSubscription
    verbose_name_plural = "add-ons"
    ordering = ("id",)
    fields = ("name", "billing_period", "shown_status", "started_at", "expires_at")

    @admin.display(description="status")
    def shown_status(self, add_on: AddOnSubscription) -> str:
        return status_label(add_on)


class InvoiceHistoryInline(HistoryInline):
    model = Invoice.history.rel.related_model
    fields = ("until", "shown_status", "payment_method", "payment_ref", "paid_at", "changed_by")


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    list_display = (
        "shown_number",
        "customer",
        "shown_status",
        "shown_total",
        "issued",
        "due",
        "paid",
    )
    list_filter = ("status", CurrencyFilter, "invoiced_at")
    list_select_related = ("user",)
    search_fields = ("number", "user__email", "payment_ref", "id__exact")
    search_help_text = "Number, e-mail, payment reference, or id"
    date_hierarchy = "invoiced_at"
    inlines = (LineItemInline, PaymentInline, PurchaseInline, AddOnInline, InvoiceHistoryInline)
    fieldsets = (
        (None, {"fields": (("number", "shown_status"), ("user", "subscription"), "shown_buyer")}),
        ("Amounts", {"fields": (("shown_subtotal", "shown_tax", "shown_total"),)}),
        ("Dates", {"fields": (("invoiced_at", "expires_at"),)}),
        ("Payment", {"fields": (("paid_at", "payment_method"), ("payment_ref", "id"))}),
    )

    @admin.display(description="number", ordering="number")
    def shown_number(self, invoice: Invoice) -> SafeString:
        return format_html('<span class="whitespace-nowrap">{}</span>', invoice.number)

    @admin.display(description="status", ordering="status")
    def shown_status(self, invoice: Invoice) -> str:
        return status_label(invoice)

    @admin.display(description="issued", ordering="invoiced_at")
    def issued(self, invoice: Invoice) -> datetime:
        return invoice.invoiced_at

    @admin.display(description="due", ordering="expires_at")
    def due(self, invoice: Invoice) -> datetime | None:
        return invoice.expires_at

    @admin.display(description="paid", ordering="paid_at")
    def paid(self, invoice: Invoice) -> datetime | None:
        return invoice.paid_at

    @admin.display(description="total")
    def shown_total(self, invoice: Invoice) -> str:
        return invoice.total.for_people()

    @admin.display(description="subtotal")
    def shown_subtotal(self, invoice: Invoice) -> str:
        return money(invoice.subtotal, invoice.currency)

    @admin.display(description="tax")
    def shown_tax(self, invoice: Invoice) -> str:
        return money(invoice.tax_amount, invoice.currency)

    @admin.display(description="buyer, as on the invoice")
    def shown_buyer(self, invoice: Invoice) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((line,) for line in _address(invoice.buyer)))


def _address(buyer: dict[str, str]) -> list[str]:
    """What is known of the buyer, in the order of an envelope."""
    parts = [
        ("company",),
        ("first_name", "last_name"),
        ("address_line_1",),
        ("address_line_2",),
        ("postal_code", "city"),
        ("country",),
        ("vat_id",),
        ("email",),
    ]
    lines = (" ".join(buyer[part] for part in line if buyer.get(part)) for line in parts)
    return [line for line in lines if line]
