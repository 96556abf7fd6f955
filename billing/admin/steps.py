"""Buttons on the page of a row, each with a page of its own that asks before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from config.errors import DomainError


class ReasonForm(forms.Form):
    """
    Why: it is kept with the history.

    ``notice``: what is to be read before it is sent once more; "" where once is enough.
    """

    notice = ""

    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="It is kept with the history, for your colleagues.",
    )

    def __init__(self, *args: Any, row: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row
        self.by = by

    def is_valid(self) -> bool:
        return super().is_valid() and not self.notice


class NoReasonForm(ReasonForm):
    """Only a confirmation."""

    reason = None  # type: ignore[assignment]


def always(_row: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """
    Something that staff do to one row.

    :param name: in the address
    :param question: what will happen, as a sentence about the row
    :param run: does it, by ``(row, by=, now=, **what was typed in)``, and says what was done
    :param fits: whether the row's state has any use for it: whether there is a button
    :param looks: ``default``, ``primary`` or ``danger``
    """

    name: str
    label: str
    permission: str
    question: Callable[[Any], str]
    run: Callable[..., str]
    form: type[ReasonForm] = ReasonForm
    fits: Callable[[Any], bool] = always
    looks: str = "default"
    icon: str = ""


class Button(NamedTuple):
    label: str
    address: str
    looks: str
    icon: str


class Steps:
    """An admin whose rows have buttons. ``steps``: all that there are."""

    steps: tuple[Step, ...] = ()
    change_form_outer_before_template: str | None = "admin/billing/buttons.html"

    def may_take(self, request: HttpRequest, step: Step, row: Any) -> bool:
        admin: Any = self
        return admin.has_view_or_change_permission(request, row) and request.user.has_perm(
            step.permission
        )

    def buttons(self, request: HttpRequest, row: Any) -> list[Button]:
        return [
            Button(step.label, self._address(step, row), step.looks, step.icon)
            for step in self.steps
            if self.may_take(request, step, row) and step.fits(row)
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
        context = getattr(response, "context_data", None)
        if context and context.get("original"):  # shown, and not saved
            context["buttons"] = self.buttons(request, context["original"])
        return response

    def get_urls(self) -> list[URLPattern]:
        admin: Any = self
        own = [
            path(
                f"<path:object_id>/{step.name}/",
                admin.admin_site.admin_view(partial(self.step_view, step=step)),
                name=self._url_name(step),
            )
            for step in self.steps
        ]
        return own + super().get_urls()  # type: ignore[misc]

    def step_view(self, request: HttpRequest, object_id: str, step: Step) -> HttpResponse:
        admin: Any = self
        row = admin.get_object(request, object_id)
        if row is None:
            return admin._get_obj_does_not_exist_redirect(request, admin.opts, object_id)
        if not self.may_take(request, step, row):
            raise PermissionDenied
        page = reverse(
            f"admin:{admin.opts.app_label}_{admin.opts.model_name}_change", args=[row.pk]
        )
        if not step.fits(row):
            admin.message_user(request, f"{step.label}: not as it is now.", messages.ERROR)
            return redirect(page)
        sent = request.POST if request.method == "POST" else None
        form = step.form(sent, row=row, by=request.user)
        for first in form.visible_fields()[:1]:
            first.field.widget.attrs["autofocus"] = True
        if form.is_valid():
            try:
                done = step.run(row, by=request.user, now=timezone.now(), **form.cleaned_data)
            except DomainError as refusal:
                form.add_error(None, refusal.message)
            else:
                admin.message_user(request, done, messages.SUCCESS)
                return redirect(page)
        context = {
            **admin.admin_site.each_context(request),
            "title": f"{step.label}: {row}",
            "step": step,
            "question": step.question(row),
            "form": form,
            "page": page,
            "opts": admin.opts,
            "original": row,
            "media": admin.media + form.media,
        }
        return TemplateResponse(request, "admin/billing/step.html", context)

    def _url_name(self, step: Step) -> str:
        admin: Any = self
        return f"{admin.opts.app_label}_{admin.opts.model_name}_{step.name.replace('-', '_')}"

    def _address(self, step: Step, row: Any) -> str:
        return reverse(f"admin:{self._url_name(step)}", args=[row.pk])
