"""Closing the month: the report page, and its rows as files."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, NamedTuple
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from billing.admin import report_tables
from billing.admin.report_lists import MonthLists
from billing.services import exports
from billing.services.reports import month as month_report
from billing.services.reports import months, rows
from billing.services.reports.months import Month
from catalog.models import Price

PERMISSION = "billing.view_report"
FORMS = ("csv", "xlsx")
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class MonthForm(forms.Form):
    """Which month, in which currency. Valid without any input: this month, the seller's own."""

    month = forms.ChoiceField()
    currency = forms.ChoiceField()

    def __init__(self, data: Any) -> None:
        now = timezone.now()
        this_month = Month.of(now)
        super().__init__(
            {
                "month": data.get("month") or str(this_month),
                "currency": data.get("currency") or settings.BILLING_DEFAULT_CURRENCY,
            }
        )
        self.months = months.every(first=month_report.first(now=now), last=this_month)
        self.fields["month"].choices = [
            (str(month), title(month)) for month in reversed(self.months)
        ]
        self.fields["currency"].choices = [(code, code) for code in _currencies()]

    def clean_month(self) -> Month:
        return Month.parse(self.cleaned_data["month"])


class Export(NamedTuple):
    """Some rows of a month, as files."""

    name: str
    title: str
    rows: Callable[..., QuerySet]
    csv: Callable[[QuerySet], Any]
    xlsx: Callable[[QuerySet], IO[bytes]]


EXPORTS = {
    export.name: export
    for export in (
        Export(
            "invoices",
            "Invoices that were issued",
            rows.issued,
            exports.invoices_csv,
            exports.invoices_xlsx,
        ),
        Export("lines", "The lines of these", rows.issued, exports.lines_csv, exports.lines_xlsx),
        Export(
            "open-invoices",
            "Invoices that are open at the end",
            rows.open_at_end,
            exports.invoices_csv,
            exports.invoices_xlsx,
        ),
        Export(
            "payments",
            "Payments received or refunded",
            rows.money_moved,
            exports.payments_csv,
            exports.payments_xlsx,
        ),
    )
}


@require_safe
def month_view(request: HttpRequest) -> HttpResponse:
    """The report. An address with a month or currency that there is none of is a 400."""
    _require_permission(request)
    form = MonthForm(request.GET)
    context = {**admin.site.each_context(request), "title": "Month report", "form": form}
    if form.is_valid():
        context |= _report(request, **form.cleaned_data) | _neighbours(form)
    status = 200 if form.is_valid() else 400
    return TemplateResponse(request, "admin/billing/report.html", context, status=status)


@require_safe
def export_view(request: HttpRequest, name: str, form: str) -> HttpResponseBase:
    """
    The month's rows as a file. CSV is sent while it is read; XLSX is a ZIP with its index at the
    end, so it is written to a temporary file first.
    """
    _require_permission(request)
    asked = MonthForm(request.GET)
    if not asked.is_valid():
        return HttpResponse("There is no such month or currency.", status=400)
    export = EXPORTS[name]
    found = export.rows(**asked.cleaned_data)
    file_name = "{0}-{month}-{currency}.{1}".format(name, form, **asked.cleaned_data)
    if form == "xlsx":
        return FileResponse(
            export.xlsx(found), as_attachment=True, filename=file_name, content_type=SPREADSHEET
        )
    return StreamingHttpResponse(
        export.csv(found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"'},
    )


def title(month: Month) -> str:
    return date_format(month.first_on, "F Y")


def address(month: Month, currency: str) -> str:
    return f"{reverse('month-report')}?{_query(month, currency)}"


def _report(request: HttpRequest, month: Month, currency: str) -> dict[str, Any]:
    now = timezone.now()
    report = month_report.read(month=month, currency=currency, now=now)
    lists = MonthLists(request, month=month, currency=currency)
    balances = [report_tables.receivables, report_tables.ages, report_tables.waiting]
    breakdowns = [report_tables.channels, report_tables.plans, report_tables.lines]
    return {
        "report": report,
        "period": f"{title(month)}, {currency}",
        "zone": settings.BILLING_TIME_ZONE,
        "key_figures": report_tables.key_figures(report, lists),
        "balances": [table(report, lists) for table in balances],
        "breakdowns": [table(report, lists) for table in breakdowns],
        "exports": [_files(export, month, currency) for export in EXPORTS.values()],
    }


def _files(export: Export, month: Month, currency: str) -> dict[str, str]:
    addresses = {
        form: f"{_address_of_file(export.name, form)}?{_query(month, currency)}" for form in FORMS
    }
    return {"title": export.title, **addresses}


def _address_of_file(name: str, form: str) -> str:
    return reverse("month-export", kwargs={"name": name, "form": form})


def _neighbours(form: MonthForm) -> dict[str, Any]:
    """The month before and the one after, where there is one."""
    month, currency = form.cleaned_data["month"], form.cleaned_data["currency"]

    def link(other: Month) -> dict[str, str]:
        is_shown = other in form.months
        return {"title": title(other), "link": address(other, currency)} if is_shown else {}

    return {"older": link(month.previous), "newer": link(month.next)}


def _query(month: Month, currency: str) -> str:
    return urlencode({"month": str(month), "currency": currency})


def _currencies() -> list[str]:
    """Those that anything has ever been sold in, and the seller's own."""
    codes = set(Price.objects.order_by().values_list("currency", flat=True).distinct())
    return sorted(codes | {settings.BILLING_DEFAULT_CURRENCY})


def _require_permission(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


urlpatterns = [path("reports/month/", admin.site.admin_view(month_view), name="month-report")] + [
    path(
        f"reports/month/{name}.{form}",
        admin.site.admin_view(export_view),
        {"name": name, "form": form},
        name="month-export",
    )
    for name in EXPORTS
    for form in FORMS
]
