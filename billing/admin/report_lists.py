"""The lists behind a month's figures: their addresses, and the filters that these need."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format

from billing.admin.filters import ChoiceFilter
from billing.admin.lists_behind import Lists
from billing.models import Invoice, Payment
from billing.services.analytics import spans
from billing.services.reports import rows
from billing.services.reports.months import Month

NOW = "now"
_WITH_DAYS = ("invoiced_at", "paid_at", "received_at")  # the lists have filters of their days


class MomentFilter(ChoiceFilter):
    """Rows that were in a state at a moment: now, or the one that the address names."""

    sentence: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list:
        choices = [(NOW, f"{self.sentence} now")]
        asked = request.GET.get(self.parameter_name or "", "")
        if moment := _parse(asked):
            shown = date_format(moment.astimezone(spans.zone()), "DATETIME_FORMAT")
            choices.append((asked, f"{self.sentence} on {shown}"))
        return choices

    def narrow(self, queryset: QuerySet, chosen: str) -> QuerySet:
        return queryset.filter(self.at(_parse(chosen) or timezone.now()))

    def at(self, moment: datetime) -> Q:
        raise NotImplementedError


class OpenAtFilter(MomentFilter):
    """Invoices that were still to be paid."""

    title = "open"
    parameter_name = "open_at"
    sentence = "Open"

    def at(self, moment: datetime) -> Q:
        return rows.open_at(moment)


class WaitingAtFilter(MomentFilter):
    """Payments that had no invoice."""

    title = "waiting"
    parameter_name = "waiting_at"
    sentence = "Without an invoice"

    def at(self, moment: datetime) -> Q:
        return rows.waiting_at(moment)


class MonthLists(Lists):
    """Of one month and currency; empty for what whoever asks may not open."""

    def __init__(self, request: HttpRequest, *, month: Month, currency: str) -> None:
        super().__init__(request)
        self.month = month
        self.currency = currency

    def of_invoices(self, column: str, **more: Any) -> str:
        """
        Invoices to which it happened in the month.

        :param column: ``invoiced_at``, ``cancelled_at`` or ``paid_at``
        """
        return self._of(Invoice, **self._in_month(column), **more)

    def of_open_invoices(self, at: datetime, **more: Any) -> str:
        return self._of(Invoice, open_at=self._moment(at), **more)

    def of_money(self, column: str, *, has_invoice: bool | None = None, **more: Any) -> str:
        """
        Payments to which it happened in the month.

        :param column: ``received_at`` or ``refunded_at``
        :param has_invoice: None for all of them
        """
        if has_invoice is not None:
            more["invoice__isnull"] = not has_invoice
        return self._of(Payment, **self._in_month(column), **more)

    def of_waiting_money(self, at: datetime) -> str:
        return self._of(Payment, waiting_at=self._moment(at))

    def _of(self, model: type[Invoice] | type[Payment], **query: Any) -> str:
        return self._address(model, currency=self.currency, **query)

    def _in_month(self, column: str) -> dict[str, str]:
        if column in _WITH_DAYS:
            last_on = self.month.next.first_on - timedelta(days=1)
            return {f"{column}_from": str(self.month.first_on), f"{column}_to": str(last_on)}
        bounds = rows.within(column, self.month)
        return {lookup: moment.isoformat() for lookup, moment in bounds.items()}

    def _moment(self, at: datetime) -> str:
        return NOW if at > timezone.now() else at.isoformat()


def _parse(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        moment.astimezone(spans.zone())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else None
