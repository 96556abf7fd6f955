"""Pages that show rows and never change them, whoever looks."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import PaginationInlineFormSet

from billing.admin.columns import NOTHING
from billing.admin.history_page import HistoryPage
from config.lists import ForgivingList


class ReadOnly:
    """Nobody adds, changes or deletes here, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, HistoryPage, ForgivingList, ModelAdmin):
    ordering = ("-id",)
    list_per_page = 50
    empty_value_display = NOTHING
    # Beside "12 results" of a search, "of 3,000,000 in all" would be a second count.
    show_full_result_count = False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Without the button to the history: it is on the page itself."""
        context = {"show_history": False} | (extra_context or {})
        return super().changeform_view(request, object_id, form_url, context)

    def get_inline_formsets(self, *args: Any, **kwargs: Any) -> list:
        """Only those that have something to show."""
        shown = super().get_inline_formsets(*args, **kwargs)
        return [inline for inline in shown if inline.formset.initial_forms]

    @admin.display(description="customer", ordering="user__email")
    def customer(self, row: Any) -> str:
        return row.user.email if row.user else NOTHING


class PagedFormSet(PaginationInlineFormSet):
    """Takes any page number: what is none is the first page."""

    def get_page_num(self) -> int:
        asked = self.request.GET.get(self.get_pagination_key(), "")
        return int(asked) if re.fullmatch(r"[1-9][0-9]{0,8}", asked) else 1


class ReadOnlyInline(ReadOnly, TabularInline):
    """Rows that belong to the one on the page. ``per_page`` where they can be very many."""

    formset = PagedFormSet
    extra = 0
    can_delete = False
    hide_title = True
    empty_value_display = NOTHING
    related: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        return super().get_queryset(request).select_related(*self.related)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple:
        return tuple(self.fields)
