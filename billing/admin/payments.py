"""Money that arrived, and what still has to be resolved."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.admin.columns import NOTHING, CurrencyFilter, invoice_link, status_label
from billing.admin.history import HistoryInline
from billing.admin.read_only import ReadOnlyAdmin
from billing.models import Invoice, Payment
from billing.services.payments import UNMATCHED


class ReasonFilter(admin.SimpleListFilter):
    """Why payments fit nothing."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [(code, refusal.sentence) for code, refusal in UNMATCHED.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(unmatched_reason=self.value()) if self.value() else queryset


class PaymentHistoryInline(HistoryInline):
    model = Payment.history.rel.related_model
    fields = ("until", "shown_status", "unmatched_reason", "changed_by")


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = (
        "reference",
        "provider",
        "customer",
        "shown_amount",
        "shown_status",
        "reason",
        "shown_invoice",
        "received_at",
    )
    list_filter = ("status", ReasonFilter, CurrencyFilter, "received_at")
    list_select_related = ("user", "invoice")
    search_fields = ("reference", "user__email", "invoice__number", "invoice_reference")
    search_help_text = "Reference, e-mail, invoice number or id"
    date_hierarchy = "received_at"
    inlines = (PaymentHistoryInline,)
    fieldsets = (
        (None, {"fields": (("reference", "shown_status"), "reason")}),
        ("Money", {"fields": (("shown_amount", "received_at"), ("provider", "method"))}),
        ("For", {"fields": (("user", "invoice"), ("named_invoice", "id"))}),
    )

    @admin.display(description="amount")
    def shown_amount(self, payment: Payment) -> str:
        return payment.money.for_people()

    @admin.display(description="status", ordering="status")
    def shown_status(self, payment: Payment) -> str:
        return status_label(payment)

    @admin.display(description="why it is unmatched")
    def reason(self, payment: Payment) -> str:
        refusal = UNMATCHED.get(payment.unmatched_reason)
        return refusal.sentence if refusal else payment.unmatched_reason or NOTHING

    @admin.display(description="invoice", ordering="invoice__number")
    def shown_invoice(self, payment: Payment) -> str:
        return invoice_link(payment.invoice) if payment.invoice else NOTHING

    @admin.display(description="invoice that the payer named")
    def named_invoice(self, payment: Payment) -> str:
        """Of an unmatched payment this is where resolving it begins."""
        try:
            invoice = Invoice.objects.get(pk=UUID(payment.invoice_reference))
        except (ValueError, Invoice.DoesNotExist):
            return payment.invoice_reference
        return invoice_link(invoice)
