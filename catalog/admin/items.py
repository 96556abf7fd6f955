"""Plans, bundles and add-ons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import action

from catalog.admin import previews
from catalog.admin.confirmations import AsksBeforePriceChange
from catalog.admin.duplicates import DuplicateForm
from catalog.admin.exchange import ExchangesFiles
from catalog.admin.fields import SelectKnown, StorableJSONField, currency_field
from catalog.admin.filters import SoldInFilter
from catalog.admin.prices import PriceInline
from catalog.models import AddOn, Item, Plan, TokenBundle
from catalog.services import editing, items, prices
from config.errors import DomainError
from config.lists import ForgivingList


class ItemForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.archived_at is not None and cleaned.get("is_active"):
            self.add_error("is_active", "This is archived: restore it before it goes on sale.")
        return cleaned


class PlanForm(ItemForm):
    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if slug in editing.TAKEN_BY_THE_API:
            raise forms.ValidationError(f"“{slug}” is an address of the API: choose another slug.")
        return slug


class ItemAdmin(ForgivingList, ExchangesFiles, AsksBeforePriceChange):
    form = ItemForm
    inlines = [PriceInline]
    list_editable = ("sort_order",)
    list_select_related = ()
    ordering = ("sort_order", "name")
    ordering_field = "sort_order"  # rows can be drawn to their place; the numbers do it too
    readonly_fields = ("archived_at", "created_at", "updated_at")
    actions = ("activate", "deactivate", "archive", "restore")
    warn_unsaved_form = True
    actions_detail = ("preview", "duplicate")

    change_form_template = "admin/catalog/change_form.html"

    first_fields: tuple[Any, ...] = (("name", "slug"), ("billing_period", "is_active"))
    own_fields: tuple[Any, ...] = ()

    class Media:
        js = ("catalog/order.js",)

    # --- Lists ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        return prices.with_current_prices(super().get_queryset(request), now=timezone.now())

    @admin.display(description="Prices")
    def current_prices(self, item: Any) -> str:
        return ", ".join(str(price) for price in item.current_prices) or "—"

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without "delete selected": what was sold is archived, the rest is deleted one by one."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description="Put on sale", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        self._apply(request, queryset, "put on sale", lambda item: items.activate(item=item))

    @admin.action(description="Take off sale", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        self._apply(request, queryset, "taken off sale", lambda item: items.deactivate(item=item))

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        now = timezone.now()
        self._apply(request, queryset, "archived", lambda item: items.archive(item=item, now=now))

    @admin.action(description="Restore from the archive", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Item]) -> None:
        self._apply(request, queryset, "restored", lambda item: items.restore(item=item))

    def _apply(
        self,
        request: HttpRequest,
        queryset: QuerySet[Item],
        outcome: str,
        service: Callable[[Any], Any],
    ) -> None:
        done = 0
        for item in queryset:
            try:
                service(item)
            except DomainError as refusal:
                self.message_user(request, refusal.message, messages.ERROR)
            else:
                self.log_change(request, item, f"{outcome.capitalize()}.")
                done += 1
        if done:
            noun = self.opts.verbose_name if done == 1 else self.opts.verbose_name_plural
            self.message_user(request, f"{done} {noun} {outcome}.", messages.SUCCESS)

    # --- The page of one ---

    def get_fieldsets(self, request: HttpRequest, obj: Item | None = None) -> list:
        """The first stands above the prices, the others below them."""
        dates = () if obj is None else (("archived_at", "created_at", "updated_at"),)
        return [
            (None, {"fields": self.first_fields}),
            ("Details", {"fields": self.own_fields}),
            ("Order and currency", {"fields": (("default_currency", "sort_order"), *dates)}),
        ]

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "default_currency":
            return currency_field(db_field)
        if isinstance(db_field, models.JSONField):
            kwargs |= {
                "form_class": StorableJSONField,
                "empty": db_field.default,
                "shape": db_field.validators,
            }
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(db_field, models.JSONField | models.TextField):
            field.widget.attrs["rows"] = 4  # tall ones would push the prices out of sight
        return field

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Item | None:
        """While it is being saved, nobody else archives it, deletes it or sets its prices."""
        item = super().get_object(request, object_id, from_field)
        if item is None or request.method != "POST":
            return item
        return self.model.objects.lock(item.pk)

    # --- Deleting ---

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Of what was sold, say that it was sold, not that nobody may delete a subscription."""
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, (set() if protected else lacking), protected

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except items.ItemInUse as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect(
                f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change",
                object_id,
            )

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        """Of what cannot be deleted, say what can be done instead."""
        item = context["object"]
        context["offers_archive"] = bool(
            context.get("protected")
            and item.archived_at is None
            and self.has_change_permission(request, item)
        )
        return super().render_delete_form(request, context)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                "<path:object_id>/archive/",
                self.admin_site.admin_view(self.archive_view),
                name=f"{name}_archive",
            ),
            *super().get_urls(),
        ]

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the page of a refused deletion offers; only by a form."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            item: Any = self.get_object(request, object_id)
            if item is None or not self.has_change_permission(request, item):
                raise PermissionDenied
            items.archive(item=item, now=timezone.now())
            self.log_change(request, item, "Archived.")
        self.message_user(request, f"“{item}” is archived.", messages.SUCCESS)
        return redirect(self._page_of(item))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list:
        buttons = super().get_actions_detail(request, object_id)
        if self.has_add_permission(request):
            return buttons
        return [button for button in buttons if not button.action_name.endswith("duplicate")]

    @action(description="What the customer sees", url_path="preview", icon="visibility")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """As a card, and as the API's answer, made by what makes that."""
        item = super().get_object(request, object_id)
        if item is None or not self.has_view_permission(request, item):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "title": f"What the customer sees of “{item}”",
            "page": self._page_of(item),
            **previews.of(item, now=timezone.now()),
        }
        return TemplateResponse(request, "admin/catalog/preview.html", context)

    @action(description="Duplicate", url_path="duplicate", icon="content_copy")
    def duplicate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the new name and slug, then make another one like it, off sale at first."""
        item = super().get_object(request, object_id)
        if item is None or not (
            self.has_add_permission(request) and self.has_view_permission(request, item)
        ):
            raise PermissionDenied
        form = DuplicateForm(request.POST or None, item=item)
        if request.method == "POST" and form.is_valid():
            try:
                made = items.duplicate(item=item, **form.cleaned_data, now=timezone.now())
            except DomainError as refusal:  # somebody else has just taken the slug
                form.add_error(None, refusal.message)
            else:
                self.log_addition(request, made, f"Made like “{item}”.")
                said = f"“{made}” is made, with the prices of “{item}”, off sale."
                self.message_user(request, said, messages.SUCCESS)
                return redirect(self._page_of(made))
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "title": f"Duplicate “{item}”",
            "form": form,
            "page": self._page_of(item),
        }
        return TemplateResponse(request, "admin/catalog/duplicate.html", context)

    def _page_of(self, item: Item) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[item.pk])

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        items.delete(item=obj)


@admin.register(Plan)
class PlanAdmin(ItemAdmin):
    form = PlanForm
    list_display = ("name", "current_prices", "billing_period", "is_active", "sort_order")
    list_filter = (
        "is_active",
        "billing_period",
        SoldInFilter,
        ("archived_at", EmptyFieldListFilter),
    )
    search_fields = ("name", "slug", "description")
    prepopulated_fields = {"slug": ["name"]}
    own_fields = ("description", "features", ("trial_days", "is_trial_paid"), "arrival")


@admin.register(TokenBundle)
class TokenBundleAdmin(ItemAdmin):
    list_display = ("name", "current_prices", "token_amount", "is_active", "sort_order")
    list_filter = ("is_active", SoldInFilter, ("archived_at", EmptyFieldListFilter))
    search_fields = ("name", "description")
    first_fields = (("name", "token_amount"), "is_active")
    own_fields = ("description",)


@admin.register(AddOn)
class AddOnAdmin(ItemAdmin):
    list_display = ("name", "current_prices", "billing_period", "is_active", "sort_order")
    list_filter = (
        "is_active",
        "billing_period",
        SoldInFilter,
        ("archived_at", EmptyFieldListFilter),
        "plans",
    )
    search_fields = ("name", "slug", "description")
    prepopulated_fields = {"slug": ["name"]}
    autocomplete_fields = ("plans",)
    own_fields = ("description", "plans", "config")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["widget"] = SelectKnown(db_field, self.admin_site)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        with editing.binding_to_plans():
            super().save_related(request, form, formsets, change)
