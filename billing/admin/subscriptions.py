"""Subscriptions and the add-ons that run with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Greatest, Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.utils import display_for_label

from billing.admin import upcoming
from billing.admin.bulk import Bulk, BulkForm, Bulks
from billing.admin.columns import (
    NOTHING,
    CurrencyFilter,
    day,
    invoice_link,
    moment,
    money,
    periods_left,
    status_label,
)
from billing.admin.history import HistoryInline
from billing.admin.lists_behind import MovementFilter, RunningFilter
from billing.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from billing.admin.steps import Step, Steps
from billing.admin.subscription_steps import STEPS
from billing.models import AddOnSubscription, Invoice, Subscription, SubscriptionChange
from billing.models.subscription import SubscriptionStatus
from billing.services import coupons

_STEP = {step.name: step for step in STEPS}
BULKS = (
    Bulk(
        _STEP["unpark"],
        label="Retry renewals",
        question="The next run of the billing tries the renewal of each again.",
        form=BulkForm,
    ),
    Bulk(
        _STEP["take-payment"],
        label="Try payments now",
        question="The provider is asked for the money of each renewal once more, now.",
        form=BulkForm,
    ),
)


CHANGE_WAITS = Exists(
    SubscriptionChange.objects.filter(
        subscription=OuterRef("pk"), status=SubscriptionChange.Status.PENDING
    )
)


class StandingFilter(admin.SimpleListFilter):
    """What somebody may have to look after."""

    title = "standing"
    parameter_name = "standing"
    choices_of = {
        "parked": ("Parked", Q(parked_at__isnull=False)),
        "past_due": ("Past due", Q(past_due_since__isnull=False)),
        "trial": ("On trial", Q(status=SubscriptionStatus.TRIALING)),
        "changing": (
            "Is to change",
            ~Q(pending_plan=None) | ~Q(pending_quantity=None) | Q(CHANGE_WAITS),
        ),
        "cancelling": (
            "Cancelled, and runs on",
            Q(status=SubscriptionStatus.CANCELLED, expires_at__gt=Greatest("cancelled_at", Now())),
        ),
        "unpaid": ("Ended unpaid", Q(status=SubscriptionStatus.EXPIRED, cancel_reason="unpaid")),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(name, title) for name, (title, _q) in self.choices_of.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        chosen = self.choices_of.get(self.value())
        return queryset.filter(chosen[1]) if chosen else queryset.none()


class PeriodColumns:
    """What a subscription and an add-on subscription show alike."""

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: Any) -> str:
        return status_label(row)

    @admin.display(description="price")
    def shown_price(self, row: Any) -> str:
        return money(row.amount, row.currency)

    @admin.display(description="started", ordering="started_at")
    def started(self, row: Any) -> SafeString | str:
        return _day(row.started_at)

    @admin.display(description="ends", ordering="expires_at")
    def ends(self, row: Any) -> SafeString | str:
        return _day(row.expires_at)

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


class ChangeInline(ReadOnlyInline):
    model = SubscriptionChange
    verbose_name_plural = "changes of plan and seats"
    ordering = ("-id",)
    related = ("invoice", "add_on_subscription", "was_plan")
    fields = (
        "what",
        "shown_was",
        "status",
        "shown_credit",
        "shown_charge",
        "invoice",
        "applied_at",
    )

    @admin.display(description="to")
    def what(self, change: SubscriptionChange) -> str:
        return f"{change.name} × {change.quantity}"

    @admin.display(description="before")
    def shown_was(self, change: SubscriptionChange) -> str:
        if change.was_amount is None:
            return NOTHING
        name = change.was_plan.name if change.was_plan else change.name
        return f"{name}, {money(change.was_amount, change.currency)}"

    @admin.display(description="given back")
    def shown_credit(self, change: SubscriptionChange) -> str:
        return money(change.credit, change.currency)

    @admin.display(description="charged")
    def shown_charge(self, change: SubscriptionChange) -> str:
        return money(change.charge, change.currency)


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
        "started",
        "ends",
    )
    search_fields = ("user__email", "name", "id__exact")
    search_help_text = "E-mail, what was bought, or id"


@admin.register(Subscription)
class SubscriptionAdmin(Bulks, Steps, PeriodOfUseAdmin):
    steps = STEPS
    bulks = BULKS
    list_display = (
        "name",
        "customer",
        "shown_status",
        "standing",
        "in_use",
        "price_of_all",
        "billing_period",
        "started",
        "ends",
    )
    list_filter = (StandingFilter, "status", "plan", "billing_period", CurrencyFilter) + (
        RunningFilter,
        MovementFilter,
        "created_at",
    )
    list_select_related = ("user", "pending_plan")
    inlines = (AddOnInline, InvoiceInline, ChangeInline, SubscriptionHistoryInline)
    fieldsets = (
        (None, {"fields": (("name", "shown_status", "in_use"), ("user", "standing"))}),
        ("As agreed", {"fields": (("shown_price", "quantity", "billing_period"), "coupon")}),
        ("Next", {"fields": (("next_invoice", "next_plan"),)}),
        (
            "Dates",
            {
                "fields": (
                    ("created_at", "started_at", "trial_ends_at"),
                    ("period_start", "expires_at", "paused_at"),
                )
            },
        ),
        ("Cancelled", {"fields": (("cancelled_at", "cancel_reason"), "id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return super().get_queryset(request).annotate(change_waits=CHANGE_WAITS)

    def may_take(self, request: HttpRequest, step: Step, row: Subscription) -> bool:
        """To bring an unpaid one to life is to take a payment."""
        takes_payment = step.name == "activate" and row.status == SubscriptionStatus.PENDING
        if takes_payment and not request.user.has_perm("billing.take_payment"):
            return False
        return super().may_take(request, step, row)

    @admin.display(description="price")
    def price_of_all(self, subscription: Subscription) -> str:
        seats = f"{subscription.quantity:,} × " if subscription.quantity > 1 else ""
        return f"{seats}{self.shown_price(subscription)}"

    @admin.display(description="standing")
    def standing(self, subscription: Subscription) -> SafeString | str:
        """What somebody has to know beside its status; nothing where all goes by itself."""
        if subscription.parked_at:
            return _label("Parked", subscription.parked_reason)
        if subscription.past_due_since:
            until = subscription.grace_until
            ends = f", access until {day(until)}" if until else ""
            return _label("Past due", f"since {day(subscription.past_due_since)}{ends}")
        if subscription.pending_plan_id or subscription.pending_quantity:
            return f"Becomes {self.next_plan(subscription)}"
        if subscription.change_waits:  # type: ignore[attr-defined]
            return "A change waits for its payment"
        return NOTHING

    @admin.display(description="changes to, at the next period")
    def next_plan(self, subscription: Subscription) -> str:
        # Its name only: support may not open the catalogue.
        seats = subscription.pending_quantity
        if subscription.pending_plan is None and seats is None:
            return NOTHING
        name = subscription.pending_plan.name if subscription.pending_plan else subscription.name
        return f"{name} × {seats}" if seats else name

    @admin.display(description="next invoice")
    def next_invoice(self, subscription: Subscription) -> str:
        coming = upcoming.next_of(subscription)
        if coming is None:
            return NOTHING
        items = ", ".join(coming.items)
        return f"{moment(coming.due_at)}: {coming.total.for_people()} ({items})"

    @admin.display(description="coupon")
    def coupon(self, subscription: Subscription) -> str:
        redemption = coupons.of(subscription_id=subscription.pk)
        if redemption is None:
            return NOTHING
        return f"{redemption.coupon.code}: {redemption.name}, {periods_left(redemption)}"


def _day(at: datetime | None) -> SafeString | str:
    """On one line: a list is for comparing."""
    return format_html('<span class="whitespace-nowrap">{}</span>', day(at)) if at else NOTHING


def _label(what: str, more: str) -> SafeString:
    label = display_for_label((what, what), NOTHING, {what: "danger"})
    return format_html('{}<div class="quiet standing">{}</div>', label, more)


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
