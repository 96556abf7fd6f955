"""Prices on the page of their item: edited by ``catalog.services.prices``, never rewritten."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldBooleanWidget

from catalog.admin.fields import currency_field
from catalog.models import Price
from catalog.money import Money
from catalog.services import prices
from config.errors import DomainError

HISTORY_LENGTH = 50  # rows; the rest is in the database


class PriceForm(forms.ModelForm):
    """One currency's price. ``money`` is in the cleaned data where a price is to be set."""

    withdraw = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Stop selling in this currency.",
    )

    class Meta:
        model = Price
        fields = ("currency", "amount")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.fields["withdraw"].disabled = True
        else:
            self.initial["amount"] = self.instance.money.amount
            if "currency" in self.fields:  # not for those who may only look
                self.fields["currency"].disabled = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.has_changed() and self._has_ended():
            raise ValidationError(
                "Somebody else has replaced this price meanwhile: open the page anew."
            )
        currency, amount = cleaned.get("currency"), cleaned.get("amount")
        if cleaned.get("withdraw") or currency is None or amount is None:
            return cleaned
        try:
            cleaned["money"] = Money(amount, currency)
        except DomainError as refusal:
            self.add_error("amount", refusal.message)
        else:
            if amount < 0:
                self.add_error("amount", "A price cannot be negative.")
        return cleaned

    def _has_ended(self) -> bool:
        until = self.instance.valid_until
        return until is not None and until <= timezone.now()

    def validate_constraints(self) -> None:
        """Not on this row: the service ends the price that stands before it adds one."""


class PriceFormSet(PaginationInlineFormSet):
    """Hands what was typed to the service."""

    def clean(self) -> None:
        super().clean()
        if any(form.instance._state.adding for form in self.initial_forms):
            raise ValidationError("A price that was sent is none of this item's.")
        wanted = Counter(
            form.cleaned_data["money"].currency
            for form in self.forms
            if "money" in getattr(form, "cleaned_data", {})
        )
        twice = sorted(currency for currency, times in wanted.items() if times > 1)
        if twice:
            raise ValidationError(f"One price for each currency: {', '.join(twice)} has more.")

    def save_new(self, form: PriceForm, commit: bool = True) -> Price:
        return prices.set_price(
            item=self.instance, money=form.cleaned_data["money"], now=timezone.now()
        )

    def save_existing(self, form: PriceForm, obj: Price, commit: bool = True) -> Price:
        if form.cleaned_data["withdraw"]:
            prices.withdraw_price(item=self.instance, currency=obj.currency, now=timezone.now())
            return obj
        return self.save_new(form)


class PriceInline(TabularInline):
    """The prices of now. Who may edit the item may edit its prices."""

    model = Price
    form = PriceForm
    formset = PriceFormSet
    fields = ("currency", "amount", "withdraw")
    can_delete = False
    hide_title = True
    verbose_name_plural = "Prices: a new amount replaces the old one at once"

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        """While saving, also those that ended since the page was opened, to say so."""
        every = super().get_queryset(request).order_by("currency")
        return every if request.method == "POST" else every.current(timezone.now())

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "currency":
            return currency_field(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def _item_admin(self) -> Any:
        return self.admin_site.get_model_admin(self.parent_model)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._item_admin().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return self._item_admin().has_add_permission(request)
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._item_admin().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a price is withdrawn


def price_history(item: prices.AnyItem) -> SafeString | str:
    """The prices that are not of now, the latest first: ended, taken back, or still to come."""
    now = timezone.now()
    rows = [
        (price.money.for_people(), _moment(price.valid_from), _moment(price.valid_until), state)
        for price in item.prices.order_by("-valid_from", "currency", "-id")[:HISTORY_LENGTH]
        if (state := _state(price, now)) != "current"
    ]
    if not rows:
        return "None."
    head = format_html_join("", '<th class="pr-8 text-left">{}</th>', _HEAD)
    body = format_html_join(
        "",
        '<tr><td class="pr-8">{}</td><td class="pr-8">{}</td><td class="pr-8">{}</td>'
        "<td>{}</td></tr>",
        rows,
    )
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


_HEAD = (("Price",), ("From",), ("Until",), ("",))


def _state(price: Price, now: Any) -> str:
    if price.valid_until is not None and price.valid_until <= price.valid_from:
        return "taken back"
    if price.valid_from > now:
        return "scheduled"
    return "current" if price.valid_until is None or price.valid_until > now else "ended"


def _moment(moment: Any) -> str:
    return "—" if moment is None else date_format(moment, "Y-m-d H:i:s")
