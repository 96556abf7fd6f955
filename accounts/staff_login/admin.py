"""What superusers see of sign-ins: who is locked out, and whose second factor is on."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin

from accounts.services import second_factor


class SuperusersOnly(ModelAdmin):
    """They look and delete; nobody writes one of these by hand."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(TOTPDevice)
admin.site.unregister(StaticDevice)


@admin.register(TOTPDevice)
class PhoneAdmin(SuperusersOnly):
    """Deleting one turns the second factor off: at the next sign-in a new one is set up."""

    list_display = ("user", "confirmed", "created_at", "last_used_at")
    list_filter = ("confirmed",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    search_help_text = "E-mail"
    fields = ("user", "confirmed", "created_at", "last_used_at")  # and never the key

    def delete_model(self, request: HttpRequest, obj: TOTPDevice) -> None:
        second_factor.remove(user=obj.user, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TOTPDevice]) -> None:
        for phone in queryset.select_related("user"):
            self.delete_model(request, phone)


@admin.register(AccessAttempt)
class FailedSignInAdmin(SuperusersOnly):
    """Deleting one lets that address try that account again at once."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    list_filter = ("attempt_time",)
    search_fields = ("username", "ip_address")
    search_help_text = "E-mail or address"
    fields = (*list_display, "user_agent", "path_info")
