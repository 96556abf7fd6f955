"""On the page of a row: what was changed, by whom and why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.formats import localize
from django.utils.safestring import SafeString
from django.utils.timezone import template_localtime

from billing.admin import changes
from billing.admin.columns import NOTHING
from billing.admin.read_only import PagedFormSet, ReadOnlyInline

COLUMNS = ("at", "by", "what", "why")


class HistoryFormSet(PagedFormSet):
    """Puts what was changed beside each earlier state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = list(self._queryset)
        start = self.page.start_index() - 1
        newer = self.instance
        if start > 0:  # what came after the first of this page is the last of the page before
            newer = self.paginator.object_list[start - 1]
        compared = changes.compare(rows, {self.instance.pk: newer})
        for row, change in zip(rows, compared, strict=True):
            row.change = change
        self._queryset = rows


class HistoryInline(ReadOnlyInline):
    """Goes with the row: whoever may see that may see what it was."""

    fk_name = "pgh_obj"
    formset = HistoryFormSet
    ordering = ("-pgh_id",)
    per_page = 20
    verbose_name_plural = "history"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return changes.noted(super().get_queryset(request))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return COLUMNS

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return COLUMNS

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.get_model_admin(self.parent_model).has_view_permission(request, obj)

    @admin.display(description="when")
    def at(self, row: Any) -> str:
        return localize(template_localtime(row.pgh_created_at))

    @admin.display(description="who")
    def by(self, row: Any) -> str:
        return row.change.by or NOTHING

    @admin.display(description="what changed")
    def what(self, row: Any) -> SafeString:
        return render_to_string("admin/billing/change.html", {"change": row.change})

    @admin.display(description="why")
    def why(self, row: Any) -> str:
        return row.change.reason or NOTHING
