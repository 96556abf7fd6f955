"""The pages of the second factor, and what somebody sees who is locked out."""

from __future__ import annotations

from typing import Any

import django_otp
import segno
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.mixins import UserPassesTestMixin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.services import second_factor
from config.errors import DomainError


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=16,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )


@method_decorator([never_cache, sensitive_post_parameters("code")], name="dispatch")
class StaffPage(UserPassesTestMixin, FormView):
    """For whoever has passed the password."""

    form_class = CodeForm
    title: str

    def test_func(self) -> bool:
        return admin.site.has_permission(self.request)

    def handle_no_permission(self) -> HttpResponseRedirect:
        return redirect("admin:login")

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        own = {"title": self.title, "next": self.request.GET.get("next", "")}
        return super().get_context_data(**admin.site.each_context(self.request), **own, **context)

    def onwards(self) -> str:
        """Where somebody wanted to go, if that is a page of ours."""
        wanted = self.request.GET.get("next", "")
        is_ours = url_has_allowed_host_and_scheme(
            wanted, {self.request.get_host()}, self.request.is_secure()
        )
        return wanted if is_ours else reverse("admin:index")


class EnterCode(StaffPage):
    """Asks for the code of the phone, or for a recovery code."""

    template_name = "accounts/second_factor.html"
    title = "Two-factor sign-in"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_verified():  # type: ignore[union-attr]
            return redirect(self.onwards())
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: CodeForm) -> HttpResponse:
        try:
            device = second_factor.verify(user=self.request.user, code=form.cleaned_data["code"])
        except DomainError as refusal:
            form.add_error("code", refusal.message)
            return self.form_invalid(form)
        _note_as_verified(self.request, device)
        return redirect(self.onwards())


class SetUp(StaffPage):
    """Shows the QR code of a new phone, takes its first code, and gives the recovery codes."""

    template_name = "accounts/second_factor_set_up.html"
    title = "Set up two-factor sign-in"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # A new phone takes the old one's place: only for who has shown the old one's code.
        if (
            self.test_func()
            and not request.user.is_verified()  # type: ignore[union-attr]
            and second_factor.is_set_up(user=request.user)
        ):
            return redirect("second-factor")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        if "recovery_codes" in context:
            return super().get_context_data(onwards=self.onwards(), **context)
        phone = second_factor.begin(user=self.request.user)
        picture = segno.make(phone.config_url, error="m")
        return super().get_context_data(
            picture=picture.svg_data_uri(scale=5, light="white"),
            key=_in_groups(phone.config_url.split("secret=")[1].split("&")[0]),
            is_demanded=settings.STAFF_TWO_FACTOR_REQUIRED,
            **context,
        )

    def form_valid(self, form: CodeForm) -> HttpResponse:
        try:
            phone, codes = second_factor.confirm(
                user=self.request.user, code=form.cleaned_data["code"], now=timezone.now()
            )
        except DomainError as refusal:
            form.add_error("code", refusal.message)
            return self.form_invalid(form)
        _note_as_verified(self.request, phone)
        return self.render_to_response(self.get_context_data(recovery_codes=codes))


def locked_out(request: HttpRequest, *_of_axes: Any) -> HttpResponse:
    """Too many wrong passwords: the same page whether the account exists or not."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    context = admin.site.each_context(request) | {"title": "Locked", "minutes": minutes}
    return TemplateResponse(
        request, "accounts/locked_out.html", context, status=settings.AXES_HTTP_RESPONSE_CODE
    ).render()


def _note_as_verified(request: HttpRequest, device: Any) -> None:
    request.session.cycle_key()  # what was known before the code is worth nothing after it
    django_otp.login(request, device)


def _in_groups(key: str) -> str:
    return " ".join(key[start : start + 4] for start in range(0, len(key), 4))
