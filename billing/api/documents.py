"""Invoices as PDF, for whom they are made out to and for staff."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.staff import StaffView
from billing.models import Invoice
from billing.services import documents
from config.parameters import path_id

PDF = "application/pdf"
_ANSWERS = {
    (200, PDF): OpenApiResponse(OpenApiTypes.BINARY, "PDF/A-3, named after the invoice's number."),
}


class PdfOrError(BaseContentNegotiation):
    """Whatever ``Accept`` says: there is the PDF, and where there is none, an error as JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


@extend_schema(tags=["invoices"])
class InvoicePdf(APIView):
    content_negotiation_class = PdfOrError

    @extend_schema(operation_id="invoice_pdf", responses=_ANSWERS)
    def get(self, request: Request, pk: str) -> HttpResponse:
        """The invoice as PDF: the same bytes for as long as nothing about it changes."""
        return _pdf(_find(Invoice.objects.filter(user=request.user), pk))


@extend_schema(tags=["staff: invoices"])
class StaffInvoicePdf(StaffView):
    content_negotiation_class = PdfOrError
    needs = {"get": "billing.view_invoice"}

    @extend_schema(operation_id="staff_invoice_pdf", responses=_ANSWERS)
    def get(self, request: Request, pk: str) -> HttpResponse:
        """Anybody's invoice as PDF, as the customer gets it."""
        return _pdf(_find(Invoice.objects.all(), pk))


def _find(invoices: QuerySet[Invoice], pk: str) -> Invoice:
    invoice = invoices.filter(pk=path_id(pk)).first()
    if invoice is None:
        raise Http404
    return invoice


def _pdf(invoice: Invoice) -> HttpResponse:
    name = documents.file_name(invoice=invoice)
    return HttpResponse(
        documents.render(invoice=invoice),
        content_type=PDF,
        headers={
            "Content-Disposition": content_disposition_header(True, name),
            "Cache-Control": "private, no-store",
        },
    )
