"""The dashboard's plots: each is a picture, the same numbers as a table, and the lists behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.formats import date_format

from billing.admin.lists_behind import Lists
from billing.services.analytics import cash, recurring, usage
from billing.services.analytics.recurring import Kind
from billing.services.analytics.spans import Span, Step
from catalog.money import Money

TOP_PLANS = 8
_FORMATS = {Step.DAY: "j M Y", Step.WEEK: "j M Y", Step.MONTH: "M Y"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as people read it, and the list behind it, where there is one to open."""

    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Series:
    """
    One colour of a plot.

    :param column: which cells of the table it draws
    :param values: where each is drawn; the text beside it is the cell's
    """

    column: int
    tone: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Plot:
    """
    :param kind: "line" or "bar"
    :param is_wide: over the whole width of the page
    :param is_open: its table is short, and shown without being asked for
    """

    name: str
    title: str
    hint: str
    first_column: str
    columns: list[str]
    rows: list[Row]
    series: list[Series]
    kind: str = "bar"
    currency: str = ""
    is_stacked: bool = False
    is_horizontal: bool = False
    is_wide: bool = False
    is_open: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(value for series in self.series for value in series.values)

    @property
    def data_id(self) -> str:
        return f"plot-{self.name}-data"

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws. Floats are for the picture; the texts say the amounts."""
        return {
            "kind": self.kind,
            "currency": self.currency,
            "stacked": self.is_stacked,
            "horizontal": self.is_horizontal,
            "labels": [row.label for row in self.rows],
            "series": [
                {
                    "label": self.columns[series.column],
                    "tone": series.tone,
                    "values": [float(value) for value in series.values],
                    "texts": [row.cells[series.column].text for row in self.rows],
                    "links": [row.cells[series.column].link for row in self.rows],
                }
                for series in self.series
            ],
        }


def mrr(*, currency: str, span: Span, lists: Lists) -> Plot:
    step = span.step_of_lines
    parts = span.parts(step)
    found = recurring.levels(currency=currency, points=[part.end for part in parts])
    amounts = [recurring.money(value, currency) for value in found]
    return Plot(
        name="mrr",
        title="MRR",
        hint=f"Monthly recurring revenue at the end of each {step}",
        first_column=step.capitalize(),
        columns=["MRR"],
        rows=[
            Row(
                _label(part.first_on, step),
                [_money(amount, lists.of_mrr(currency=currency, at=_past(part.end, span)))],
            )
            for part, amount in zip(parts, amounts, strict=True)
        ],
        series=[Series(0, "primary", [amount.amount for amount in amounts])],
        kind="line",
        currency=currency,
    )


def movement(*, currency: str, span: Span, lists: Lists) -> Plot:
    found = recurring.movements(currency=currency, months=span.months())

    def of(month: recurring.Movement, kind: Kind) -> Cell:
        link = lists.of_movement(
            kind=kind, currency=currency, start=month.month.start, end=month.month.end
        )
        return _money(recurring.money(month.moved[kind], currency), link)

    def level(value: Any, at: datetime) -> Cell:
        link = lists.of_mrr(currency=currency, at=_past(at, span))
        return _money(recurring.money(value, currency), link)

    drawn = [(Kind.NEW, "green", 1), (Kind.EXPANSION, "teal", 1)]
    drawn += [(Kind.CONTRACTION, "orange", -1), (Kind.CHURN, "red", -1)]
    return Plot(
        name="movement",
        title="Movement of MRR",
        hint="What each month added and took away; who came back is new",
        first_column="Month",
        columns=["At its start", *(kind.capitalize() for kind in Kind), "At its end"],
        rows=[
            Row(
                _label(month.month.first_on, Step.MONTH),
                [
                    level(month.start, month.month.start),
                    *(of(month, kind) for kind in Kind),
                    level(month.end, month.month.end),
                ],
            )
            for month in found
        ],
        series=[
            Series(column, tone, [month.moved[kind] * sign for month in found])
            for column, (kind, tone, sign) in enumerate(drawn, start=1)
        ],
        currency=currency,
        is_stacked=True,
    )


def revenue(*, currency: str, span: Span, lists: Lists) -> Plot:
    step = span.step_of_lines
    found = cash.takings_by(step=step, currency=currency, span=span)
    parts = span.parts(step)

    def paid(column: str, amount: Money, start: datetime, end: datetime) -> Cell:
        link = lists.of_payments(column=column, currency=currency, start=start, end=end)
        return _money(amount, link)

    return Plot(
        name="revenue",
        title=f"Revenue per {step}",
        hint="Payments of invoices by the day they came in, less refunds by the day they went back",
        first_column=step.capitalize(),
        columns=["Received", "Refunded", "Revenue"],
        rows=[
            Row(
                _label(part.first_on, step),
                [
                    paid("received_at", takings.received, part.start, part.end),
                    paid("refunded_at", takings.refunded, part.start, part.end),
                    _money(takings.revenue),
                ],
            )
            for part, takings in zip(parts, found, strict=True)
        ],
        series=[
            Series(0, "primary", [takings.received.amount for takings in found]),
            Series(1, "red", [-takings.refunded.amount for takings in found]),
        ],
        currency=currency,
        is_stacked=True,
        is_wide=True,
    )


def receivables(*, currency: str, now: datetime, lists: Lists) -> Plot:
    found = cash.receivables(currency=currency, now=now)
    links = [lists.of_receivables(currency=currency, age=age) for age in found]
    return Plot(
        name="receivables",
        title="Receivables by age",
        hint="Open invoices today, by the days since they were issued",
        first_column="Days",
        columns=["Invoices", "Owed"],
        rows=[
            Row(
                age.label.capitalize(),
                [_count(age.invoices, link), _money(age.owed, link)],
            )
            for age, link in zip(found, links, strict=True)
        ],
        series=[Series(1, "orange", [age.owed.amount for age in found])],
        currency=currency,
        is_open=True,
    )


def top_plans(*, currency: str, span: Span, lists: Lists) -> Plot:
    found = recurring.plans(currency=currency, at=span.end, limit=TOP_PLANS)
    amounts = [recurring.money(plan.mrr, currency) for plan in found]
    links = [
        lists.of_subscriptions(
            at=_past(span.end, span), currency=currency, plan__id__exact=plan.plan_id
        )
        for plan in found
    ]
    return Plot(
        name="plans",
        title="Top plans",
        hint="By MRR without add-ons, at the end of the range",
        first_column="Plan",
        columns=["Subscribers", "MRR"],
        rows=[
            Row(plan.name, [_count(plan.subscribers, link), _money(amount, link)])
            for plan, amount, link in zip(found, amounts, links, strict=True)
        ],
        series=[Series(1, "primary", [amount.amount for amount in amounts])],
        currency=currency,
        is_horizontal=True,
        is_open=True,
    )


def tokens(*, span: Span, lists: Lists) -> Plot:
    step = span.step_of_bars
    found = usage.by(step=step, span=span)
    return Plot(
        name="tokens",
        title="Tokens sold and used",
        hint=f"Per {step}, of all customers",
        first_column=step.capitalize(),
        columns=["Sold", "Used"],
        rows=[
            Row(
                _label(part.first_on, step),
                [
                    _count(moved.sold, lists.of_tokens_sold(start=part.start, end=part.end)),
                    _count(moved.used, lists.of_tokens_used(start=part.start, end=part.end)),
                ],
            )
            for part, moved in zip(span.parts(step), found, strict=True)
        ],
        series=[
            Series(0, "primary", [moved.sold for moved in found]),
            Series(1, "teal", [moved.used for moved in found]),
        ],
    )


def _label(day: date, step: Step) -> str:
    return date_format(day, _FORMATS[step])


def _past(moment: datetime, span: Span) -> datetime | None:
    """None for now, so that the list that a link opens is the one of now, too."""
    return None if moment >= span.now else moment


def _money(amount: Money, link: str = "") -> Cell:
    return Cell(amount.for_people(), link if amount.amount else "")


def _count(number: int, link: str) -> Cell:
    return Cell(f"{number:,}", link if number else "")
