"""Filters of the accountant's lists: all in one form, so that several are set at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.admin.columns import channel
from billing.models import Invoice, Payment
from billing.services import search
from billing.services.analytics import spans
from billing.services.payments import UNMATCHED
from catalog.models import Plan, Price

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 1, 1)
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)


class DayInput(UnfoldAdminTextInputWidget):
    """The browser's own calendar: it reads well on a phone and to a screen reader."""

    input_type = "date"

    def format_value(self, value: Any) -> str | None:
        return value.isoformat() if isinstance(value, date) else value


def day_field(label: str, **options: Any) -> forms.DateField:
    return forms.DateField(
        label=label,
        widget=DayInput(attrs={"min": str(FIRST_DAY), "max": str(LAST_DAY)}),
        validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)],
        **options,
    )


class ChoiceFilterForm(forms.Form):
    def __init__(self, *, name: str, label: str, choices: Sequence, chosen: str | None) -> None:
        super().__init__({name: chosen or ""})
        self.fields[name] = forms.ChoiceField(
            label=label,
            required=False,
            choices=[("", "All"), *choices],
            widget=UnfoldAdminSelectWidget,
        )


class ChoiceFilter(admin.SimpleListFilter):
    """One of a few, in a select. A value that is none of them finds nothing."""

    template = "unfold/filters/filters_field.html"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen not in {str(value) for value, _label in self.lookup_choices}:
            return queryset.none()
        return self.narrow(queryset, chosen)

    def narrow(self, queryset: QuerySet, chosen: str) -> QuerySet:
        return queryset.filter(**{self.parameter_name or "": chosen})

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        form = ChoiceFilterForm(
            name=self.parameter_name or "",
            label=capfirst(str(self.title)),
            choices=self.lookup_choices,
            chosen=self.value(),
        )
        yield {"form": form}


class InvoiceStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(value, capfirst(label)) for value, label in Invoice.Status.choices]


class PaymentStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(value, capfirst(label)) for value, label in Payment.Status.choices]


class CurrencyChoiceFilter(ChoiceFilter):
    """The currencies of the price list: few, and quick to find, unlike those of all rows."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        codes = Price.objects.order_by("currency").values_list("currency", flat=True).distinct()
        return [(code, code) for code in codes]


class PlanFilter(ChoiceFilter):
    title = "plan"
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        plans = Plan.objects.order_by("name", "id").values_list("id", "name")
        return [(str(pk), name) for pk, name in plans]

    def narrow(self, queryset: QuerySet, chosen: str) -> QuerySet:
        return queryset.filter(plan_id=chosen)


class OverdueFilter(ChoiceFilter):
    """Open invoices, by whether the day is past on which they were due."""

    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [("overdue", "Overdue"), ("open", "Open, not overdue")]

    def narrow(self, queryset: QuerySet, chosen: str) -> QuerySet:
        now = timezone.now()
        unpaid = queryset.filter(status__in=OPEN)
        if chosen == "overdue":
            return unpaid.filter(expires_at__lt=now)
        return unpaid.exclude(expires_at__lt=now)


class ProviderFilter(ChoiceFilter):
    """Of payments themselves, and of invoices by what was paid for them."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(name, channel(name)) for name in search.providers()]

    def narrow(self, queryset: QuerySet, chosen: str) -> QuerySet:
        if queryset.model is Payment:
            return queryset.filter(provider=chosen)
        return queryset.filter(
            Exists(Payment.objects.filter(invoice=OuterRef("pk"), provider=chosen))
        )


class ReasonFilter(ChoiceFilter):
    """Why payments fit nothing."""

    title = "why it is unmatched"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(code, refusal.sentence) for code, refusal in UNMATCHED.items()]

    def narrow(self, queryset: QuerySet, chosen: str) -> QuerySet:
        return queryset.filter(unmatched_reason=chosen)


class DayRangeForm(forms.Form):
    """
    Names of its fields: ``<column>_from`` and ``<column>_to``, both days included.

    :param name: the column
    """

    def __init__(self, *, name: str, label: str, data: dict[str, str]) -> None:
        super().__init__(data)
        self.fields[f"{name}_from"] = day_field(f"{label} from", required=False)
        self.fields[f"{name}_to"] = day_field(f"{label} to", required=False)


class DayRangeFilter(admin.FieldListFilter):
    """Moments from the beginning of one day of the seller's to the end of another."""

    template = "unfold/filters/filters_field.html"
    label = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        texts = {
            name: values[-1] if isinstance(values, list) else values
            for name, values in self.used_parameters.items()
        }
        self.form = DayRangeForm(
            name=self.field_path, label=self.label or capfirst(self.title), data=texts
        )

    def expected_parameters(self) -> list[str | None]:
        return [f"{self.field_path}_from", f"{self.field_path}_to"]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.form.is_valid():
            # Nothing is better than what somebody takes for the days that they meant.
            for name, errors in self.form.errors.items():
                label = self.form.fields[name].label
                messages.error(request, f"{label}: {' '.join(map(str, errors))}")
            return queryset.none()
        first = self.form.cleaned_data[f"{self.field_path}_from"]
        last = self.form.cleaned_data[f"{self.field_path}_to"]
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": spans.midnight(day=first)})
        if last:
            after = spans.midnight(day=last + timedelta(days=1))
            queryset = queryset.filter(**{f"{self.field_path}__lt": after})
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {"form": self.form}


class IssuedFilter(DayRangeFilter):
    label = "Issued"


class PaidFilter(DayRangeFilter):
    label = "Paid"


class ReceivedFilter(DayRangeFilter):
    label = "Received"
