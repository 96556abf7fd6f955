"""What a list can be narrowed by."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import django_filters
from django import forms
from django.db.models import QuerySet

from billing.models import Invoice
from catalog.models import validate_currency


class CurrencyFormField(forms.CharField):
    """An ISO 4217 code, in any case."""

    default_validators = [validate_currency]

    def to_python(self, value: str | None) -> str:
        return super().to_python(value).upper()


class CurrencyFilter(django_filters.CharFilter):
    field_class = CurrencyFormField


class DayFilter(django_filters.DateFilter):
    """A day as ISO 8601 writes it, in UTC."""

    def __init__(self, **options: object) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], help_text="UTC, included", **options)


class InvoiceFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=Invoice.Status.choices)
    currency = CurrencyFilter(help_text="ISO 4217")
    to = DayFilter(method="to_the_day")

    class Meta:
        model = Invoice
        fields: list[str] = []

    def from_the_day(self, rows: QuerySet[Invoice], _name: str, day: date) -> QuerySet[Invoice]:
        return rows.filter(invoiced_at__gte=datetime.combine(day, time.min, UTC))

    def to_the_day(self, rows: QuerySet[Invoice], _name: str, day: date) -> QuerySet[Invoice]:
        return rows.filter(invoiced_at__lte=datetime.combine(day, time.max, UTC))


# "from" is a keyword of Python's and the contract's name.
InvoiceFilter.base_filters["from"] = DayFilter(method="from_the_day")
