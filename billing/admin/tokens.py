"""Prepaid tokens: each customer's balance and every movement of it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.admin.lists_behind import UsedFilter
from billing.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from billing.models import TokenAccount, TokenTransaction


class BalanceFilter(admin.SimpleListFilter):
    title = "balance"
    parameter_name = "balance"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [("some", "Has tokens"), ("none", "Has none left")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "some":
                return queryset.filter(balance__gt=0)
            case "none":
                return queryset.filter(balance=0)
        return queryset


class TransactionInline(ReadOnlyInline):
    model = TokenTransaction
    verbose_name_plural = "transactions, the latest first"
    ordering = ("-sequence",)
    per_page = 50
    fields = (
        "created_at",
        "transaction_type",
        "shown_amount",
        "balance_after",
        "description",
        "reference_id",
    )

    @admin.display(description="tokens")
    def shown_amount(self, transaction: TokenTransaction) -> str:
        return f"{transaction.amount:+,}"


@admin.register(TokenAccount)
class TokenAccountAdmin(ReadOnlyAdmin):
    ordering = ("-user_id",)
    list_display = ("customer", "shown_balance", "transactions")
    list_filter = (BalanceFilter, UsedFilter)
    list_select_related = ("user",)
    search_fields = ("user__email", "user__id__exact")
    search_help_text = "Customer’s e-mail or id"
    inlines = (TransactionInline,)
    fieldsets = ((None, {"fields": ("user", ("shown_balance", "transactions"))}),)

    @admin.display(description="balance", ordering="balance")
    def shown_balance(self, account: TokenAccount) -> str:
        return f"{account.balance:,}"

    @admin.display(description="transactions")
    def transactions(self, account: TokenAccount) -> str:
        return f"{account.last_sequence:,}"  # which counts them
