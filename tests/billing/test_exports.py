"""Rows as files: exact, harmless in a spreadsheet, and read in pages."""

from __future__ import annotations

import csv
import io
import random
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal

import openpyxl
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import BillingDetails
from billing.admin.reports import EXPORTS
from billing.models import Invoice, Payment
from billing.services import exports, payments
from catalog.money import Money
from tests.billing.months import Books
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, StaffFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICES = {"USD": "29.00", "JPY": "2900", "KWD": "2.900"}


def told(chunks) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(chunks).decode("utf-8-sig"), newline="")))


def sheets(file) -> dict[str, list[tuple]]:
    with file:
        book = openpyxl.load_workbook(file)
        return {sheet.title: list(sheet.iter_rows()) for sheet in book}


def values(rows) -> list[list]:
    return [[cell.value for cell in row] for row in rows]


def sale(*, currency: str = "USD", **details: str) -> Invoice:
    user = UserFactory(email="ann@example.com")
    if details:
        BillingDetails.objects.create(user=user, **details)
    plan = PlanFactory(name="Pro", prices=PRICES)
    bundle = TokenBundleFactory(name="Starter", prices=PRICES)
    return check_out(user, plan=plan, bundles=[bundle], currency=currency, now=NOON).invoice


def fill(invoices: int) -> None:
    Books(random.Random(1), user=UserFactory(), plans=[PlanFactory()]).fill(invoices=invoices)


@pytest.mark.django_db
class TestInvoices:
    def test_tells_each_of_the_columns(self, settings):
        settings.BILLING_TIME_ZONE = "Europe/Berlin"
        invoice = sale(company="Müller & Søn", vat_id="DE123456789", country="DE")
        pay(invoice, reference="bank-17", now=NOON)

        (row,) = told(exports.invoices_csv(Invoice.objects.all()))

        assert row == {
            "Number": "INV-20260301-01-000001",
            "Issued at": "2026-03-01 13:00:00+01:00",
            "Due at": "2026-03-31 14:00:00+02:00",
            "Buyer": "Müller & Søn",
            "E-mail": "ann@example.com",
            "VAT id": "DE123456789",
            "Country": "DE",
            "Plan": "Pro",
            "Status": "paid",
            "Subtotal": "58.00",
            "Tax": "0.00",
            "Total": "58.00",
            "Currency": "USD",
            "Paid at": "2026-03-01 13:00:00+01:00",
            "Payment method": "bank_transfer",
            "Payment reference": "bank-17",
            "Cancelled at": "",
            "Id": str(invoice.pk),
        }

    @pytest.mark.parametrize(
        ("currency", "total"), [("USD", "58.00"), ("JPY", "5800"), ("KWD", "5.800")]
    )
    def test_has_amounts_with_the_currencys_own_places(self, currency, total):
        sale(currency=currency)

        (row,) = told(exports.invoices_csv(Invoice.objects.all()))

        assert row["Total"] == total

    @pytest.mark.parametrize("start", [*"=+-@\t\r\n＝＋－＠", " =", "\u00a0-"])
    def test_defuses_what_a_spreadsheet_would_run(self, start):
        sale(company=f'{start}HYPERLINK("http://example.com","pay")')

        (row,) = told(exports.invoices_csv(Invoice.objects.all()))

        assert row["Buyer"] == f'\'{start}HYPERLINK("http://example.com","pay")'

    def test_defuses_what_begins_a_cell_where_semicolons_end_one(self):
        sale(company="Ann;=1+1; -2;b")

        (row,) = told(exports.invoices_csv(Invoice.objects.all()))

        assert row["Buyer"] == "Ann;'=1+1;' -2;b"

    def test_keeps_what_is_harmless(self):
        sale(company='3 + 4 = "seven", GmbH\nsecond line')

        (row,) = told(exports.invoices_csv(Invoice.objects.all()))

        assert row["Buyer"] == '3 + 4 = "seven", GmbH\nsecond line'

    def test_begins_before_anything_is_read(self, django_assert_num_queries):
        chunks = exports.invoices_csv(Invoice.objects.all())

        with django_assert_num_queries(0):
            heading = next(chunks)

        assert heading.startswith(b"\xef\xbb\xbfNumber,Issued at,")

    def test_reads_page_by_page_without_a_cursor(self, monkeypatch):
        monkeypatch.setattr(exports, "PAGE", 10)
        fill(25)

        with CaptureQueriesContext(connection) as captured:
            rows = told(exports.invoices_csv(Invoice.objects.order_by("-number")))

        assert [query["sql"][:7] for query in captured] == ["SELECT "] * 3
        ids = [row["Id"] for row in rows]
        assert len(ids) == 25
        assert ids == sorted(ids)

    def test_misses_none_and_tells_none_twice_while_rows_come(self, monkeypatch):
        monkeypatch.setattr(exports, "PAGE", 10)
        fill(25)
        chunks = exports.invoices_csv(Invoice.objects.all())
        begun = [next(chunks), next(chunks)]
        sale()

        rows = told([*begun, *chunks])

        numbers = [row["Number"] for row in rows]
        assert len(numbers) == len(set(numbers)) == 26

    @pytest.mark.parametrize("invoices", [10, 20])
    def test_ends_with_a_full_page(self, monkeypatch, invoices):
        monkeypatch.setattr(exports, "PAGE", 10)
        fill(invoices)

        assert len(told(exports.invoices_csv(Invoice.objects.all()))) == invoices

    def test_takes_no_more_memory_for_many_rows(self, monkeypatch):
        monkeypatch.setattr(exports, "PAGE", 100)
        fill(2_000)
        peaks = []
        for rows in (200, 2_000):
            ids = list(Invoice.objects.order_by("pk").values_list("pk", flat=True)[:rows])
            chosen = Invoice.objects.filter(pk__lte=ids[-1])
            for _ in exports.invoices_csv(chosen):  # what is only made once is made here
                pass
            tracemalloc.start()
            for _ in exports.invoices_csv(chosen):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

        assert peaks[1] < peaks[0] * 1.5


