"""Coupons, and who has redeemed them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Upper
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from billing.admin.columns import NOTHING, customer_link, moment, money, status_label
from billing.admin.history_page import HistoryPage
from billing.admin.read_only import ReadOnlyAdmin
from billing.models import Coupon, CouponAmount, CouponRedemption
from catalog.admin.fields import currency_field
from catalog.admin.prices import MomentInput
from catalog.models import Plan
from catalog.money import Money
from config.errors import DomainError
from config.lists import ForgivingList

# What a customer was promised when they typed the code: another promise is another coupon.
AGREED = ("code", "kind", "percent", "duration", "periods")


class CouponForm(forms.ModelForm):
    """Asks for what belongs together, in the words of the form."""

    valid_until = forms.DateTimeField(
        required=False,
        widget=MomentInput,
        help_text=f"The last moment to redeem it; empty: none. Time zone: {settings.TIME_ZONE}.",
    )
    plans = forms.ModelMultipleChoiceField(
        Plan.objects.order_by("sort_order", "name"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="For these only; for any if empty.",
    )

    def clean_code(self) -> str:
        code = self.cleaned_data["code"]
        same = Coupon.objects.alias(typed=Upper("code")).filter(typed=code.upper())
        if same.exclude(pk=self.instance.pk).exists():
            raise ValidationError("There is a coupon with this code, in whatever case of letters.")
        return code

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        kind, percent = given.get("kind"), given.get("percent")
        if kind == Coupon.Kind.PERCENT and not percent and "percent" not in self.errors:
            self.add_error("percent", "More than 0, and at most 100.")
        if kind == Coupon.Kind.AMOUNT and percent is not None:
            self.add_error("percent", "Leave this empty: it takes off an amount.")
        duration, periods = given.get("duration"), given.get("periods")
        if duration == Coupon.Duration.PERIODS and not periods and "periods" not in self.errors:
            self.add_error("periods", "For how many periods?")
        if duration and duration != Coupon.Duration.PERIODS and periods is not None:
            self.add_error("periods", "Leave this empty, or choose “so many periods”.")
        most = given.get("max_redemptions")
        if most is not None and most < self.instance.redeemed:
            self.add_error(
                "max_redemptions", f"It was redeemed {self.instance.redeemed} times already."
            )
        return given


class AmountFormSet(BaseInlineFormSet):
    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        kept = [
            form.cleaned_data
            for form in self.forms
            if form.cleaned_data and not form.cleaned_data.get("DELETE")
        ]
        kind = self.data.get("kind", self.instance.kind)
        if kind == Coupon.Kind.AMOUNT and not kept:
            raise ValidationError("How much does it take off? One amount at least.")
        if kind == Coupon.Kind.PERCENT and kept:
            raise ValidationError("It takes off a percentage: there are no amounts.")


class AmountForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        amount, currency = given.get("amount"), given.get("currency")
        if isinstance(amount, Decimal) and currency:
            try:
                Money.parse(str(amount), currency)
            except DomainError as refusal:
                self.add_error("amount", refusal.message)
            if amount <= 0:
                self.add_error("amount", "More than nothing.")
        return given


class AmountInline(TabularInline):
    model = CouponAmount
    form = AmountForm
    formset = AmountFormSet
    extra = 1
    verbose_name_plural = "amounts, where it takes off an amount"
    fields = ("currency", "amount")
    hide_title = True

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "currency":
            return currency_field(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest, obj: Coupon | None = None) -> bool:
        return super().has_add_permission(request, obj) and not _is_redeemed(obj)

    def has_change_permission(self, request: HttpRequest, obj: Coupon | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_redeemed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Coupon | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_redeemed(obj)


@admin.register(Coupon)
class CouponAdmin(HistoryPage, ForgivingList, ModelAdmin):
    form = CouponForm
    inlines = (AmountInline,)
    actions = ("activate", "deactivate")
    list_display = (
        "code",
        "name",
        "takes_off",
        "how_long",
        "shown_redeemed",
        "shown_until",
        "is_active",
    )
    list_filter = ("is_active", "kind", "duration")
    search_fields = ("code", "name")
    search_help_text = "Code or name"
    ordering = ("-id",)
    readonly_fields = ("shown_redemptions",)
    fieldsets = (
        (None, {"fields": (("code", "name"), ("kind", "percent"), ("duration", "periods"))}),
        (
            "Limits",
            {
                "fields": (
                    ("max_redemptions", "max_per_customer"),
                    ("valid_until", "is_active"),
                    "shown_redemptions",
                    "plans",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Coupon]:
        return super().get_queryset(request).prefetch_related("amounts")

    def get_readonly_fields(self, request: HttpRequest, obj: Coupon | None = None) -> tuple:
        return (*self.readonly_fields, *(AGREED if _is_redeemed(obj) else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Coupon | None = None) -> bool:
        """What was redeemed stays, for whoever asks what it was: it is deactivated instead."""
        return super().has_delete_permission(request, obj) and not (
            obj is not None and obj.redemptions.exists()
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def save_model(
        self, request: HttpRequest, obj: Coupon, form: forms.ModelForm, change: bool
    ) -> None:
        """Only what was typed in: the count of redemptions goes on meanwhile."""
        if not change:
            obj.save(force_insert=True)
            return
        columns = [name for name in form.changed_data if name != "plans"]
        if columns:
            obj.save(update_fields=columns)

    @admin.action(description="Give out", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Coupon]) -> None:
        self._set(request, queryset, is_active=True)

    @admin.action(description="Give out no more", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Coupon]) -> None:
        self._set(request, queryset, is_active=False)

    def _set(self, request: HttpRequest, queryset: QuerySet[Coupon], *, is_active: bool) -> None:
        changed = list(queryset.filter(is_active=not is_active))
        for coupon in changed:
            coupon.is_active = is_active
            coupon.save(update_fields=["is_active"])
            self.log_change(request, coupon, "Given out." if is_active else "Given out no more.")
        given = "given out" if is_active else "given out no more"
        noun = "coupon is" if len(changed) == 1 else "coupons are"
        self.message_user(request, f"{len(changed)} {noun} {given}.", messages.SUCCESS)

    # --- Columns ---

    @admin.display(description="takes off")
    def takes_off(self, coupon: Coupon) -> str:
        if coupon.percent is not None:
            return f"{coupon.percent.normalize():f} %"
        amounts = sorted(coupon.amounts.all(), key=lambda amount: amount.currency)
        return ", ".join(money(amount.amount, amount.currency) for amount in amounts) or NOTHING

    @admin.display(description="for how long", ordering="duration")
    def how_long(self, coupon: Coupon) -> str:
        if coupon.periods:
            return f"{coupon.periods} period{'' if coupon.periods == 1 else 's'}"
        return capfirst(coupon.get_duration_display())

    @admin.display(description="redeemed", ordering="redeemed")
    def shown_redeemed(self, coupon: Coupon) -> str:
        most = "" if coupon.max_redemptions is None else f" of {coupon.max_redemptions:,}"
        return f"{coupon.redeemed:,}{most}"

    @admin.display(description="valid until", ordering="valid_until")
    def shown_until(self, coupon: Coupon) -> str:
        return moment(coupon.valid_until)

    @admin.display(description="redeemed")
    def shown_redemptions(self, coupon: Coupon) -> SafeString | str:
        if coupon.pk is None or not coupon.redeemed:
            return "Not yet. Once it was, what it takes off and for how long stays as it is."
        address = reverse("admin:billing_couponredemption_changelist")
        return format_html(
            '<a class="text-link" href="{}?coupon__id__exact={}">{}</a>. What it takes off and for'
            " how long stays as it is: make another coupon for another promise.",
            address,
            coupon.pk,
            f"{coupon.redeemed:,} times",
        )


@admin.register(CouponRedemption)
class CouponRedemptionAdmin(ReadOnlyAdmin):
    list_display = ("shown_code", "customer", "shown_status", "takes_off", "left", "redeemed_at")
    list_filter = ("status",)
    list_select_related = ("user", "coupon")
    search_fields = ("user__email", "coupon__code")
    search_help_text = "E-mail or code"
    fieldsets = (
        (None, {"fields": (("shown_code", "shown_status"), ("shown_user", "subscription"))}),
        ("As agreed", {"fields": (("name", "takes_off", "left"),)}),
        ("Redeemed", {"fields": (("redeemed_at", "invoice"), "id")}),
    )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "coupon__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="coupon", ordering="coupon__code")
    def shown_code(self, redemption: CouponRedemption) -> str:
        return redemption.coupon.code

    @admin.display(description="status", ordering="status")
    def shown_status(self, redemption: CouponRedemption) -> SafeString:
        return status_label(redemption)

    @admin.display(description="customer")
    def shown_user(self, redemption: CouponRedemption) -> SafeString:
        return customer_link(redemption.user)

    @admin.display(description="takes off")
    def takes_off(self, redemption: CouponRedemption) -> str:
        if redemption.amount is not None:
            return money(redemption.amount, redemption.currency)
        return f"{redemption.percent.normalize():f} %" if redemption.percent else NOTHING

    @admin.display(description="periods left", ordering="periods_left")
    def left(self, redemption: CouponRedemption) -> str:
        return "For ever" if redemption.periods_left is None else str(redemption.periods_left)

    @admin.display(description="redeemed", ordering="created_at")
    def redeemed_at(self, redemption: CouponRedemption) -> str:
        return moment(redemption.created_at)


def _is_redeemed(coupon: Coupon | None) -> bool:
    return coupon is not None and coupon.redeemed > 0
