"""Bundles of tokens that were bought."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from billing.admin.columns import CurrencyFilter, invoice_link, money, status_label
from billing.admin.history import HistoryInline
from billing.admin.read_only import ReadOnlyAdmin
from billing.models import TokenBundlePurchase


class PurchaseHistoryInline(HistoryInline):
    model = TokenBundlePurchase.history.rel.related_model
    fields = ("until", "shown_status", "tokens_credited", "changed_by")


@admin.register(TokenBundlePurchase)
class TokenBundlePurchaseAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "customer",
        "shown_status",
        "token_amount",
        "shown_price",
        "shown_invoice",
        "created_at",
        "completed_at",
    )
    list_filter = ("status", "bundle", CurrencyFilter, "created_at")
    list_select_related = ("user", "invoice")
    search_fields = ("user__email", "invoice__number", "name", "id__exact")
    search_help_text = "E-mail, invoice number, bundle, or id"
    inlines = (PurchaseHistoryInline,)
    fieldsets = (
        (None, {"fields": (("name", "shown_status"), ("user", "invoice"))}),
        ("As sold", {"fields": (("token_amount", "shown_price"),)}),
        ("Dates", {"fields": (("created_at", "completed_at"), ("tokens_credited", "id"))}),
    )

    @admin.display(description="status", ordering="status")
    def shown_status(self, purchase: TokenBundlePurchase) -> str:
        return status_label(purchase)

    @admin.display(description="invoice", ordering="invoice__number")
    def shown_invoice(self, purchase: TokenBundlePurchase) -> SafeString:
        return invoice_link(purchase.invoice)

    @admin.display(description="price")
    def shown_price(self, purchase: TokenBundlePurchase) -> str:
        return money(purchase.amount, purchase.currency)
