"""The customer's own invoices."""

from __future__ import annotations

from math import ceil

from django.db.models import QuerySet
from django.http import Http404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import moments
from billing.api.filters import InvoiceFilter
from billing.api.moments import OwnTime
from billing.api.serializers import InvoiceSerializer, shape
from billing.models import Invoice
from billing.services import providers
from config.pagination import PageParameters
from config.parameters import path_id
from config.schema import ErrorSerializer


@extend_schema(tags=["invoices"])
class InvoiceViewSet(OwnTime, viewsets.GenericViewSet):
    queryset = Invoice.objects.none()  # for the schema: what is read is always the customer's own
    filter_backends = [DjangoFilterBackend]
    filterset_class = InvoiceFilter

    @extend_schema(
        operation_id="invoices_list",
        parameters=[PageParameters],
        responses={
            200: inline_serializer(
                "Invoices",
                {
                    "invoices": InvoiceSerializer(many=True),
                    "total": serializers.IntegerField(),
                    "page": serializers.IntegerField(),
                    "per_page": serializers.IntegerField(),
                    "pages": serializers.IntegerField(),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def list(self, request: Request) -> Response:
        """The customer's invoices, newest first."""
        form = PageParameters(data=request.query_params)
        form.is_valid(raise_exception=True)
        page, per_page = form.validated_data["page"], form.validated_data["per_page"]
        rows = self.filter_queryset(_own(request)).order_by("-id")
        total = rows.count()
        shown = rows[(page - 1) * per_page : page * per_page]
        return Response(
            {
                "invoices": [shape(InvoiceSerializer, row) for row in shown],
                "total": total,
                "page": page,
                "per_page": per_page,
                "pages": ceil(total / per_page),
            }
        )

    @extend_schema(
        operation_id="invoice",
        responses=inline_serializer("OneInvoice", {"invoice": InvoiceSerializer()}),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response({"invoice": shape(InvoiceSerializer, _find(request, pk))})

    @extend_schema(
        operation_id="invoice_pay",
        request=None,
        responses={
            200: inline_serializer(
                "PaidInvoice", {"invoice": InvoiceSerializer(), "message": serializers.CharField()}
            ),
            409: ErrorSerializer,
        },
    )
    def pay(self, request: Request, pk: str) -> Response:
        """Start payment with the configured provider; the sandbox takes it at once."""
        providers.start_payment(invoice=_find(request, pk), now=moments.now())
        shown = shape(InvoiceSerializer, _find(request, pk))
        return Response({"invoice": shown, "message": "Payment successful"})


def _own(request: Request) -> QuerySet[Invoice]:
    return Invoice.objects.filter(user=request.user).prefetch_related("line_items")


def _find(request: Request, pk: str) -> Invoice:
    invoice = _own(request).filter(pk=path_id(pk)).first()
    if invoice is None:
        raise Http404
    return invoice
