"""Invoices in the staff area: to find, to mark as paid, to void, to refund."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import TextField
from accounts.api.staff import StaffView
from billing.api.serializers import AmountField, InvoiceSerializer, checked, shape
from billing.models import Invoice, Payment
from billing.services import invoices, payments, refunds
from config.pagination import SliceParameters
from config.parameters import path_id
from config.schema import ErrorSerializer

DEFAULT_REASON = "By the API."


class InvoiceFilterSerializer(SliceParameters):
    status = serializers.ChoiceField(Invoice.Status.choices, required=False)
    user_id = serializers.UUIDField(required=False)


class StaffInvoiceSerializer(InvoiceSerializer):
    user_email = serializers.EmailField(source="user.email")

    class Meta(InvoiceSerializer.Meta):
        fields = [*InvoiceSerializer.Meta.fields, "user_email", "cancelled_at"]
        read_only_fields = fields


class PaymentSerializer(serializers.ModelSerializer):
    amount = AmountField()

    class Meta:
        model = Payment
        fields = ["id", "provider", "reference", "method", "amount", "currency", "status"] + [
            "received_at",
            "refund_reference",
            "refunded_at",
        ]
        read_only_fields = fields


class StaffInvoiceDetailSerializer(StaffInvoiceSerializer):
    payments = PaymentSerializer(many=True)
    buyer = serializers.DictField(child=serializers.CharField(allow_blank=True))

    class Meta(StaffInvoiceSerializer.Meta):
        fields = [*StaffInvoiceSerializer.Meta.fields, "payments", "buyer"]
        read_only_fields = fields


class ReasonSerializer(serializers.Serializer):
    reason = TextField(
        required=False, default=DEFAULT_REASON, max_length=500, help_text="Kept in the history."
    )


class MarkPaidSerializer(ReasonSerializer):
    payment_reference = TextField(max_length=255)
    payment_method = TextField(max_length=50)
    received_at = serializers.DateTimeField(
        required=False, help_text="When the money was there; now where it is missing."
    )


class RefundSerializer(ReasonSerializer):
    refund_reference = TextField(max_length=255)


CHANGED = inline_serializer(
    "ChangedInvoice",
    {"invoice": StaffInvoiceDetailSerializer(), "message": serializers.CharField()},
)


@extend_schema(tags=["staff: invoices"])
class StaffInvoiceViewSet(StaffView, viewsets.ViewSet):
    needs = {
        "list": "billing.view_invoice",
        "retrieve": "billing.view_invoice",
        "mark_paid": "billing.take_payment",
        "void": "billing.void_invoice",
        "refund": "billing.refund_invoice",
    }

    @extend_schema(
        operation_id="staff_invoices_list",
        parameters=[InvoiceFilterSerializer],
        responses={
            200: inline_serializer(
                "StaffInvoices",
                {
                    "invoices": StaffInvoiceSerializer(many=True),
                    "total": serializers.IntegerField(),
                    "limit": serializers.IntegerField(),
                    "offset": serializers.IntegerField(),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def list(self, request: Request) -> Response:
        """Everybody's invoices, newest first."""
        asked = checked(InvoiceFilterSerializer, request.query_params)
        limit, offset = asked.pop("limit"), asked.pop("offset")
        rows = Invoice.objects.filter(**asked)
        shown = rows.select_related("user").prefetch_related("line_items").order_by("-id")
        return Response(
            {
                "invoices": [
                    shape(StaffInvoiceSerializer, row) for row in shown[offset : offset + limit]
                ],
                "total": rows.count(),
                "limit": limit,
                "offset": offset,
            }
        )

    @extend_schema(
        operation_id="staff_invoice",
        responses=inline_serializer("OneStaffInvoice", {"invoice": StaffInvoiceDetailSerializer()}),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        """One invoice with its lines, payments and buyer."""
        return Response({"invoice": shape(StaffInvoiceDetailSerializer, _find(pk))})

    @extend_schema(
        operation_id="staff_invoice_mark_paid",
        request=MarkPaidSerializer,
        responses={200: CHANGED, 409: ErrorSerializer},
    )
    def mark_paid(self, request: Request, pk: str) -> Response:
        """Take a payment that has arrived at the bank; the same reference again changes nothing."""
        invoice = _find(pk)
        told = checked(MarkPaidSerializer, request.data)
        now = timezone.now()
        payments.mark_paid(
            invoice=invoice,
            reference=told["payment_reference"],
            method=told["payment_method"],
            received_at=told.get("received_at", now),
            by=request.user,
            reason=told["reason"],
            now=now,
        )
        return _changed(pk, "The invoice is paid.")

    @extend_schema(
        operation_id="staff_invoice_void", request=ReasonSerializer, responses={200: CHANGED}
    )
    def void(self, request: Request, pk: str) -> Response:
        """Cancel an invoice that was not paid, with all that it is for. Its number is kept."""
        invoice = _find(pk)
        told = checked(ReasonSerializer, request.data)
        invoices.void(invoice=invoice, by=request.user, reason=told["reason"], now=timezone.now())
        return _changed(pk, "The invoice is void.")

    @extend_schema(
        operation_id="staff_invoice_refund", request=RefundSerializer, responses={200: CHANGED}
    )
    def refund(self, request: Request, pk: str) -> Response:
        """Give the whole of a paid invoice back, and end at once what it made live."""
        invoice = _find(pk)
        told = checked(RefundSerializer, request.data)
        refunded = refunds.refund(
            invoice=invoice,
            reference=told["refund_reference"],
            by=request.user,
            reason=told["reason"],
            now=timezone.now(),
        )
        return _changed(pk, f"The invoice is refunded.{kept_tokens(refunded)}")


def kept_tokens(refunded: Invoice) -> str:
    """What is added to the answer where tokens were used before they were to be taken back."""
    used = refunds.tokens_used(invoice=refunded)
    return f" {used} of its tokens had been used and are not taken back." if used else ""


def _changed(pk: str, message: str) -> Response:
    return Response({"invoice": shape(StaffInvoiceDetailSerializer, _find(pk)), "message": message})


def _find(pk: str) -> Any:
    invoice = _whole().filter(pk=path_id(pk)).first()
    if invoice is None:
        raise Http404
    return invoice


def _whole() -> QuerySet[Invoice]:
    by_age = Prefetch("payments", Payment.objects.order_by("id"))
    return Invoice.objects.select_related("user").prefetch_related("line_items", by_age)