@pytest.mark.django_db
class TestInvoicesAsSpreadsheet:
    def test_has_numbers_dates_and_texts(self, settings):
        settings.BILLING_TIME_ZONE = "Europe/Berlin"
        sale(company="=1+1", country="DE")

        heading, row = sheets(exports.invoices_xlsx(Invoice.objects.all()))["Invoices"]

        cells = {title.value: cell for title, cell in zip(heading, row, strict=True)}
        assert cells["Issued at (Europe/Berlin)"].value == datetime(2026, 3, 1, 13)  # noqa: DTZ001
        assert cells["Issued at (Europe/Berlin)"].is_date
        assert (cells["Total"].value, cells["Total"].data_type) == (58, "n")
        assert cells["Total"].number_format == "[$USD] #,##0.00"
        assert (cells["Buyer"].value, cells["Buyer"].data_type) == ("=1+1", "s")
        assert (cells["Buyer"].quotePrefix, cells["Country"].quotePrefix) == (True, False)
        assert cells["Paid at (Europe/Berlin)"].value is None

    @pytest.mark.parametrize(
        ("currency", "shown"), [("JPY", "[$JPY] #,##0"), ("KWD", "[$KWD] #,##0.000")]
    )
    def test_shows_the_currencys_own_places(self, currency, shown):
        sale(currency=currency)

        heading, row = sheets(exports.invoices_xlsx(Invoice.objects.all()))["Invoices"]

        formats = {
            title.value: cell.number_format for title, cell in zip(heading, row, strict=True)
        }
        assert formats["Total"] == shown

    def test_writes_out_what_a_number_there_would_round(self):
        price = "12345678901234.56"
        plan = PlanFactory(prices={"USD": price})
        check_out(UserFactory(), plan=plan, currency="USD", now=NOON)

        heading, row = sheets(exports.invoices_xlsx(Invoice.objects.all()))["Invoices"]

        cells = {title.value: cell.value for title, cell in zip(heading, row, strict=True)}
        assert cells["Total"] == price

    def test_goes_on_on_another_sheet_when_one_is_full(self, monkeypatch):
        monkeypatch.setattr(exports, "ROWS_OF_SHEET", 11)
        fill(25)

        found = sheets(exports.invoices_xlsx(Invoice.objects.all()))

        assert {title: len(rows) for title, rows in found.items()} == {
            "Invoices": 11,
            "Invoices 2": 11,
            "Invoices 3": 6,
        }
        numbers = [row[0].value for rows in found.values() for row in rows[1:]]
        assert len(set(numbers)) == 25

    def test_of_nothing_has_its_heading(self):
        found = sheets(exports.invoices_xlsx(Invoice.objects.none()))

        assert values(found["Invoices"])[0][:2] == ["Number", "Issued at (UTC)"]


