"""
Rows as files for people's own tools: CSV and XLSX, of any number of rows in little memory.

Rows are read page by page, each page a statement of its own after the last id: that needs no
cursor which would have to live between statements, so it works behind a connection pooler too. A
row that changes while it is read may be told in either state; none is missed or told twice.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from tempfile import TemporaryFile
from typing import IO, Any

import xlsxwriter
from django.db.models import QuerySet
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from billing.models import Invoice, InvoiceLineItem, Payment
from billing.services.analytics import spans
from catalog.money import amount_string, places

PAGE = 2_000  # rows of a statement
ROWS_OF_SHEET = 1_048_576  # of an XLSX, its heading too
DIGITS_OF_NUMBER = 15  # of an XLSX: a spreadsheet's numbers are exact up to here
# What a spreadsheet takes for a formula, or for the end of the cell before:
# https://owasp.org/www-community/attacks/CSV_Injection
# The full-width forms are those of Japanese spreadsheets.
FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")
# Half of Europe's spreadsheets end cells with semicolons, whatever the file means by them.
AFTER_SEMICOLON = re.compile(r";(?=\s*[=+\-@＝＋－＠])")


class Kind(Enum):
    TEXT = auto()
    AMOUNT = auto()
    MOMENT = auto()
    COUNT = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """
    :param read: takes the value out of a row; None is an empty cell
    :param currency: where ``kind`` is an amount: takes out its currency
    """

    title: str
    read: Callable[[Any], Any]
    kind: Kind = Kind.TEXT
    currency: Callable[[Any], str] = lambda row: row.currency


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows in pages, and what is told of each."""

    name: str
    columns: tuple[Column, ...]
    pages: Iterable[list[Any]]


def invoices_csv(queryset: QuerySet[Invoice]) -> Iterator[bytes]:
    """Stream invoices, the oldest first: the heading at once, then page by page."""
    return _csv(_invoices(queryset))


def invoices_xlsx(queryset: QuerySet[Invoice]) -> IO[bytes]:
    """Write invoices, the oldest first, to a temporary file that goes when it is closed."""
    return _xlsx(_invoices(queryset))


def lines_csv(queryset: QuerySet[Invoice]) -> Iterator[bytes]:
    """Stream the lines of these invoices."""
    return _csv(_lines(queryset))


def lines_xlsx(queryset: QuerySet[Invoice]) -> IO[bytes]:
    """Write the lines of these invoices to a temporary file that goes when it is closed."""
    return _xlsx(_lines(queryset))


def payments_csv(queryset: QuerySet[Payment]) -> Iterator[bytes]:
    """Stream payments, the oldest first."""
    return _csv(_payments(queryset))


def payments_xlsx(queryset: QuerySet[Payment]) -> IO[bytes]:
    """Write payments, the oldest first, to a temporary file that goes when it is closed."""
    return _xlsx(_payments(queryset))


# --- Which columns ---


def _buyer(buyer: dict[str, str]) -> str:
    """The company, or else the person."""
    person = f"{buyer.get('first_name', '')} {buyer.get('last_name', '')}".strip()
    return buyer.get("company") or person or buyer.get("email", "")


