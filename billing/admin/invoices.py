"""Invoices: what was sold to whom for how much, what came in for it, and what is done about it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from billing.admin import happened, money_search, sums
from billing.admin.bulk import Bulks
from billing.admin.columns import channel, customer_link, moment, money, status_label
from billing.admin.filters import (
    CurrencyChoiceFilter,
    InvoiceStatusFilter,
    IssuedFilter,
    OverdueFilter,
    PaidFilter,
    PlanFilter,
    ProviderFilter,
)
from billing.admin.invoice_bulks import BULKS
from billing.admin.invoice_parts import INLINES
from billing.admin.invoice_steps import STEPS
from billing.admin.links import Links, address
from billing.admin.money_list import MoneyList
from billing.admin.read_only import ReadOnlyAdmin
from billing.admin.report_lists import OpenAtFilter
from billing.admin.steps import Button, Steps
from billing.models import Invoice
from billing.services import documents
from config.errors import DomainError

MOST_DOCUMENTS = 2_000  # of one archive: half a minute's printing


@admin.register(Invoice)
class InvoiceAdmin(Bulks, Steps, MoneyList, ReadOnlyAdmin):
    steps = STEPS
    bulks = BULKS
    actions = ("download_pdfs",)
    list_display = (
        "shown_number",
        "shown_customer",
        "shown_status",
        "shown_total",
        "issued",
        "due",
        "paid",
    )
    list_filter = (
        InvoiceStatusFilter,
        OverdueFilter,
        OpenAtFilter,
        CurrencyChoiceFilter,
        ("invoiced_at", IssuedFilter),
        ("paid_at", PaidFilter),
        PlanFilter,
        ProviderFilter,
    )
    list_select_related = ("user", "user__billing_details")
    list_after_template = "admin/billing/invoice_sums.html"
    search_fields = ("number",)  # see get_search_results
    search_help_text = "Number, e-mail, company, payment reference, or id"
    inlines = INLINES
    change_form_outer_before_template = "admin/billing/money_head.html"
    change_form_outer_after_template = "admin/billing/happened.html"
    fieldsets = (
        (
            None,
            {"fields": (("number", "shown_status"), ("shown_user", "subscription"), "shown_buyer")},
        ),
        ("Amounts", {"fields": (("shown_subtotal", "shown_tax", "shown_total"),)}),
        ("Dates", {"fields": (("issued", "due", "cancelled"), ("reason", "next_attempt"))}),
        ("Payment", {"fields": (("paid", "shown_method"), ("payment_ref", "id"))}),
    )

    # --- The list ---

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Invoice], search_term: str
    ) -> tuple[QuerySet[Invoice], bool]:
        if not search_term.strip():
            return queryset, False
        return money_search.invoices(among=queryset, text=search_term), False

    @admin.action(description="Download PDFs", permissions=["view"])
    def download_pdfs(
        self, request: HttpRequest, chosen: QuerySet[Invoice]
    ) -> HttpResponse | StreamingHttpResponse | None:
        """One file of all that were chosen, printed while it is being sent."""
        ids = list(chosen.values_list("pk", flat=True)[: MOST_DOCUMENTS + 1])
        if len(ids) > MOST_DOCUMENTS:
            most = f"Download PDFs: at most {MOST_DOCUMENTS:,} at once."
            self.message_user(request, f"{most} Narrow the list by its filters.", messages.ERROR)
            return None
        invoices = Invoice.objects.filter(pk__in=ids).order_by("number")
        name = f"invoices-{len(ids)}.zip"
        return StreamingHttpResponse(
            documents.archive(invoices=invoices),
            content_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().changelist_view(request, *args, **kwargs)
        context = getattr(response, "context_data", None)
        if context and "cl" in context:  # the list itself, and not what an action answered
            context["sums"] = sums.of_invoices(context["cl"].queryset)
        return response

    def summary(self, rows: QuerySet[Invoice]) -> list[dict[str, Any]]:
        return [
            {
                "status": capfirst(Invoice.Status(row["status"]).label),
                "count": row["count"],
                "total": money(row["total"], row["currency"]),
            }
            for row in sums.by_status(rows)
        ]

    # --- The page ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.pdf_view)
        pdf = path("<path:object_id>/pdf/", view, name="billing_invoice_pdf")
        return [pdf, *super().get_urls()]

    def buttons(self, request: HttpRequest, row: Invoice) -> list[Button]:
        pdf = Button("PDF", reverse("admin:billing_invoice_pdf", args=[row.pk]), "default", "print")
        return [*super().buttons(request, row), pdf]

    def pdf_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        invoice = self.get_object(request, object_id)
        if not self.has_view_permission(request, invoice):
            raise PermissionDenied
        if invoice is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        try:
            printed = documents.render(invoice=invoice)
        except DomainError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect(address(invoice))
        name = documents.file_name(invoice=invoice)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(printed, content_type="application/pdf", headers=headers)

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
            invoice = context["original"]
            context |= {
                "buttons": self.buttons(request, invoice),
                "happened": happened.to_invoice(invoice, links=Links(request.user)),
                "amount": invoice.total.for_people(),
                "status": status_label(invoice),
                "customer": Links(request.user).to(invoice.user),
                "note": "Overdue" if _is_overdue(invoice) else "",
            }
        return response

    # --- Columns ---

    @admin.display(description="payment method")
    def shown_method(self, invoice: Invoice) -> str:
        return channel(invoice.payment_method)

    @admin.display(description="number", ordering="number")
    def shown_number(self, invoice: Invoice) -> SafeString:
        return format_html('<span class="whitespace-nowrap">{}</span>', invoice.number)

    @admin.display(description="customer", ordering="user__email")
    def shown_customer(self, invoice: Invoice) -> SafeString:
        """With the company, as on the invoice; where none stands there, as it is called now."""
        company = invoice.buyer.get("company")
        if not company:
            company = getattr(getattr(invoice.user, "billing_details", None), "company", "")
        if not company:
            return format_html("{}", invoice.user.email)
        return format_html('{}<div class="quiet">{}</div>', invoice.user.email, company)

    @admin.display(description="status", ordering="status")
    def shown_status(self, invoice: Invoice) -> SafeString:
        return status_label(invoice)

    @admin.display(description="total")
    def shown_total(self, invoice: Invoice) -> str:
        return invoice.total.for_people()

    @admin.display(description="issued", ordering="invoiced_at")
    def issued(self, invoice: Invoice) -> str:
        return moment(invoice.invoiced_at)

    @admin.display(description="due", ordering="expires_at")
    def due(self, invoice: Invoice) -> str:
        return moment(invoice.expires_at)

    @admin.display(description="paid", ordering="paid_at")
    def paid(self, invoice: Invoice) -> str:
        return moment(invoice.paid_at)

    @admin.display(description="next attempt to take it")
    def next_attempt(self, invoice: Invoice) -> str:
        return moment(invoice.next_attempt_at)

    @admin.display(description="cancelled")
    def cancelled(self, invoice: Invoice) -> str:
        return moment(invoice.cancelled_at)

    @admin.display(description="customer")
    def shown_user(self, invoice: Invoice) -> SafeString:
        return customer_link(invoice.user)

    @admin.display(description="subtotal")
    def shown_subtotal(self, invoice: Invoice) -> str:
        return money(invoice.subtotal, invoice.currency)

    @admin.display(description="tax")
    def shown_tax(self, invoice: Invoice) -> str:
        return money(invoice.tax_amount, invoice.currency)

    @admin.display(description="buyer, as on the invoice")
    def shown_buyer(self, invoice: Invoice) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((line,) for line in _address(invoice.buyer)))


def _is_overdue(invoice: Invoice) -> bool:
    return bool(invoice.is_payable and invoice.expires_at and invoice.expires_at < timezone.now())


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