@pytest.mark.django_db
class TestLines:
    def test_tells_each_line_under_its_invoice(self):
        sale(currency="KWD")

        rows = told(exports.lines_csv(Invoice.objects.all()))

        assert [(row["Line"], row["Kind"], row["Description"]) for row in rows] == [
            ("1", "subscription", "Pro"),
            ("2", "token_bundle", "Starter"),
        ]
        assert [(row["Quantity"], row["Unit price"], row["Amount"]) for row in rows] == [
            ("1", "2.900", "2.900")
        ] * 2

    def test_add_up_to_the_invoices(self, monkeypatch):
        monkeypatch.setattr(exports, "PAGE", 10)
        fill(45)

        in_dollars = Invoice.objects.filter(currency="USD")
        subtotals = [row["Subtotal"] for row in told(exports.invoices_csv(in_dollars))]
        amounts = [row["Amount"] for row in told(exports.lines_csv(in_dollars))]

        assert sum(map(Decimal, amounts)) == sum(map(Decimal, subtotals)) > 0

    def test_are_numbers_in_a_spreadsheet(self):
        sale()

        heading, first, _second = sheets(exports.lines_xlsx(Invoice.objects.all()))["Lines"]

        cells = {title.value: cell.value for title, cell in zip(heading, first, strict=True)}
        assert (cells["Line"], cells["Quantity"], cells["Amount"]) == (1, 1, 29)


@pytest.mark.django_db
class TestPayments:
    def test_tells_matched_and_unmatched_ones(self):
        invoice = sale()
        pay(invoice, reference="bank-17", now=NOON)
        stray = payments.Notice(
            provider="bank",
            reference="-18",
            invoice_reference="@nobody",
            money=Money.parse("20.00", "USD"),
            method="bank_transfer",
        )
        with pytest.raises(payments.InvoiceNotFound):
            payments.capture(notice=stray, now=NOON)

        matched, unmatched = told(exports.payments_csv(Payment.objects.all()))

        assert matched["Invoice"] == "INV-20260301-01-000001"
        assert matched["E-mail"] == "ann@example.com"
        assert matched["Amount"] == "58.00"
        assert unmatched == {
            "Received at": "2026-03-01 12:00:00+00:00",
            "Provider": "bank",
            "Reference": "'-18",
            "Method": "bank_transfer",
            "Amount": "20.00",
            "Currency": "USD",
            "Status": "unmatched",
            "Why unmatched": "invoice_not_found",
            "Invoice": "",
            "Invoice that the payer named": "'@nobody",
            "E-mail": "",
            "Refunded at": "",
            "Refund reference": "",
            "Id": str(Payment.objects.get(reference="-18").pk),
        }

    def test_are_numbers_in_a_spreadsheet(self):
        pay(sale(), now=NOON)

        heading, row = sheets(exports.payments_xlsx(Payment.objects.all()))["Payments"]

        cells = {title.value: cell.value for title, cell in zip(heading, row, strict=True)}
        assert cells["Amount"] == 58


@pytest.mark.django_db
class TestEveryExport:
    """Of the month's report, as the admin offers it."""

    HOSTILE = '=HYPERLINK("http://example.com","pay")'

    @pytest.fixture
    def finance(self) -> Client:
        client = Client()
        client.force_login(
            StaffFactory(is_superuser=True), "django.contrib.auth.backends.ModelBackend"
        )
        return client

    @pytest.fixture(autouse=True)
    def hostile_rows(self) -> None:
        """Whatever people can write begins like a formula."""
        user = UserFactory(email="+ann@example.com")
        BillingDetails.objects.create(user=user, company=self.HOSTILE, vat_id="-1+1", country="DE")
        plan = PlanFactory(name="@SUM(1)", prices=PRICES)
        made = check_out(user, plan=plan, now=NOON)
        check_out(user, plan=plan, now=NOON)  # stays open
        notice = payments.Notice(
            provider="=bank",
            reference="-18",
            invoice_reference=str(made.invoice.pk),
            money=Money.parse("29.00", "USD"),
            method="+transfer",
        )
        payments.capture(notice=notice, now=NOON)

    @pytest.mark.parametrize("name", EXPORTS)
    def test_as_csv_has_no_formula(self, finance, name):
        response = finance.get(f"/admin/reports/month/{name}.csv?month=2026-03&currency=USD")

        rows = told(response.streaming_content)
        texts = [cell for row in rows for cell in row.values()]
        assert [text for text in texts if text.startswith(tuple("=+-@\t\r\n"))] == []
        assert sum(text.startswith("'") for text in texts) >= 3

    @pytest.mark.parametrize("name", EXPORTS)
    def test_as_xlsx_has_no_formula(self, finance, name):
        response = finance.get(f"/admin/reports/month/{name}.xlsx?month=2026-03&currency=USD")

        found = sheets(io.BytesIO(response.getvalue()))
        cells = [cell for rows in found.values() for row in rows for cell in row]
        assert {cell.data_type for cell in cells} <= {"s", "n", "d"}
        hostile = [cell for cell in cells if str(cell.value).startswith(tuple("=+-@"))]
        assert len(hostile) >= 3
        assert all(cell.quotePrefix for cell in hostile)