_INVOICE = (
    Column("Number", lambda row: row.number),
    Column("Issued at", lambda row: row.invoiced_at, Kind.MOMENT),
    Column("Due at", lambda row: row.expires_at, Kind.MOMENT),
    Column("Buyer", lambda row: _buyer(row.buyer)),
    Column("E-mail", lambda row: row.buyer.get("email")),
    Column("VAT id", lambda row: row.buyer.get("vat_id")),
    Column("Country", lambda row: row.buyer.get("country")),
    Column("Plan", lambda row: row.plan__name),
    Column("Status", lambda row: row.status),
    Column("Subtotal", lambda row: row.subtotal, Kind.AMOUNT),
    Column("Tax", lambda row: row.tax_amount, Kind.AMOUNT),
    Column("Total", lambda row: row.total_amount, Kind.AMOUNT),
    Column("Currency", lambda row: row.currency),
    Column("Paid at", lambda row: row.paid_at, Kind.MOMENT),
    Column("Payment method", lambda row: row.payment_method),
    Column("Payment reference", lambda row: row.payment_ref),
    Column("Cancelled at", lambda row: row.cancelled_at, Kind.MOMENT),
    Column("Id", lambda row: str(row.id)),
)
_PAYMENT = (
    Column("Received at", lambda row: row.received_at, Kind.MOMENT),
    Column("Provider", lambda row: row.provider),
    Column("Reference", lambda row: row.reference),
    Column("Method", lambda row: row.method),
    Column("Amount", lambda row: row.amount, Kind.AMOUNT),
    Column("Currency", lambda row: row.currency),
    Column("Status", lambda row: row.status),
    Column("Why unmatched", lambda row: row.unmatched_reason),
    Column("Invoice", lambda row: row.invoice__number),
    Column("Invoice that the payer named", lambda row: row.invoice_reference),
    Column("E-mail", lambda row: row.user__email),
    Column("Refunded at", lambda row: row.refunded_at, Kind.MOMENT),
    Column("Refund reference", lambda row: row.refund_reference),
    Column("Id", lambda row: str(row.id)),
)


def _line_currency(row: Any) -> str:
    return row.invoice__currency


_LINE = (
    Column("Invoice", lambda row: row.invoice__number),
    Column("Issued at", lambda row: row.invoice__invoiced_at, Kind.MOMENT),
    Column("Buyer", lambda row: _buyer(row.invoice__buyer)),
    Column("Country", lambda row: row.invoice__buyer.get("country")),
    Column("Status", lambda row: row.invoice__status),
    Column("Line", lambda row: row.position, Kind.COUNT),
    Column("Kind", lambda row: row.type),
    Column("Description", lambda row: row.description),
    Column("Quantity", lambda row: row.quantity, Kind.COUNT),
    Column("Unit price", lambda row: row.unit_price, Kind.AMOUNT, _line_currency),
    Column("Amount", lambda row: row.amount, Kind.AMOUNT, _line_currency),
    Column("Currency", _line_currency),
)


# --- Which rows ---


def _invoices(queryset: QuerySet[Invoice]) -> Sheet:
    asked = ["id", "number", "invoiced_at", "expires_at", "buyer", "plan__name", "status"]
    asked += ["subtotal", "tax_amount", "total_amount", "currency"]
    asked += ["paid_at", "payment_method", "payment_ref", "cancelled_at"]
    return Sheet("Invoices", _INVOICE, _pages(queryset, asked))


def _payments(queryset: QuerySet[Payment]) -> Sheet:
    asked = ["id", "received_at", "provider", "reference", "method", "amount", "currency"]
    asked += ["status", "unmatched_reason", "invoice__number", "invoice_reference", "user__email"]
    asked += ["refunded_at", "refund_reference"]
    return Sheet("Payments", _PAYMENT, _pages(queryset, asked))


def _lines(queryset: QuerySet[Invoice]) -> Sheet:
    asked = [f"invoice__{name}" for name in ("number", "invoiced_at", "buyer", "status")]
    asked += ["invoice__currency", "position", "type", "description", "quantity"]
    asked += ["unit_price", "amount"]
    pages = (
        list(
            InvoiceLineItem.objects.filter(invoice__in=[row.id for row in page])
            .order_by("invoice_id", "position")
            .values_list(*asked, named=True)
        )
        for page in _pages(queryset, ["id"])
    )
    return Sheet("Lines", _LINE, pages)


def _pages(queryset: QuerySet[Any], asked: list[str]) -> Iterator[list[Any]]:
    """By id, which is by time."""
    ordered = queryset.order_by("pk").values_list(*asked, named=True)
    page = list(ordered[:PAGE])
    while page:
        yield page
        if len(page) < PAGE:
            return
        page = list(ordered.filter(pk__gt=page[-1].id)[:PAGE])


# --- How they are written ---


def _csv(sheet: Sheet) -> Iterator[bytes]:
    """UTF-8 with a mark that says so: without it, a spreadsheet garbles the names."""
    yield "\ufeff".encode() + _csv_lines([[column.title for column in sheet.columns]])
    for page in sheet.pages:
        yield _csv_lines([_csv_text(column, row) for column in sheet.columns] for row in page)


