"""The month: each figure is what the rows say, to the cent, and the balances add up."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Invoice, Payment
from billing.services import payments, refunds, subscriptions
from billing.services.reports import month as month_report
from billing.services.reports import months, rows
from billing.services.reports.figures import Entry, Figure
from billing.services.reports.month import TAX, Movement
from billing.services.reports.months import Month
from catalog.money import Money
from tests.billing.months import BERLIN, STEPS, Books
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, StaffFactory, UserFactory
from tests.threads import at_once

NOW = datetime(2026, 8, 1, tzinfo=UTC)
MARCH, APRIL = Month(date(2026, 3, 1)), Month(date(2026, 4, 1))
BACKEND = "django.contrib.auth.backends.ModelBackend"
PAGE = "/admin/reports/month/"


def moment(day: int, month: int = 3) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=UTC)


def usd(count: int, amount: str) -> Figure:
    return Figure(count, Money.parse(amount, "USD"))


def browser_of(user) -> Client:
    client = Client()
    client.force_login(user, BACKEND)
    return client


@pytest.fixture
def finance(roles) -> Client:
    staff = StaffFactory()
    staff.groups.add(roles["Finance"])
    return browser_of(staff)


@pytest.fixture
def berlin(settings) -> ZoneInfo:
    settings.BILLING_TIME_ZONE = BERLIN.key
    return BERLIN


def books(seed: int, *, invoices: int = 120) -> Books:
    plans = [PlanFactory(prices=dict.fromkeys(STEPS, "1")) for _ in range(3)]
    made = Books(random.Random(seed), user=UserFactory(), plans=plans)
    made.fill(invoices=invoices)
    return made


# --- The month of docs/billing-rules.md, by the services ---


def sale(price: str, *, issued: datetime) -> Invoice:
    return check_out(UserFactory(), plan=PlanFactory(prices={"USD": price}), now=issued).invoice


def stray(amount: str, *, received: datetime) -> Payment:
    """Money that names an invoice there is none of."""
    notice = payments.Notice(
        provider="bank",
        reference=f"stray-{received:%m-%d}",
        invoice_reference="?",
        money=Money.parse(amount, "USD"),
        method="bank_transfer",
    )
    with pytest.raises(payments.InvoiceNotFound) as refused:
        payments.capture(notice=notice, now=received)
    return Payment.objects.get(pk=refused.value.context["payment_id"])


@pytest.fixture
def march(db) -> None:
    boss = StaffFactory(is_superuser=True)
    from_february = sale("29.00", issued=moment(20, month=2))
    pay(from_february, now=moment(3))
    refunded = sale("60.00", issued=moment(5))
    pay(refunded, now=moment(6))
    refunds.refund(invoice=refunded, reference="back", by=boss, reason="asked", now=moment(25))
    given_up = check_out(
        UserFactory(), plan=PlanFactory(prices={"USD": "35.00"}), now=moment(10)
    ).subscription
    assert given_up
    subscriptions.cancel(subscription=given_up, now=moment(12))
    sale("99.00", issued=moment(20))
    stray("20.00", received=moment(28))
    early = stray("40.00", received=moment(30))
    later = sale("40.00", issued=moment(2, month=4))
    payments.assign(
        payment=early, invoice=later, by=boss, reason="the same sum", now=moment(3, month=4)
    )


@pytest.mark.usefixtures("march")
class TestTheMonthOfTheRules:
    def test_march_is_as_written(self):
        report = month_report.read(month=MARCH, currency="USD", now=NOW)

        assert report.moved == {
            Movement.INVOICED: usd(3, "194.00"),
            Movement.CANCELLED: usd(1, "35.00"),
            Movement.PAID: usd(3, "129.00"),
            Movement.REFUNDED: usd(1, "60.00"),
        }
        assert report.receivables.opening == usd(1, "29.00")
        assert report.receivables.entries[Entry.PAID_FOR_LATER] == usd(1, "40.00")
        assert report.receivables.entries[Entry.PAID_BEFORE] == usd(0, "0.00")
        assert report.receivables.closing == usd(1, "99.00")
        assert report.waiting.opening == usd(0, "0.00")
        assert report.waiting.entries[Entry.RECEIVED] == usd(1, "20.00")
        assert report.waiting.closing == usd(1, "20.00")
        assert report.adds_up
        call_command("verify_books")

    def test_april_takes_over_where_march_ended(self):
        report = month_report.read(month=APRIL, currency="USD", now=NOW)

        assert report.receivables.opening == usd(1, "99.00")
        assert report.receivables.entries[Entry.INVOICED] == usd(1, "40.00")
        assert report.receivables.entries[Entry.PAID] == usd(0, "0.00")
        assert report.receivables.entries[Entry.PAID_BEFORE] == usd(1, "40.00")
        assert report.receivables.closing == usd(1, "99.00")
        assert report.adds_up

    def test_the_page_shows_it(self, finance, clock):
        clock.move_to(NOW)

        page = finance.get(PAGE, {"month": "2026-03", "currency": "USD"}).content.decode()

        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
        assert "Open when the month began 1 $29.00" in text
        assert "+ Invoiced 3 $194.00" in text
        assert "− Cancelled 1 $35.00" in text
        assert "− Paid 3 $129.00" in text
        assert "+ Paid before the invoice: issued after this month 1 $40.00" in text
        assert "= Open when it ended 1 $99.00" in text
        assert "does not add up" not in text


# --- Against a plain recomputation ---


class Recomputed:
    """The same month, row by row."""

    def __init__(self, kept: Books, month: Month, currency: str, zone: ZoneInfo) -> None:
        self.month, self.zone = month, zone
        first = month.first_on
        following = (first + timedelta(days=31)).replace(day=1)
        self.start = datetime(first.year, first.month, 1, tzinfo=zone)
        self.end = datetime(following.year, following.month, 1, tzinfo=zone)
        self.invoices = [row for row in kept.invoices if row.currency == currency]
        self.payments = [row for row in kept.payments if row.currency == currency]
        self.payment_of = {row.invoice_id: row for row in self.payments if row.invoice_id}
        self.lines: dict = {}
        for line in kept.lines:
            self.lines.setdefault(line.invoice_id, []).append(line)

    def has(self, at: datetime | None) -> bool:
        return at is not None and self.start <= at < self.end

    def invoices_moved(self) -> dict[Movement, list[Invoice]]:
        by_id = {invoice.pk: invoice for invoice in self.invoices}
        paid = [p.invoice_id for p in self.payments if p.invoice_id and self.has(p.received_at)]
        back = [p.invoice_id for p in self.payments if p.invoice_id and self.has(p.refunded_at)]
        return {
            Movement.INVOICED: [row for row in self.invoices if self.has(row.invoiced_at)],
            Movement.CANCELLED: [row for row in self.invoices if self.has(row.cancelled_at)],
            Movement.PAID: [by_id[pk] for pk in paid],
            Movement.REFUNDED: [by_id[pk] for pk in back],
        }

    def left_at(self, invoice: Invoice) -> datetime | None:
        if invoice.pk in self.payment_of:
            return self.payment_of[invoice.pk].received_at
        return invoice.cancelled_at or invoice.paid_at

    def open_at(self, at: datetime) -> list[Invoice]:
        return [
            row
            for row in self.invoices
            if row.invoiced_at < at and ((left := self.left_at(row)) is None or left >= at)
        ]

    def waiting_at(self, at: datetime) -> list[Payment]:
        return [
            row
            for row in self.payments
            if row.invoice_id is None
            and row.received_at < at
            and (row.refunded_at is None or row.refunded_at >= at)
        ]

    def days_open(self, invoice: Invoice) -> int:
        last = (self.end - timedelta(microseconds=1)).astimezone(self.zone).date()
        return (last - invoice.invoiced_at.astimezone(self.zone).date()).days


def total(invoices) -> Decimal:
    return sum((invoice.total_amount for invoice in invoices), Decimal(0))


def worth(paid) -> Decimal:
    return sum((payment.amount for payment in paid), Decimal(0))


def pair(figure: Figure) -> tuple[int, Decimal]:
    return figure.count, figure.amount.amount


SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])
CURRENCIES = pytest.mark.parametrize("currency", list(STEPS))
MONTHS = [Month(date(2026, number, 1)) for number in range(1, 8)]


@pytest.mark.django_db
class TestRead:
    @SEEDS
    def test_is_what_the_rows_say(self, seed, berlin):
        kept = books(seed)

        for currency in STEPS:
            for month in MONTHS:
                report = month_report.read(month=month, currency=currency, now=NOW)
                self._compare(report, Recomputed(kept, month, currency, berlin))

    def _compare(self, report, known: Recomputed) -> None:
        moved = known.invoices_moved()
        for movement, invoices in moved.items():
            assert pair(report.moved[movement]) == (len(invoices), total(invoices))
        self._compare_parts(report, known, moved)
        self._compare_balances(report, known)
        self._compare_ages(report, known)
        self._compare_channels(report, known)

    def _compare_parts(self, report, known: Recomputed, moved) -> None:
        plans = {plan.plan_id: plan.moved for plan in report.plans}
        kinds = {line.kind: line.moved for line in report.lines}
        for movement, invoices in moved.items():
            by_plan: dict = {}
            by_kind: Counter = Counter()
            for invoice in invoices:
                by_plan.setdefault(invoice.plan_id, []).append(invoice)
                by_kind[TAX] += invoice.tax_amount
                for line in known.lines[invoice.pk]:
                    by_kind[line.type] += line.amount
            found = {pk: pair(of[movement]) for pk, of in plans.items() if of[movement]}
            assert found == {pk: (len(own), total(own)) for pk, own in by_plan.items()}
            amounts = {kind: of[movement].amount.amount for kind, of in kinds.items()}
            assert {kind: amount for kind, amount in amounts.items() if amount} == {
                kind: amount for kind, amount in by_kind.items() if amount
            }
            assert sum(amounts.values()) == total(invoices)

    def _compare_balances(self, report, known: Recomputed) -> None:
        opening, closing = known.open_at(known.start), known.open_at(known.end)
        assert pair(report.receivables.opening) == (len(opening), total(opening))
        assert pair(report.receivables.closing) == (len(closing), total(closing))
        opening, closing = known.waiting_at(known.start), known.waiting_at(known.end)
        assert pair(report.waiting.opening) == (len(opening), worth(opening))
        assert pair(report.waiting.closing) == (len(closing), worth(closing))
        zero = Figure.zero(report.currency)
        assert report.receivables.difference == zero
        assert report.waiting.difference == zero

    def _compare_ages(self, report, known: Recomputed) -> None:
        bounds = {"0–30": (0, 30), "31–60": (31, 60), "61–90": (61, 90), "over 90": (91, 9_999)}
        assert [age.label for age in report.ages] == list(bounds)
        for age in report.ages:
            first, last = bounds[age.label]
            own = [row for row in known.open_at(known.end) if first <= known.days_open(row) <= last]
            assert pair(age.owed) == (len(own), total(own))

    def _compare_channels(self, report, known: Recomputed) -> None:
        expected: dict = {}
        for row in known.payments:
            part = "matched" if row.invoice_id else "unmatched"
            for happened, name in ((row.received_at, part), (row.refunded_at, "refunded")):
                if known.has(happened):
                    own = expected.setdefault((row.provider, row.method), {})
                    own.setdefault(name, []).append(row)
        found = {
            (channel.provider, channel.method): {
                part: pair(figure)
                for part in ("matched", "unmatched", "refunded")
                if (figure := getattr(channel, part))
            }
            for channel in report.channels
        }
        assert found == {
            key: {part: (len(own), worth(own)) for part, own in parts.items()}
            for key, parts in expected.items()
        }

    @CURRENCIES
    def test_each_month_begins_as_the_one_before_ended(self, currency, berlin):
        books(4)

        reports = [month_report.read(month=month, currency=currency, now=NOW) for month in MONTHS]

        for before, after in pairwise(reports):
            assert before.receivables.closing == after.receivables.opening
            assert before.waiting.closing == after.waiting.opening

    def test_counts_ages_of_an_unfinished_month_to_today(self):
        sale("29.00", issued=moment(1))
        now = datetime(2026, 3, 31, 9, tzinfo=UTC)

        on_time = month_report.read(month=MARCH, currency="USD", now=now)
        next_day = month_report.read(month=APRIL, currency="USD", now=now + timedelta(days=1))

        assert [pair(age.owed)[0] for age in on_time.ages] == [1, 0, 0, 0]
        assert [pair(age.owed)[0] for age in next_day.ages] == [0, 1, 0, 0]
        assert not on_time.is_over

    def test_a_month_is_the_sellers(self, settings):
        settings.BILLING_TIME_ZONE = "Asia/Tokyo"
        sale("29.00", issued=datetime(2026, 3, 31, 14, 59, 59, 999_999, tzinfo=UTC))
        sale("60.00", issued=datetime(2026, 3, 31, 15, tzinfo=UTC))

        march = month_report.read(month=MARCH, currency="USD", now=NOW)
        april = month_report.read(month=APRIL, currency="USD", now=NOW)

        assert march.moved[Movement.INVOICED] == usd(1, "29.00")
        assert april.moved[Movement.INVOICED] == usd(1, "60.00")

    def test_finds_out_where_rows_contradict_each_other(self):
        """A paid invoice that nobody paid: neither open, nor in the payments."""
        invoice = sale("29.00", issued=moment(10))
        Invoice.objects.filter(pk=invoice.pk).update(status="paid", paid_at=moment(11))

        report = month_report.read(month=MARCH, currency="USD", now=NOW)

        assert report.receivables.difference == usd(-1, "-29.00")
        assert not report.adds_up

    def test_takes_as_many_statements_for_many_rows_as_for_few(self, django_assert_num_queries):
        books(5, invoices=5)
        with django_assert_num_queries(5):
            month_report.read(month=MARCH, currency="USD", now=NOW)

        Books(random.Random(6), user=UserFactory(), plans=[PlanFactory()])
        books_of_more = Books(random.Random(7), user=UserFactory(), plans=[PlanFactory()])
        books_of_more.numbers = iter(range(10_000, 100_000))
        books_of_more.fill(invoices=200)
        with django_assert_num_queries(5):
            month_report.read(month=MARCH, currency="USD", now=NOW)


@pytest.mark.django_db(transaction=True)
class TestReadWhileMoneyComes:
    def test_is_of_one_moment(self):
        invoice = sale("29.00", issued=moment(10))
        statements = []

        def pay_after_the_first(execute, sql, parameters, many, context):
            found = execute(sql, parameters, many, context)
            statements.append(sql)
            if sql.lstrip().startswith("WITH movement"):
                at_once(1, lambda _: pay(invoice, now=moment(11)))
            return found

        with connection.execute_wrapper(pay_after_the_first):
            report = month_report.read(month=MARCH, currency="USD", now=NOW)

        assert len(statements) == 6
        assert report.receivables.closing == usd(1, "29.00")
        assert report.adds_up
        later = month_report.read(month=MARCH, currency="USD", now=NOW)
        assert later.receivables.closing == usd(0, "0.00")
        call_command("verify_books")


@pytest.mark.django_db
class TestRows:
    @CURRENCIES
    def test_are_those_of_the_figures(self, currency, berlin):
        books(8)

        for month in MONTHS:
            report = month_report.read(month=month, currency=currency, now=NOW)
            asked = {"month": month, "currency": currency}
            issued = rows.issued(**asked).aggregate(sum=Sum("total_amount"))["sum"] or 0
            still_open = rows.open_at_end(**asked).aggregate(sum=Sum("total_amount"))["sum"] or 0
            came = rows.money_moved(**asked)
            received = came.filter(**rows.within("received_at", month)).aggregate(s=Sum("amount"))
            assert issued == report.moved[Movement.INVOICED].amount.amount
            assert still_open == report.receivables.closing.amount.amount
            assert (received["s"] or 0) == sum(
                channel.matched.amount.amount + channel.unmatched.amount.amount
                for channel in report.channels
            )


class TestMonth:
    def test_is_half_open(self, berlin):
        assert MARCH.start.astimezone(UTC) == datetime(2026, 2, 28, 23, tzinfo=UTC)
        assert MARCH.end.astimezone(UTC) == datetime(2026, 3, 31, 22, tzinfo=UTC)  # summer time
        assert Month.of(datetime(2026, 3, 31, 22, tzinfo=UTC)) == APRIL
        assert Month.of(datetime(2026, 3, 31, 21, 59, tzinfo=UTC)) == MARCH

    def test_goes_over_the_years_end(self):
        december = Month.parse("2026-12")

        assert str(december.next) == "2027-01"
        assert str(Month.parse("2026-01").previous) == "2025-12"
        assert [str(month) for month in months.every(first=december, last=december.next)] == [
            "2026-12",
            "2027-01",
        ]


# --- The page ---


@pytest.fixture
def visitors(roles) -> dict[str, Client]:
    found = {"nobody": Client(), "customer": browser_of(UserFactory())}
    for name, group in roles.items():
        member = StaffFactory()
        member.groups.add(group)
        found[name] = browser_of(member)
    return found


@pytest.mark.django_db
class TestPage:
    @pytest.mark.parametrize(
        "path", [PAGE, "/admin/reports/month/invoices.csv", "/admin/reports/month/payments.xlsx"]
    )
    def test_is_for_finance_alone(self, visitors, path):
        answers = {name: visitor.get(path).status_code for name, visitor in visitors.items()}

        assert answers == {
            "nobody": 302,
            "customer": 302,
            "Catalogue": 403,
            "Finance": 200,
            "Support": 403,
        }

    def test_is_in_the_side_bar_of_those_who_may_open_it(self, visitors):
        shown = {
            name: PAGE in visitors[name].get(reverse("admin:index")).content.decode()
            for name in ("Catalogue", "Finance", "Support")
        }

        assert shown == {"Catalogue": False, "Finance": True, "Support": False}

    @pytest.mark.parametrize(
        "query",
        [
            "month=2026-13",
            "month=1999-01",
            "month=%00",
            "month=now",
            "currency=XXX",
            "currency=%00",
        ],
    )
    def test_refuses_what_there_is_none_of(self, finance, query):
        page = finance.get(f"{PAGE}?{query}")

        assert page.status_code == 400
        assert "There is no such month or currency" in page.content.decode()
        assert finance.get(f"/admin/reports/month/lines.csv?{query}").status_code == 400

    @pytest.mark.parametrize("name", ["customers.csv", "invoices.pdf", "invoices"])
    def test_has_no_other_files(self, finance, name):
        assert finance.get(f"/admin/reports/month/{name}").status_code == 404

    def test_only_reads(self, finance):
        assert finance.post(PAGE).status_code == 405
        assert finance.post("/admin/reports/month/invoices.csv").status_code == 405

    def test_each_number_is_the_sum_of_the_list_that_it_links_to(self, finance, clock, berlin):
        books(9)
        clock.move_to(NOW)

        links = [
            found
            for month in ("2026-02", "2026-05")
            for found in _linked_amounts(
                finance.get(PAGE, {"month": month, "currency": "USD"}).content.decode()
            )
        ]

        assert len(links) > 40
        for address, shown in links:
            listed = finance.get(address)
            assert listed.status_code == 200, address
            column = "amount" if "/payment/" in address else "total_amount"
            found = listed.context["cl"].queryset.order_by().aggregate(sum=Sum(column))
            assert Money(found["sum"] or Decimal(0), "USD").for_people() == shown, address

    def test_goes_to_the_months_beside_it(self, finance, clock):
        sale("29.00", issued=moment(20, month=2))
        clock.move_to(moment(10, month=4))

        february, march, april = (
            finance.get(PAGE, {"month": f"2026-0{number}", "currency": "USD"}).content.decode()
            for number in (2, 3, 4)
        )

        assert 'rel="prev"' not in february
        assert f'href="{PAGE}?month=2026-02&amp;currency=USD" rel="prev"' in march
        assert f'href="{PAGE}?month=2026-04&amp;currency=USD" rel="next"' in march
        assert 'rel="next"' not in april
        assert "The month is not over" in april

    def test_every_table_has_a_caption_and_scopes(self, finance, clock):
        books(10)
        clock.move_to(NOW)

        page = finance.get(PAGE, {"month": "2026-03", "currency": "EUR"}).content.decode()

        assert page.count("<table>") == page.count("<caption>") == 7
        report = page.split('class="report"')[1].split("</main>")[0]
        assert re.findall(r"<th(?! scope=)[ >]", report) == []
        assert "style=" not in report
        assert "onclick" not in report

    def test_says_where_it_does_not_add_up(self, finance, clock):
        invoice = sale("29.00", issued=moment(10))
        Invoice.objects.filter(pk=invoice.pk).update(status="paid", paid_at=moment(11))
        clock.move_to(NOW)

        page = finance.get(PAGE, {"month": "2026-03", "currency": "USD"}).content.decode()

        assert "the balance at the end is off by -$29.00 and -1 in number" in page

    def test_takes_as_many_statements_for_many_rows_as_for_few(self, finance, clock):
        clock.move_to(NOW)
        counts = []
        for seed, invoices in ((11, 5), (12, 150)):
            if seed == 12:
                more = Books(random.Random(seed), user=UserFactory(), plans=[PlanFactory()])
                more.numbers = iter(range(10_000, 100_000))
                more.fill(invoices=invoices)
            else:
                books(seed, invoices=invoices)
            with CaptureQueriesContext(connection) as captured:
                finance.get(PAGE, {"month": "2026-03", "currency": "USD"})
            counts.append(len(captured))

        assert counts[0] == counts[1]


def _linked_amounts(page: str) -> list[tuple[str, str]]:
    found = re.findall(r'<a href="(/admin/billing/[^"]+)">([^<]+)</a>', page.split('"report"')[1])
    return [(unescape(address), unescape(text)) for address, text in found]
