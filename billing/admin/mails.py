"""The outbox: what was mailed to whom, what waits, and what a person has to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.clickjacking import xframe_options_sameorigin

from accounts.models import Language, User
from billing.admin import happened, mail_samples, money_search
from billing.admin.bulk import Bulk, BulkForm, Bulks
from billing.admin.columns import customer_link, moment, status_label
from billing.admin.filters import ChoiceFilter, DayRangeFilter
from billing.admin.links import Links
from billing.admin.read_only import ReadOnlyAdmin
from billing.admin.steps import Step, Steps
from billing.models import Mail
from billing.services import letters, outbox
from billing.services.letters import Letter, LetterNotWritten

logger = logging.getLogger(__name__)

# Nothing in a mail runs or loads anything, whoever's words are in it.
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


class MailStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(value, capfirst(label)) for value, label in Mail.Status.choices]


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return [(value, capfirst(label)) for value, label in Mail.Kind.choices]


class LanguageFilter(ChoiceFilter):
    title = "language"
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        return list(Language.choices)


class WrittenFilter(DayRangeFilter):
    label = "Written"


def _retry(mail: Mail, *, by: User, now: datetime, reason: str) -> str:
    outbox.retry(mail=mail, by=by, reason=reason, now=now)
    return f"The mail to {mail.to} is sent again, as soon as mails are sent."


RETRY = Step(
    name="retry",
    label="Send again",
    icon="forward_to_inbox",
    permission="billing.retry_parked",
    question=lambda mail: (
        f"The mail was not sent, or nobody knows: “{mail.failure}” It is sent to {mail.to} once"
        " more. Where it did arrive after all, they get it twice."
    ),
    run=_retry,
    fits=lambda mail: mail.status == Mail.Status.PARKED,
    looks="primary",
)


@admin.register(Mail)
class MailAdmin(Bulks, Steps, ReadOnlyAdmin):
    steps = (RETRY,)
    bulks = (
        Bulk(
            RETRY,
            label="Send again",
            question="Each mail is sent once more. Whoever did get it, gets it twice.",
            form=BulkForm,
        ),
    )
    list_display = (
        "shown_kind",
        "customer",
        "shown_status",
        "attempts",
        "written",
        "next_attempt",
        "sent",
        "failure",
    )
    list_filter = (MailStatusFilter, KindFilter, LanguageFilter, ("created_at", WrittenFilter))
    list_select_related = ("user",)
    list_before_template = "admin/billing/mail_list_head.html"
    search_fields = ("to",)  # see get_search_results
    search_help_text = "E-mail, name, company, invoice number, or id"
    change_form_outer_after_template = "admin/billing/mail_preview.html"
    fieldsets = (
        (None, {"fields": (("shown_kind", "shown_status"), ("shown_user", "to"))}),
        ("Sending", {"fields": (("attempts", "failure"), ("written", "next_attempt", "sent"))}),
        ("What it tells of", {"fields": (("reference", "shown_language"), "id")}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Mail], search_term: str
    ) -> tuple[QuerySet[Mail], bool]:
        if not search_term.strip():
            return queryset, False
        return money_search.mails(among=queryset, text=search_term), False

    # --- Pages ---

    def get_urls(self) -> list[URLPattern]:
        return [
            self._page("samples/", self.samples_view, "billing_mail_samples"),
            self._page("sample/", self.sample_view, "billing_mail_sample"),
            self._page("<path:object_id>/preview/", self.preview_view, "billing_mail_preview"),
            *super().get_urls(),
        ]

    def _page(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        return path(route, self.admin_site.admin_view(view), name=name)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        context = getattr(response, "context_data", None)
        if context and context.get("original"):
            mail = context["original"]
            context |= {
                "letter": _read(lambda: _letter_of(mail)),
                "preview": reverse("admin:billing_mail_preview", args=[mail.pk]),
                "happened": happened.to_mail(mail, links=Links(request.user)),
            }
        return response

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The HTML of one mail, as it would be sent now."""
        mail = self.get_object(request, object_id)
        if not self.has_view_permission(request, mail):
            raise PermissionDenied
        if mail is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return _framed(request, lambda: _letter_of(mail))

    def samples_view(self, request: HttpRequest) -> HttpResponse:
        """Every kind in every language, one at a time."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = mail_samples.chosen(request.GET.dict())
        query = urlencode(form.cleaned_data)
        context = {
            **self.admin_site.each_context(request),
            "title": "Samples of mails",
            "form": form,
            "letter": _read(lambda: mail_samples.write(form)),
            "preview": f"{reverse('admin:billing_mail_sample')}?{query}",
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/billing/mail_samples.html", context)

    def sample_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = mail_samples.chosen(request.GET.dict())
        return _framed(request, lambda: mail_samples.write(form))

    # --- Columns ---

    @admin.display(description="kind", ordering="kind")
    def shown_kind(self, mail: Mail) -> SafeString:
        kind = capfirst(mail.get_kind_display())
        return format_html('<span class="whitespace-nowrap">{}</span>', kind)

    @admin.display(description="status", ordering="status")
    def shown_status(self, mail: Mail) -> SafeString:
        return status_label(mail)

    @admin.display(description="customer")
    def shown_user(self, mail: Mail) -> SafeString:
        return customer_link(mail.user)

    @admin.display(description="language")
    def shown_language(self, mail: Mail) -> str:
        return dict(Language.choices).get(mail.language, mail.language)

    @admin.display(description="written", ordering="created_at")
    def written(self, mail: Mail) -> str:
        return moment(mail.created_at)

    @admin.display(description="next attempt", ordering="next_attempt_at")
    def next_attempt(self, mail: Mail) -> str:
        return moment(mail.next_attempt_at if mail.status == Mail.Status.WAITING else None)

    @admin.display(description="sent", ordering="sent_at")
    def sent(self, mail: Mail) -> str:
        return moment(mail.sent_at)


def _letter_of(mail: Mail) -> Letter:
    details = getattr(mail.user, "billing_details", None)
    return letters.write(
        kind=mail.kind,
        language=mail.language,
        context=mail.context,
        name=details.first_name if details else "",
    )


def _read(write: Callable[[], Letter]) -> Letter | None:
    """None where the template or a value is broken: the page says so."""
    try:
        return write()
    except LetterNotWritten as refusal:
        logger.warning("%s", refusal.message, exc_info=refusal)
        return None


def _framed(request: HttpRequest, write: Callable[[], Letter]) -> HttpResponse:
    """A page for a frame of ours, that can do nothing."""
    letter = _read(write)

    @xframe_options_sameorigin
    def show(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(
            letter.html if letter else "",
            headers={"Content-Security-Policy": PREVIEW_POLICY},
            status=200 if letter else 503,
        )

    return show(request)
