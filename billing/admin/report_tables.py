"""A month's figures as tables, each number with the list behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.text import capfirst

from billing.admin import columns
from billing.admin.report_lists import MonthLists
from billing.models import InvoiceLineItem
from billing.services.reports.figures import Entry, Figure, Reconciliation
from billing.services.reports.month import TAX, Movement, Report
from catalog.money import Money

_ENTRIES = {
    Entry.INVOICED: "Invoiced",
    Entry.CANCELLED: "Cancelled",
    Entry.PAID: "Paid",
    Entry.FREE: "Nothing to pay: a total of zero",
    Entry.PAID_FOR_LATER: "Paid before the invoice: issued after this month",
    Entry.PAID_BEFORE: "Paid before the invoice: received before this month",
    Entry.RECEIVED: "Received",
    Entry.SENT_BACK: "Sent back",
}
_ALWAYS_SHOWN = (Entry.INVOICED, Entry.CANCELLED, Entry.PAID, Entry.RECEIVED, Entry.SENT_BACK)
_MOVEMENTS = [str(movement).capitalize() for movement in Movement]


@dataclass(frozen=True, slots=True)
class Cell:
    """
    :param note: quieter, under the text
    """

    text: str
    link: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: list[Cell]
    is_balance: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """
    :param first_column: what the rows are
    :param total: what they add up to, if that is worth a row
    :param fault: a sentence, where the numbers contradict each other
    """

    name: str
    title: str
    hint: str
    first_column: str
    columns: list[str]
    rows: list[Row]
    total: Row | None = None
    fault: str = ""
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class KeyFigure:
    label: str
    cell: Cell


def key_figures(report: Report, lists: MonthLists) -> list[KeyFigure]:
    figures = [
        KeyFigure(
            str(movement).capitalize(),
            _with_count(figure, _NOUNS[movement], _link(movement, lists)),
        )
        for movement, figure in report.moved.items()
    ]
    at = report.month.end
    outstanding = _with_count(report.receivables.closing, "invoice", lists.of_open_invoices(at))
    unmatched = _with_count(report.waiting.closing, "payment", lists.of_waiting_money(at))
    return [
        *figures,
        KeyFigure("Outstanding", outstanding),
        KeyFigure("Without an invoice", unmatched),
    ]


def receivables(report: Report, lists: MonthLists) -> Table:
    month = report.month
    links = {
        Entry.INVOICED: _link(Movement.INVOICED, lists),
        Entry.CANCELLED: _link(Movement.CANCELLED, lists),
        Entry.PAID: _link(Movement.PAID, lists),
        Entry.FREE: lists.of_invoices("paid_at", total_amount__exact=0),
    }
    return _reconciled(
        report.receivables,
        links,
        opening=lists.of_open_invoices(month.start),
        closing=lists.of_open_invoices(month.end),
        name="receivables",
        title="Receivables",
        hint="What customers owed when the month began, what happened, and what they owe",
        words=("Open when the month began", _closing("Open", report)),
        column="Number",
    )


def waiting(report: Report, lists: MonthLists) -> Table:
    month = report.month
    links = {
        Entry.RECEIVED: lists.of_money("received_at", has_invoice=False),
        Entry.SENT_BACK: lists.of_money("refunded_at", has_invoice=False),
    }
    return _reconciled(
        report.waiting,
        links,
        opening=lists.of_waiting_money(month.start),
        closing=lists.of_waiting_money(month.end),
        name="waiting",
        title="Money without an invoice",
        hint="Payments that fit nothing, and were not assigned to an invoice since",
        words=("Waiting when the month began", _closing("Waiting", report)),
        column="Payments",
    )


def ages(report: Report, lists: MonthLists) -> Table:
    def link(since: object, until: object) -> str:
        bounds = {"invoiced_at__gte": since, "invoiced_at__lt": until}
        given = {name: str(moment) for name, moment in bounds.items() if moment}
        return lists.of_open_invoices(report.month.end, **given)

    closing = report.receivables.closing
    return Table(
        name="ages",
        title="Outstanding by age",
        hint="Days from the day of issue to "
        + ("the last day of the month" if report.is_over else "today"),
        first_column="Days",
        columns=["Invoices", "Owed"],
        rows=[
            Row(age.label.capitalize(), _count_and_amount(age.owed, link(age.since, age.until)))
            for age in report.ages
        ],
        total=Row("In all", _count_and_amount(closing, lists.of_open_invoices(report.month.end))),
    )


def plans(report: Report, lists: MonthLists) -> Table:
    def link(movement: Movement, plan_id: object) -> str:
        chosen = {"plan": plan_id} if plan_id else {"plan__isnull": True}
        # The list of payments has no filter by their invoices' plan.
        return _link(movement, lists, **chosen) if movement in _OF_INVOICES else ""

    return Table(
        name="plans",
        title="By plan",
        hint="Whole invoices by the plan that was bought, with the bundles and add-ons beside it",
        first_column="Plan",
        columns=_MOVEMENTS,
        rows=[
            Row(
                plan.name or "No plan: bundles and add-ons alone",
                [
                    _with_count(
                        plan.moved[movement], _NOUNS[movement], link(movement, plan.plan_id)
                    )
                    for movement in Movement
                ],
            )
            for plan in report.plans
        ],
        total=_total_of_moved(report, lists, counts=True),
        nothing="No invoice was issued, cancelled, paid or refunded.",
    )


def lines(report: Report, lists: MonthLists) -> Table:
    labels = dict(InvoiceLineItem.Type.choices) | {TAX: "tax"}
    return Table(
        name="lines",
        title="By kind of line",
        hint="What the invoices were for",
        first_column="Kind",
        columns=_MOVEMENTS,
        rows=[
            Row(
                capfirst(labels[line.kind]),
                [
                    _with_count(line.moved[movement], "invoice" if line.kind == TAX else "line")
                    for movement in Movement
                ],
            )
            for line in report.lines
        ],
        total=_total_of_moved(report, lists, counts=False),
        nothing="No invoice was issued, cancelled, paid or refunded.",
    )


def channels(report: Report, lists: MonthLists) -> Table:
    currency = report.currency
    parts = ["matched", "unmatched", "refunded"]
    sums = [
        Figure.sum((getattr(channel, part) for channel in report.channels), currency)
        for part in parts
    ]
    net = Money.sum((channel.net for channel in report.channels), currency)

    def links(**chosen: str) -> list[str]:
        return [
            lists.of_money("received_at", has_invoice=True, **chosen),
            lists.of_money("received_at", has_invoice=False, **chosen),
            lists.of_money("refunded_at", **chosen),
        ]

    def cells(figures: Iterable[Figure], net: Money, **chosen: str) -> list[Cell]:
        found = [
            _with_count(figure, "payment", link)
            for figure, link in zip(figures, links(**chosen), strict=True)
        ]
        return [*found, Cell(net.for_people())]

    return Table(
        name="channels",
        title="By provider and method",
        hint="Money that came in and went back: what each provider's own statement should say",
        first_column="Provider, method",
        columns=["For invoices", "Without an invoice", "Refunded", "Net"],
        rows=[
            Row(
                ", ".join(columns.channel(name) for name in (row.provider, row.method) if name),
                cells(
                    (getattr(row, part) for part in parts),
                    row.net,
                    provider=row.provider,
                    method__exact=row.method,
                ),
            )
            for row in report.channels
        ],
        total=Row("In all", cells(sums, net), is_balance=True),
        nothing="No money came in or went back.",
    )


_OF_INVOICES = {Movement.INVOICED: "invoiced_at", Movement.CANCELLED: "cancelled_at"}
_OF_MONEY = {Movement.PAID: "received_at", Movement.REFUNDED: "refunded_at"}
_NOUNS = {movement: "invoice" if movement in _OF_INVOICES else "payment" for movement in Movement}


def _link(movement: Movement, lists: MonthLists, **more: object) -> str:
    if movement in _OF_INVOICES:
        return lists.of_invoices(_OF_INVOICES[movement], **more)
    return lists.of_money(_OF_MONEY[movement], has_invoice=True, **more)


def _total_of_moved(report: Report, lists: MonthLists, *, counts: bool) -> Row:
    cells = [
        _with_count(figure, _NOUNS[movement], _link(movement, lists))
        if counts
        else Cell(figure.amount.for_people(), _link(movement, lists) if figure else "")
        for movement, figure in report.moved.items()
    ]
    return Row("In all", cells, is_balance=True)


def _reconciled(
    balance: Reconciliation,
    links: dict[Entry, str],
    *,
    opening: str,
    closing: str,
    name: str,
    title: str,
    hint: str,
    words: tuple[str, str],
    column: str,
) -> Table:
    rows = [Row(words[0], _count_and_amount(balance.opening, opening), is_balance=True)]
    rows += [
        Row(
            f"{'+' if entry.is_added else '−'} {_ENTRIES[entry]}",
            _count_and_amount(figure, links.get(entry, "")),
        )
        for entry, figure in balance.entries.items()
        if figure or entry in _ALWAYS_SHOWN
    ]
    return Table(
        name=name,
        title=title,
        hint=hint,
        first_column="Balance",
        columns=[column, "Amount"],
        rows=rows,
        total=Row(f"= {words[1]}", _count_and_amount(balance.closing, closing), is_balance=True),
        fault=_fault(balance),
    )


def _fault(balance: Reconciliation) -> str:
    if not (off := balance.difference):
        return ""
    return (
        f"This does not add up: the balance at the end is off by {off.amount.for_people()} and "
        f"{off.count:+,} in number. Rows contradict each other; verify_books tells which."
    )


def _closing(word: str, report: Report) -> str:
    return f"{word} when it ended" if report.is_over else f"{word} now"


def _count_and_amount(figure: Figure, link: str) -> list[Cell]:
    return [Cell(f"{figure.count:,}"), Cell(figure.amount.for_people(), link if figure else "")]


def _with_count(figure: Figure, noun: str, link: str = "") -> Cell:
    many = "" if figure.count == 1 else "s"
    note = f"{figure.count:,} {noun}{many}" if figure.count else ""
    return Cell(figure.amount.for_people(), link if figure else "", note)
