"""How the lists of the catalogue are narrowed down."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from catalog.models import Price


class SoldInFilter(admin.SimpleListFilter):
    """The currencies in which an item has a price now."""

    title = "sold in"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        codes = Price.objects.order_by("currency").values_list("currency", flat=True).distinct()
        return [(code, code) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        column = {"plan": "plan", "tokenbundle": "bundle", "addon": "add_on"}
        own = Q(**{column[queryset.model._meta.model_name]: OuterRef("pk")})
        current = Price.objects.current(timezone.now())
        return queryset.filter(Exists(current.filter(own, currency=self.value())))
