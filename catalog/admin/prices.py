"""Prices on the page of their item: edited by ``catalog.services.prices``, never rewritten."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import F, Field, QuerySet, Value
from django.db.models.functions import Greatest
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import template_localtime
from unfold.admin import TabularInline
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from catalog.admin.fields import currency_field
from catalog.models import Price, TokenBundle
from catalog.money import Money
from catalog.services import prices
from config.errors import DomainError

HISTORY_LENGTH = 50  # rows; the rest is in the database
FARTHEST = timedelta(days=3653)  # a price begins within ten years: more is a slip of the keyboard
GO_BACK = "_back"  # the button that leads back from the question whether to save


class MomentInput(UnfoldAdminTextInputWidget):
    """The browser's own calendar and clock."""

    input_type = "datetime-local"

    def format_value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return template_localtime(value).strftime("%Y-%m-%dT%H:%M")
        return value


class PriceForm(forms.ModelForm):
    """
    One price in one currency, of now or scheduled.

    ``money`` is in the cleaned data where a price is to be set. What is scheduled is shown, and
    can only be taken back.
    """

    begins = forms.DateTimeField(
        required=False,
        label="From",
        widget=MomentInput(attrs={"class": "min-w-52"}),
        help_text=f"When a new amount takes over; empty: at once. Time zone: {settings.TIME_ZONE}.",
    )
    withdraw = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Stop selling in this currency; take back what is scheduled.",
    )

    class Meta:
        model = Price
        fields = ("currency", "amount", "setup_fee")

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = now
        price = self.instance
        if "setup_fee" in self.fields:
            self.fields["setup_fee"].required = False
            self.initial["setup_fee"] = None  # empty is none
        if price._state.adding:
            self.fields["withdraw"].disabled = True
            return
        self.stood = str(price)
        self.initial["amount"] = price.money.amount
        if price.fee.amount:
            self.initial["setup_fee"] = price.fee.amount
        # One that has begun since the page was opened sends no amount either.
        self.was_scheduled = price.valid_from > now or (
            self.is_bound and self.add_prefix("amount") not in self.data
        )
        if self.was_scheduled:
            self.initial["begins"] = price.valid_from
            for name in ("amount", "setup_fee", "begins"):
                if name in self.fields:
                    self.fields[name].disabled = True
        if "currency" in self.fields:  # not for those who may only look
            self.fields["currency"].disabled = True

    def clean_setup_fee(self) -> Decimal:
        return self.cleaned_data["setup_fee"] or Decimal(0)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.has_changed() and self._has_moved_on():
            raise ValidationError(
                "Somebody else has replaced this price meanwhile: open the page anew."
            )
        if cleaned.get("withdraw") or (not self.instance._state.adding and self.was_scheduled):
            return cleaned
        currency, amount = cleaned.get("currency"), cleaned.get("amount")
        if currency is None or amount is None:
            return cleaned
        try:
            cleaned["money"] = Money(amount, currency)
        except DomainError as refusal:
            self.add_error("amount", refusal.message)
        else:
            if amount < 0:
                self.add_error("amount", "A price cannot be negative.")
        cleaned["fee"] = self._fee(currency, cleaned.get("setup_fee"))
        self._check_moment(cleaned.get("begins"))
        return cleaned

    def _fee(self, currency: str, amount: Decimal | None) -> Money:
        if amount is not None and amount < 0:
            self.add_error("setup_fee", "A fee cannot be negative.")
        elif amount is not None:
            try:
                return Money(amount, currency)
            except DomainError as refusal:
                self.add_error("setup_fee", refusal.message)
        return Money.zero(currency)

    def _check_moment(self, begins: datetime | None) -> None:
        if begins is None:
            return
        if begins < self.now:
            self.add_error("begins", "A price cannot begin in the past.")
        elif begins > self.now + FARTHEST:
            self.add_error("begins", "A price begins within ten years.")
        elif "amount" not in self.changed_data:
            self.add_error("amount", "Type the amount that holds from then on.")

    def _has_moved_on(self) -> bool:
        """Ended, or begun, since the page was opened."""
        price = self.instance
        if price._state.adding:
            return False
        if self.was_scheduled:
            return price.valid_from <= self.now
        return price.valid_until is not None and price.valid_until <= self.now

    def validate_constraints(self) -> None:
        """Not on this row: the service ends the price that stands before it adds one."""


class PriceFormSet(PaginationInlineFormSet):
    """Hands what was typed to the service."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.now = timezone.now()
        super().__init__(*args, **kwargs)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return super().get_form_kwargs(index) | {"now": self.now}

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
        if GO_BACK in self.data:
            raise ValidationError("Nothing is saved yet.")

    def save_new(self, form: PriceForm, commit: bool = True) -> Price:
        return prices.set_price(
            item=self.instance,
            money=form.cleaned_data["money"],
            setup_fee=form.cleaned_data["fee"],
            now=self.now,
            valid_from=form.cleaned_data["begins"],
        )

    def save_existing(self, form: PriceForm, obj: Price, commit: bool = True) -> Price:
        if not form.cleaned_data["withdraw"]:
            return self.save_new(form)
        if form.was_scheduled:
            prices.take_back(item=self.instance, price=obj, now=self.now)
        else:
            prices.withdraw_price(item=self.instance, currency=obj.currency, now=self.now)
        return obj


class PastPrice(NamedTuple):
    price: Price
    began: str
    ended: str
    state: str


class PriceInline(TabularInline):
    """The prices of now, and what is scheduled. Who may edit the item may edit its prices."""

    model = Price
    form = PriceForm
    formset = PriceFormSet
    fields = ("currency", "amount", "setup_fee", "begins", "withdraw")
    readonly_fields = ()
    can_delete = False
    hide_title = True
    verbose_name_plural = "Prices"
    template_after = "admin/catalog/past_prices.html"

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        self.item = obj  # an inline lives for one request
        return super().get_formset(request, obj, **kwargs)

    def past(self) -> list[PastPrice]:
        """For the template, below the prices of now."""
        return [] if self.item is None else past_prices(self.item)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        may_change = obj is None or self.has_change_permission(request, obj)
        own = [name for name in self.fields if may_change or name != "withdraw"]
        if self.parent_model is TokenBundle:
            own.remove("setup_fee")
        return tuple(own)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        """While saving, also those that ended since the page was opened, to say so."""
        every = super().get_queryset(request)
        if request.method == "POST":
            return every.order_by("currency", "valid_from")
        return prices.current_and_scheduled(every, now=timezone.now())

    @admin.display(description="From")
    def begins(self, price: Price) -> str:
        """For those who may only look."""
        return _moment(price.valid_from)

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


def past_prices(item: prices.AnyItem) -> list[PastPrice]:
    """What it cost, or was to cost and was taken back: the latest first."""
    now = timezone.now()
    gone = item.prices.filter(valid_until__lte=Greatest(F("valid_from"), Value(now)))
    return [
        PastPrice(
            price=price,
            began=_moment(price.valid_from),
            ended=_moment(price.valid_until),
            state="taken back" if price.valid_until == price.valid_from else "ended",
        )
        for price in gone.order_by("-valid_from", "currency", "-id")[:HISTORY_LENGTH]
    ]


def _moment(moment: Any) -> str:
    return date_format(template_localtime(moment), "Y-m-d H:i:s")
