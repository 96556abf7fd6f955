"""What happened."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.admin.read_only import ReadOnlyAdmin
from billing.models import Event


class SubjectFilter(admin.SimpleListFilter):
    """What events are about: the first word of their names."""

    title = "subject"
    parameter_name = "about"
    subjects = ("checkout", "invoice", "payment", "subscription", "add_on", "tokens")

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [(subject, subject.replace("_", "-")) for subject in self.subjects]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(name__startswith=f"{self.value()}.") if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("name", "customer", "subject_id", "created_at")
    list_filter = (SubjectFilter, "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__email", "subject_id__exact")
    search_help_text = "Event, customer’s e-mail, or id of its subject"
    fieldsets = ((None, {"fields": (("name", "created_at"), ("user", "subject_id"), "payload")}),)
