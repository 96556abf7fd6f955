"""What happened, as sentences."""

from __future__ import annotations

import json

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.views import ChangeList

from billing.admin import timeline
from billing.admin.columns import NOTHING
from billing.admin.links import Links
from billing.admin.read_only import ReadOnlyAdmin
from billing.models import Event


class SubjectFilter(admin.SimpleListFilter):
    """What events are about: the first word of their names."""

    title = "subject"
    parameter_name = "about"
    subjects = ("checkout", "invoice", "payment", "subscription", "add_on", "tokens", "mail")

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [(subject, subject.replace("_", "-")) for subject in self.subjects]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(name__startswith=f"{self.value()}.") if self.value() else queryset


class EventChangeList(ChangeList):
    """Reads what the page's events are about, all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        for moment in timeline.tell(self.result_list, Links(request.user)):
            moment.event.moment = moment


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "what", "by", "customer", "name")
    list_filter = (SubjectFilter, "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__email", "subject_id__exact")
    search_help_text = "Event, customer’s e-mail, or id of its subject"
    fieldsets = (
        (None, {"fields": ("what", ("by", "why"), ("name", "created_at"), ("user", "subject_id"))}),
        ("As it was written down", {"fields": ("shown_payload",)}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[DjangoChangeList]:
        return EventChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Event | None:
        event = super().get_object(request, object_id, from_field)
        if event:
            event.moment = timeline.tell([event], Links(request.user))[0]
        return event

    @admin.display(description="what happened")
    def what(self, event: Event) -> SafeString:
        return event.moment.sentence

    @admin.display(description="staff")
    def by(self, event: Event) -> str:
        return event.moment.by or NOTHING

    @admin.display(description="why")
    def why(self, event: Event) -> str:
        return event.moment.reason or NOTHING

    @admin.display(description="payload")
    def shown_payload(self, event: Event) -> SafeString:
        text = json.dumps(event.payload, indent=2, ensure_ascii=False)
        return format_html('<pre class="payload">{}</pre>', text)
