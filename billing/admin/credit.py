"""What is owed to customers: the balance of each in each currency, and every movement of it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from billing.admin.columns import NOTHING, CurrencyFilter, customer_link, money
from billing.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from billing.models import (
    AddOnSubscription,
    CreditAccount,
    CreditEntry,
    Invoice,
    Subscription,
    SubscriptionChange,
)


class HasCreditFilter(admin.SimpleListFilter):
    title = "balance"
    parameter_name = "balance"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [("some", "Has something left"), ("none", "Has nothing left")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "some":
                return queryset.filter(balance__gt=0)
            case "none":
                return queryset.filter(balance=0)
        return queryset


class EntryInline(ReadOnlyInline):
    model = CreditEntry
    verbose_name_plural = "entries, the latest first"
    ordering = ("-sequence",)
    per_page = 50
    related = ("account",)
    fields = ("created_at", "shown_type", "shown_amount", "shown_balance", "of")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditEntry]:
        """With what each is of, which may be one of several things: no query per row."""
        return super().get_queryset(request).annotate(invoice_number=_number(), of_name=_name())

    @admin.display(description="why")
    def shown_type(self, entry: CreditEntry) -> str:
        return capfirst(entry.get_type_display())

    @admin.display(description="amount")
    def shown_amount(self, entry: CreditEntry) -> str:
        sign = "+" if entry.amount > 0 else "−"
        return f"{sign}{money(abs(entry.amount), entry.account.currency)}"

    @admin.display(description="balance after")
    def shown_balance(self, entry: CreditEntry) -> str:
        return money(entry.balance_after, entry.account.currency)

    @admin.display(description="of")
    def of(self, entry: CreditEntry) -> SafeString | str:
        number = entry.invoice_number  # type: ignore[attr-defined]
        if number:
            address = reverse("admin:billing_invoice_change", args=[entry.reference])
            return format_html('<a class="text-link" href="{}">{}</a>', address, number)
        return entry.of_name or NOTHING  # type: ignore[attr-defined]


def _number() -> Subquery:
    return Subquery(Invoice.objects.filter(pk=OuterRef("reference")).values("number"))


def _name() -> Coalesce:
    """What was changed, or ended."""
    return Coalesce(
        *(
            Subquery(model.objects.filter(pk=OuterRef("reference")).values("name"))
            for model in (SubscriptionChange, Subscription, AddOnSubscription)
        )
    )


@admin.register(CreditAccount)
class CreditAccountAdmin(ReadOnlyAdmin):
    ordering = ("-id",)
    list_display = ("customer", "currency", "shown_balance", "entries")
    list_filter = (HasCreditFilter, CurrencyFilter)
    list_select_related = ("user",)
    search_fields = ("user__email", "user__id__exact")
    search_help_text = "Customer’s e-mail or id"
    inlines = (EntryInline,)
    fieldsets = ((None, {"fields": (("shown_user", "currency"), ("shown_balance", "entries"))}),)

    @admin.display(description="customer")
    def shown_user(self, account: CreditAccount) -> SafeString:
        return customer_link(account.user)

    @admin.display(description="balance", ordering="balance")
    def shown_balance(self, account: CreditAccount) -> str:
        return money(account.balance, account.currency)

    @admin.display(description="entries")
    def entries(self, account: CreditAccount) -> str:
        return f"{account.last_sequence:,}"  # which counts them