def _csv_lines(rows: Iterable[list[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def _csv_text(column: Column, row: Any) -> str:
    value = column.read(row)
    if value is None:
        return ""
    match column.kind:
        case Kind.AMOUNT:
            return amount_string(value, column.currency(row))
        case Kind.MOMENT:
            return value.astimezone(spans.zone()).isoformat(sep=" ", timespec="seconds")
        case Kind.COUNT:
            return str(value)
    value = AFTER_SEMICOLON.sub(";'", value)
    return f"'{value}" if FORMULA.match(value) else value


def _xlsx(sheet: Sheet) -> IO[bytes]:
    with ExitStack() as stack:
        file = stack.enter_context(TemporaryFile(suffix=".xlsx"))
        with xlsxwriter.Workbook(file, {"constant_memory": True}) as workbook:
            _Writer(workbook, sheet).write()
        file.seek(0)
        stack.pop_all()  # whoever gets it closes it
        return file


class _Writer:
    """Writes a sheet's rows in their order, and goes on on another sheet when one is full."""

    def __init__(self, workbook: xlsxwriter.Workbook, sheet: Sheet) -> None:
        self.workbook = workbook
        self.sheet = sheet
        self.bold = workbook.add_format({"bold": True})
        self.moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        # A text, and it stays one when somebody edits the cell.
        self.quoted = workbook.add_format({"quote_prefix": True})
        self.amounts: dict[str, Format] = {}
        self.zone = spans.zone()

    def write(self) -> None:
        worksheet, line = self._begin(1), 1
        for page in self.sheet.pages:
            for row in page:
                if line == ROWS_OF_SHEET:
                    self._end(worksheet, line)
                    worksheet, line = self._begin(len(self.workbook.worksheets()) + 1), 1
                for position, column in enumerate(self.sheet.columns):
                    self._write_cell(worksheet, line, position, column, row)
                line += 1
        self._end(worksheet, line)

    def _begin(self, number: int) -> Worksheet:
        name = self.sheet.name if number == 1 else f"{self.sheet.name} {number}"
        worksheet = self.workbook.add_worksheet(name)
        worksheet.freeze_panes(1, 0)
        for position, column in enumerate(self.sheet.columns):
            is_moment = column.kind is Kind.MOMENT
            title = f"{column.title} ({self.zone.key})" if is_moment else column.title
            worksheet.set_column(position, position, max(len(title) + 2, 14))
            worksheet.write_string(0, position, title, self.bold)
        return worksheet

    def _end(self, worksheet: Worksheet, lines: int) -> None:
        worksheet.autofilter(0, 0, lines - 1, len(self.sheet.columns) - 1)

    def _write_cell(
        self, worksheet: Worksheet, line: int, position: int, column: Column, row: Any
    ) -> None:
        value = column.read(row)
        if value is None or value == "":
            return
        match column.kind:
            case Kind.AMOUNT:
                self._write_amount(worksheet, line, position, value, column.currency(row))
            case Kind.MOMENT:
                worksheet.write_datetime(line, position, self._local(value), self.moment)
            case Kind.COUNT:
                worksheet.write_number(line, position, value)
            case Kind.TEXT:
                # Never write(): that would make a formula or a link of what looks like one.
                quoted = self.quoted if FORMULA.match(value) else None
                worksheet.write_string(line, position, value, quoted)

    def _write_amount(
        self, worksheet: Worksheet, line: int, position: int, amount: Decimal, currency: str
    ) -> None:
        if len(amount.normalize().as_tuple().digits) > DIGITS_OF_NUMBER:
            worksheet.write_string(line, position, amount_string(amount, currency))
        else:
            worksheet.write_number(line, position, amount, self._amount_format(currency))

    def _amount_format(self, currency: str) -> Format:
        if currency not in self.amounts:
            shown = f"[${currency}] #,##0" + ("." + "0" * places(currency)).rstrip(".")
            self.amounts[currency] = self.workbook.add_format({"num_format": shown})
        return self.amounts[currency]

    def _local(self, moment: datetime) -> datetime:
        """A spreadsheet's moments know no time zone; the heading says which one it is."""
        return moment.astimezone(self.zone).replace(tzinfo=None, microsecond=0)
