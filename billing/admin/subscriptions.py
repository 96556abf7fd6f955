"""Subscriptions and the add-ons that run with them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from billing.admin.columns import NOTHING, CurrencyFilter, invoice_link, money, status_label
from billing.admin.history import HistoryInline
from billing.admin.lists_behind import MovementFilter, RunningFilter
from billing.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from billing.admin.steps import Step, Steps
from billing.admin.subscription_steps import STEPS
from billing.models import AddOnSubscription, Invoice, Subscription
from billing.models.subscription import SubscriptionStatus


class PeriodColumns:
    """What a subscription and an add-on subscription show alike."""

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: Any) -> str:
        return status_label(row)

    @admin.display(description="price")
    def shown_price(self, row: Any) -> str:
        return money(row.amount, row.currency)

    @admin.display(description="in use", boolean=True)
    def in_use(self, row: Any) -> bool:
        return row.is_valid_at(timezone.now())


class AddOnInline(PeriodColumns, ReadOnlyInline):
    model = AddOnSubscription
    verbose_name_plural = "add-ons"
    ordering = ("-id",)
    related = ("invoice",)
    fields = ("name", "shown_price", "shown_status", "in_use", "started_at", "expires_at") + (
        "invoice",
    )


class InvoiceInline(ReadOnlyInline):
    model = Invoice
    ordering = ("-id",)
    fields = ("link", "shown_total", "shown_status", "invoiced_at", "paid_at")

    @admin.display(description="number")
    def link(self, invoice: Invoice) -> SafeString:
        return invoice_link(invoice)

    @admin.display(description="total")
    def shown_total(self, invoice: Invoice) -> str:
        return invoice.total.for_people()

    @admin.display(description="status")
    def shown_status(self, invoice: Invoice) -> str:
        return status_label(invoice)


class SubscriptionHistoryInline(HistoryInline):
    model = Subscription.history.rel.related_model
    fields = ("until", "shown_status", "expires_at", "paused_at", "cancelled_at", "changed_by")


class AddOnSubscriptionHistoryInline(HistoryInline):
    model = AddOnSubscription.history.rel.related_model
    fields = ("until", "shown_status", "expires_at", "cancelled_at", "changed_by")


class PeriodOfUseAdmin(PeriodColumns, ReadOnlyAdmin):
    list_display = (
        "name",
        "customer",
        "shown_status",
        "in_use",
        "shown_price",
        "billing_period",
        "started_at",
        "expires_at",
    )
    search_fields = ("user__email", "name", "id__exact")
    search_help_text = "E-mail, what was bought, or id"


@admin.register(Subscription)
class SubscriptionAdmin(Steps, PeriodOfUseAdmin):
    steps = STEPS
    list_filter = ("status", "plan", "billing_period", CurrencyFilter) + (
        RunningFilter,
        MovementFilter,
        "created_at",
    )
    list_select_related = ("user",)
    inlines = (AddOnInline, InvoiceInline, SubscriptionHistoryInline)
    fieldsets = (
        (None, {"fields": (("name", "shown_status", "in_use"), ("user", "next_plan"))}),
        ("As agreed", {"fields": (("shown_price", "billing_period"),)}),
        ("Dates", {"fields": (("created_at", "started_at"), ("expires_at", "paused_at"))}),
        ("Cancelled", {"fields": (("cancelled_at", "cancel_reason"), "id")}),
    )

    def may_take(self, request: HttpRequest, step: Step, row: Subscription) -> bool:
        """To bring an unpaid one to life is to take a payment."""
        takes_payment = step.name == "activate" and row.status == SubscriptionStatus.PENDING
        if takes_payment and not request.user.has_perm("billing.take_payment"):
            return False
        return super().may_take(request, step, row)

    @admin.display(description="changes to, at the next period")
    def next_plan(self, subscription: Subscription) -> str:
        # Its name only: support may not open the catalogue.
        return subscription.pending_plan.name if subscription.pending_plan else NOTHING


@admin.register(AddOnSubscription)
class AddOnSubscriptionAdmin(PeriodOfUseAdmin):
    list_filter = ("status", "add_on", "billing_period", CurrencyFilter) + (
        RunningFilter,
        "created_at",
    )
    list_select_related = ("user",)
    inlines = (AddOnSubscriptionHistoryInline,)
    fieldsets = (
        (None, {"fields": (("name", "shown_status", "in_use"), "user")}),
        ("Belongs to", {"fields": (("subscription", "invoice"),)}),
        ("As agreed", {"fields": (("shown_price", "billing_period"),)}),
        ("Dates", {"fields": ("created_at", ("started_at", "expires_at"))}),
        ("Cancelled", {"fields": (("cancelled_at", "cancel_reason"), "id")}),
    )
