"""What belongs to an invoice, on its page."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from billing.admin.columns import NOTHING, channel, day, money, payment_link, status_label
from billing.admin.history import HistoryInline
from billing.admin.read_only import ReadOnlyInline
from billing.models import (
    AddOnSubscription,
    Invoice,
    InvoiceLineItem,
    Payment,
    PaymentAttempt,
    TokenBundlePurchase,
)


class LineItemInline(ReadOnlyInline):
    model = InvoiceLineItem
    verbose_name_plural = "lines"
    fields = (
        "position",
        "shown_type",
        "description",
        "period",
        "quantity",
        "shown_unit_price",
        "shown_amount",
    )

    @admin.display(description="period")
    def period(self, line: InvoiceLineItem) -> str:
        if line.period_start is None:
            return NOTHING
        ends = day(line.period_end) if line.period_end else "for good"
        return f"{day(line.period_start)} – {ends}"

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
    fields = (
        "shown_provider",
        "link",
        "shown_method",
        "shown_amount",
        "shown_status",
        "received_at",
        "sent_back",
    )

    @admin.display(description="reference")
    def link(self, payment: Payment) -> SafeString:
        return payment_link(payment)

    @admin.display(description="provider")
    def shown_provider(self, payment: Payment) -> str:
        return channel(payment.provider)

    @admin.display(description="method")
    def shown_method(self, payment: Payment) -> str:
        return channel(payment.method)

    @admin.display(description="amount")
    def shown_amount(self, payment: Payment) -> str:
        return payment.money.for_people()

    @admin.display(description="status")
    def shown_status(self, payment: Payment) -> str:
        return status_label(payment)

    @admin.display(description="sent back with")
    def sent_back(self, payment: Payment) -> str:
        return payment.refund_reference or NOTHING


class AttemptInline(ReadOnlyInline):
    model = PaymentAttempt
    verbose_name_plural = "attempts to take the payment"
    ordering = ("-id",)
    fields = ("number", "shown_provider", "shown_outcome", "failure", "started_at", "finished_at")

    @admin.display(description="provider")
    def shown_provider(self, attempt: PaymentAttempt) -> str:
        return channel(attempt.provider)

    @admin.display(description="outcome")
    def shown_outcome(self, attempt: PaymentAttempt) -> str:
        return capfirst(attempt.get_outcome_display())


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


INLINES = (
    LineItemInline,
    PaymentInline,
    AttemptInline,
    PurchaseInline,
    AddOnInline,
    InvoiceHistoryInline,
)
