"""People in the admin: customers, staff, and what staff may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.decorators import method_decorator
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm as UnfoldPasswordChangeForm
from unfold.forms import UserChangeForm as UnfoldUserChangeForm
from unfold.forms import UserCreationForm as UnfoldUserCreationForm

from accounts.models import BillingDetails, User
from accounts.services import customers, details, passwords
from accounts.services.details import UnknownCountry
from accounts.staff_login import admin as staff_login  # noqa: F401 - registers its own pages
from config.errors import DomainError
from config.lists import ForgivingList

# Whoever could edit one of these could make themselves or a friend anything.
GIVEN = ("groups", "user_permissions")
RIGHTS = ("is_staff", "is_superuser", *GIVEN)


class LowerCaseEmail:
    """Takes an e-mail in any case, as the API does."""

    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        return User.objects.normalize_email(self.cleaned_data["email"])


class UserCreationForm(LowerCaseEmail, UnfoldUserCreationForm):
    usable_password = None

    class Meta:
        model = User
        fields = ("email", "language")


class UserChangeForm(LowerCaseEmail, UnfoldUserChangeForm):
    class Meta:
        model = User
        fields = ("email", "language", *RIGHTS)


class PasswordChangeForm(UnfoldPasswordChangeForm):
    """Sets somebody's password and ends all their sessions."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.fields.pop("usable_password", None)

    def save(self, commit: bool = True) -> User:
        self.user = passwords.replace(
            user=self.user, new_password=self.cleaned_data["password1"], now=timezone.now()
        )
        return self.user


class BillingDetailsForm(forms.ModelForm):
    class Meta:
        model = BillingDetails
        fields = ("first_name", "last_name", "company", "vat_id", "phone") + (
            "address_line_1",
            "address_line_2",
            "postal_code",
            "city",
            "country",
        )

    def clean_country(self) -> str:
        try:
            return details.country_code(self.cleaned_data["country"])
        except UnknownCountry as refusal:
            raise forms.ValidationError(refusal.fields["country"]) from None


class BillingDetailsInline(StackedInline):
    model = BillingDetails
    form = BillingDetailsForm
    can_delete = False


@admin.register(User)
class UserAdmin(ForgivingList, DjangoUserAdmin, ModelAdmin):
    """
    Customers for all who may change users; staff, and who is staff, for superusers only.

    Nobody is deleted here: invoices and payments refer to them. An account is closed instead,
    by whoever has the right to delete users.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = PasswordChangeForm
    inlines = [BillingDetailsInline]
    actions = ["suspend", "activate", "close"]

    list_display = ("email", "shown_status", "shown_role", "created_at", "last_login")
    list_filter = ("status", "is_staff", "groups")
    search_fields = ("email",)
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False

    add_fieldsets = ((None, {"fields": ("email", "language", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "language", "password", "status", "created_at", "last_login")}),
        ("Rights", {"fields": RIGHTS}),
    )
    readonly_fields = ("status", "created_at", "last_login")  # status: by the actions

    @display(
        description="status",
        ordering="status",
        label={"active": "success", "suspended": "danger", "pending": "warning"},
    )
    def shown_status(self, user: User) -> str:
        return user.status

    @display(description="role", ordering="is_staff")
    def shown_role(self, user: User) -> str:
        return user.role

    # --- Who may do what ---

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # A new e-mail is as good as a new password, so all of a staff member is out of reach.
        if obj is not None and not customers.is_within_reach(user=obj, by=request.user):
            return False
        return super().has_change_permission(request, obj)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> User | None:
        """While one is being saved, nobody else gives them rights that put them out of reach."""
        user = super().get_object(request, object_id, from_field)
        is_saving = request.method == "POST" and transaction.get_connection().in_atomic_block
        return User.objects.lock(user.pk) if user and is_saving else user

    @method_decorator(transaction.atomic)
    def user_change_password(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        return super().user_change_password(request, *args, **options)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def has_close_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.delete_user")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> list:
        """A customer has no rights, and whoever cannot give them any need not read that."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or request.user.is_superuser or obj.is_employed:
            return fieldsets
        return [fieldset for fieldset in fieldsets if fieldset[0] != "Rights"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple:
        rights = () if request.user.is_superuser else RIGHTS
        return (*self.readonly_fields, *rights)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[dict[str, Any]]:
        """
        Name the groups and permissions that were given and taken: no row's column tells them.

        The form's own "Changed Groups." would not say which.
        """
        message = super().construct_change_message(request, form, formsets, add)
        for name in GIVEN:
            if name not in form.changed_data:
                continue
            field, before = form.fields[name], set(form.initial.get(name) or [])
            after = set(form.cleaned_data[name])
            noun = str(field.queryset.model._meta.verbose_name)
            for part in message:
                labels = part.get("changed", {}).get("fields", [])
                part.get("changed", {})["fields"] = [one for one in labels if one != field.label]
            for verb, rows in (("added", after - before), ("deleted", before - after)):
                message += [
                    {verb: {"name": noun, "object": str(row)}} for row in sorted(rows, key=str)
                ]
        return [part for part in message if part.get("changed", {"fields": True})["fields"]]

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list:
        return self.inlines if obj else []

    # --- Actions ---

    @action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._each(request, queryset, customers.suspend, "suspended")

    @action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._each(request, queryset, customers.activate, "active")

    @action(description="Close for good", permissions=["close"])
    def close(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._each(request, queryset, customers.close, "closed")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[User],
        change: Callable[..., User],
        outcome: str,
    ) -> None:
        done = 0
        for user in queryset:
            try:
                changed = change(user=user, by=request.user, reason="", now=timezone.now())
            except customers.OutOfReach as refusal:  # it names the account itself
                self.message_user(request, refusal.message, messages.ERROR)
                continue
            except DomainError as refusal:
                self.message_user(request, f"{user}: {refusal.message}", messages.ERROR)
                continue
            self.log_change(request, changed, f"Made {outcome}.")
            done += 1
        if done:
            self.message_user(request, f"Accounts made {outcome}: {done}.", messages.SUCCESS)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """What a group may do. For superusers: a member could give it, and so themselves, more."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser
