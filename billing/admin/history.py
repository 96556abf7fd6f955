"""What a row was before, until when, and which member of staff changed it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, OuterRef, QuerySet, Subquery, UUIDField, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.timezone import template_localtime

from accounts.models import User
from billing.admin.columns import NOTHING, status_label
from billing.admin.read_only import ReadOnlyInline

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class HistoryInline(ReadOnlyInline):
    """Goes with the row: whoever may see that may see what it was."""

    fk_name = "pgh_obj"
    ordering = ("-pgh_id",)
    per_page = 20
    verbose_name_plural = "earlier states"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Any program may note any "user"; only an account's id is looked up.
        changed_by_pk = Case(
            When(noted_user__regex=_UUID, then=Cast("noted_user", UUIDField())),
            output_field=UUIDField(),
        )
        by = User.objects.filter(pk=OuterRef("changed_by_pk"))
        return (
            super()
            .get_queryset(request)
            .annotate(noted_user=KeyTextTransform("user", "pgh_context__metadata"))
            .annotate(changed_by_pk=changed_by_pk)
            .annotate(changed_by_email=Subquery(by.values("email")))
        )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.get_model_admin(self.parent_model).has_view_permission(request, obj)

    @admin.display(description="status")
    def shown_status(self, row: Any) -> str:
        return status_label(row)

    @admin.display(description="until")
    def until(self, row: Any) -> str:
        return localize(template_localtime(row.pgh_created_at))

    @admin.display(description="changed by")
    def changed_by(self, row: Any) -> str:
        return row.changed_by_email or NOTHING
