"""Money that arrived, and what still has to be resolved."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import happened, money_search
from billing.admin.columns import (
    NOTHING,
    channel,
    customer_link,
    invoice_link,
    moment,
    status_label,
)
from billing.admin.filters import (
    CurrencyChoiceFilter,
    PaymentStatusFilter,
    ProviderFilter,
    ReasonFilter,
    ReceivedFilter,
)
from billing.admin.history import HistoryInline
from billing.admin.invoice_steps import REFUND
from billing.admin.links import Links
from billing.admin.money_list import MoneyList
from billing.admin.payment_steps import STEPS
from billing.admin.read_only import ReadOnlyAdmin
from billing.admin.report_lists import WaitingAtFilter
from billing.admin.steps import Button, Steps
from billing.models import Invoice, Payment
from billing.services.payments import UNMATCHED

UNMATCHED_FIRST = Case(When(status=Payment.Status.UNMATCHED, then=Value(0)), default=Value(1))


class PaymentHistoryInline(HistoryInline):
    model = Payment.history.rel.related_model


@admin.register(Payment)
class PaymentAdmin(Steps, MoneyList, ReadOnlyAdmin):
    steps = STEPS
    ordering = (UNMATCHED_FIRST, "-id")
    list_display = (
        "shown_reference",
        "shown_provider",
        "customer",
        "shown_amount",
        "shown_status",
        "invoice_or_reason",
        "received",
    )
    list_filter = (
        PaymentStatusFilter,
        ReasonFilter,
        WaitingAtFilter,
        CurrencyChoiceFilter,
        ProviderFilter,
        ("received_at", ReceivedFilter),
    )
    list_select_related = ("user", "invoice")
    search_fields = ("reference",)  # see get_search_results
    search_help_text = "Reference, e-mail, company, invoice number, or id"
    inlines = (PaymentHistoryInline,)
    change_form_outer_before_template = "admin/billing/money_head.html"
    change_form_outer_after_template = "admin/billing/happened.html"
    fieldsets = (
        (None, {"fields": (("reference", "shown_status"), "reason")}),
        (
            "Money",
            {"fields": (("shown_amount", "received_at"), ("shown_provider", "shown_method"))},
        ),
        ("For", {"fields": (("shown_user", "invoice"), ("named_invoice", "id"))}),
        ("Sent back", {"fields": (("refunded_at", "refund_reference"),)}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Payment], search_term: str
    ) -> tuple[QuerySet[Payment], bool]:
        if not search_term.strip():
            return queryset, False
        return money_search.payments(among=queryset, text=search_term), False

    def get_fieldsets(self, request: HttpRequest, obj: Payment | None = None) -> Any:
        *others, sent_back = super().get_fieldsets(request, obj)
        return [*others, sent_back] if obj and obj.refunded_at else others

    def buttons(self, request: HttpRequest, row: Payment) -> list[Button]:
        """What paid an invoice goes back with that, and with what it made live."""
        buttons = super().buttons(request, row)
        owner: Any = self.admin_site.get_model_admin(Invoice)
        invoice = row.invoice
        if invoice and owner.may_take(request, REFUND, invoice) and REFUND.fits(invoice):
            page = reverse("admin:billing_invoice_refund", args=[invoice.pk])
            buttons.append(Button("Refund its invoice", page, "danger", "undo"))
        return buttons

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        context = getattr(response, "context_data", None)
        if context and context.get("original"):
            payment, links = context["original"], Links(request.user)
            context |= {
                "buttons": self.buttons(request, payment),
                "happened": happened.to_payment(payment, links=links),
                "amount": payment.money.for_people(),
                "status": status_label(payment),
                "customer": links.to(payment.user) if payment.user else "",
                "note": self.reason(payment) if payment.unmatched_reason else "",
            }
        return response

    @admin.display(description="reference", ordering="reference")
    def shown_reference(self, payment: Payment) -> SafeString:
        return format_html('<span class="reference">{}</span>', payment.reference)

    @admin.display(description="provider", ordering="provider")
    def shown_provider(self, payment: Payment) -> str:
        return channel(payment.provider)

    @admin.display(description="method")
    def shown_method(self, payment: Payment) -> str:
        return channel(payment.method)

    @admin.display(description="received", ordering="received_at")
    def received(self, payment: Payment) -> SafeString:
        return format_html('<span class="whitespace-nowrap">{}</span>', moment(payment.received_at))

    @admin.display(description="amount")
    def shown_amount(self, payment: Payment) -> str:
        return payment.money.for_people()

    @admin.display(description="customer")
    def shown_user(self, payment: Payment) -> str:
        return customer_link(payment.user) if payment.user else NOTHING

    @admin.display(description="status", ordering="status")
    def shown_status(self, payment: Payment) -> SafeString:
        return status_label(payment)

    @admin.display(description="why it is unmatched")
    def reason(self, payment: Payment) -> str:
        refusal = UNMATCHED.get(payment.unmatched_reason)
        return refusal.sentence if refusal else payment.unmatched_reason or NOTHING

    @admin.display(description="invoice, or why there is none")
    def invoice_or_reason(self, payment: Payment) -> str:
        return invoice_link(payment.invoice) if payment.invoice else self.reason(payment)

    @admin.display(description="invoice that the payer named")
    def named_invoice(self, payment: Payment) -> str:
        """Of an unmatched payment this is where resolving it begins."""
        try:
            invoice = Invoice.objects.get(pk=UUID(payment.invoice_reference))
        except (ValueError, Invoice.DoesNotExist):
            return payment.invoice_reference
        return invoice_link(invoice)
