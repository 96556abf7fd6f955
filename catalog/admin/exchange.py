"""The catalogue as a file: for a spreadsheet, and back after a look at what it would do."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import NON_FIELD_ERRORS, BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from import_export.admin import ImportExportMixin
from import_export.forms import ConfirmImportForm
from import_export.results import InvalidRow, Result
from unfold.contrib.import_export.forms import ExportForm, ImportForm

from catalog.admin.exchange_files import (
    MOST_BYTES,
    CatalogueCSV,
    CatalogueXLSX,
    SignedStorage,
    UnreadableFile,
)
from catalog.admin.exchange_rows import ItemResource, resource_of

logger = logging.getLogger(__name__)
FORMATS = [CatalogueCSV, CatalogueXLSX]


class FileForm(ImportForm):
    def clean_import_file(self) -> Any:
        file = self.cleaned_data["import_file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(f"A file has at most {MOST_BYTES // 1024} KiB.")
        return file


class YesForm(ConfirmImportForm):
    """Carries the file that was read, and the digest of what it was seen to do."""

    shown = forms.CharField(widget=forms.HiddenInput)
    format = forms.ChoiceField(
        choices=[(str(number), number) for number in range(len(FORMATS))],
        widget=forms.HiddenInput,
    )
    resource = forms.ChoiceField(choices=[("0", 0)], widget=forms.HiddenInput, required=False)


class ExchangesFiles(ImportExportMixin):
    """Import and export of a list. Import needs the rights to add and to change."""

    formats = FORMATS
    import_form_class = FileForm
    confirm_form_class = YesForm
    export_form_class = ExportForm
    tmp_storage_class = SignedStorage
    to_encoding = "utf-8-sig"  # a mark: without it, a spreadsheet garbles the names
    import_template_name = "admin/catalog/import.html"
    export_template_name = "admin/catalog/export.html"

    def get_resource_classes(self, request: HttpRequest) -> list[type[ItemResource]]:
        return [resource_of(self.model)]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_export_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        try:
            return super().get_export_queryset(request)
        except IncorrectLookupParameters:
            raise BadRequest("There is no such filter.") from None

    # --- Import ---

    def import_action(self, request: HttpRequest, **options: Any) -> HttpResponse:
        """What the file would do, and the form that says yes to exactly that."""
        page = super().import_action(request, **options)
        context = page.context_data
        result = context.get("result")
        context |= {
            "title": f"Import {self.opts.verbose_name_plural}",
            "resource": resource_of(self.model)(),
            "list": self._list(),
        }
        if result is not None:
            context["counts"] = dict(result.totals)
            context["changed_rows"] = [row for row in result if row.is_new() or row.is_update()]
            context["faults"] = [
                (row.number, "" if column == NON_FIELD_ERRORS else column, said)
                for row in result
                if row.is_invalid()
                for column, said in InvalidRow(0, row.validation_error, ()).error_dict.items()
            ]
            if "confirm_form" in context:
                context["confirm_form"].initial["shown"] = result.digest
        return page

    def add_data_read_fail_error_to_form(self, form: forms.Form, e: Exception) -> None:
        if isinstance(e, UnreadableFile):
            form.add_error("import_file", e)
            return
        logger.warning("A file could not be read", exc_info=e)
        form.add_error(
            "import_file", "This file cannot be read: it is damaged, or of another kind."
        )

    def process_import(self, request: HttpRequest, **options: Any) -> HttpResponse:
        if not self.has_import_permission(request):
            raise PermissionDenied
        if request.method == "POST" and not self.create_confirm_form(request).is_valid():
            return self._once_more(request, "Choose the file first.")
        try:
            return super().process_import(request, **options)
        except UnreadableFile as fault:
            return self._once_more(request, " ".join(fault.messages))

    def get_import_data_kwargs(self, **options: Any) -> dict[str, Any]:
        form = options.get("form")
        expected = form.cleaned_data.get("shown", "") if form else ""
        return super().get_import_data_kwargs(**options) | {"expected": expected}

    def process_result(self, result: Result, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or result.has_validation_errors() or result.is_another:
            return self._once_more(
                request,
                "The catalogue has changed since you looked: nothing is imported. "
                "Choose the file once more.",
            )
        return super().process_result(result, request)

    def add_success_message(self, result: Result, request: HttpRequest) -> None:
        said = "Imported: {new} new, {update} changed, {skip} as before."
        messages.success(request, said.format(**result.totals))

    def generate_log_entries(self, result: Result, request: HttpRequest) -> None:
        for row in result:
            if row.is_new():
                self.log_addition(request, row.instance, "Imported from a file.")
            elif row.is_update():
                columns = ", ".join(change.column for change in row.changes)
                self.log_change(request, row.instance, f"Imported from a file: {columns}.")

    def _once_more(self, request: HttpRequest, why: str) -> HttpResponse:
        messages.error(request, why)
        return redirect(reverse(f"admin:{'_'.join(self.get_model_info())}_import"))

    def _list(self) -> str:
        return reverse(f"admin:{'_'.join(self.get_model_info())}_changelist")

    # --- Export ---

    def init_request_context_data(self, request: HttpRequest, form: Any) -> dict[str, Any]:
        return super().init_request_context_data(request, form) | {
            "title": f"Export {self.opts.verbose_name_plural}",
            "resource": resource_of(self.model)(),
            "list": self._list(),
        }
