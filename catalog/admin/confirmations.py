"""Asks before a change of prices is saved, and says what it means."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from catalog.admin import price_changes
from catalog.admin.price_changes import Meaning
from catalog.admin.prices import GO_BACK, PriceFormSet
from config.errors import DomainError

CONFIRMED = "_prices_confirmed"
_NOT_TYPED = {"csrfmiddlewaretoken", CONFIRMED, GO_BACK}


class Unconfirmed(Exception):
    """Undoes the transaction: nothing is written before somebody has read what it means."""

    def __init__(self, item: Any, meanings: list[Meaning]) -> None:
        super().__init__()
        self.item = item
        self.meanings = meanings


class AsksBeforePriceChange(ModelAdmin):
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Unconfirmed as question:
            return self._ask(request, question)
        except DomainError as refusal:  # what the form could not know a moment ago
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect(request.get_full_path())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        shown = [one for one in formsets if isinstance(one, PriceFormSet)]  # none in a list
        if change and CONFIRMED not in request.POST:
            meanings = [meaning for one in shown for meaning in price_changes.meanings(one)]
            if meanings:
                raise Unconfirmed(form.instance, meanings)
        super().save_related(request, form, formsets, change)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **kwargs: Any
    ) -> Any:
        if GO_BACK in request.POST:
            context["errors"] = None  # nothing is wrong: it is only not saved
        return super().render_change_form(request, context, **kwargs)

    def _ask(self, request: HttpRequest, question: Unconfirmed) -> HttpResponse:
        typed = [
            (name, value)
            for name, values in request.POST.lists()
            if name not in _NOT_TYPED
            for value in values
        ]
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "original": question.item,
            "title": f"New prices of “{question.item}”",
            "meanings": question.meanings,
            "typed": typed,
            "confirmed": CONFIRMED,
            "go_back": GO_BACK,
        }
        return TemplateResponse(request, "admin/catalog/price_change.html", context)
