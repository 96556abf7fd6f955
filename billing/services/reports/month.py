"""One month in one currency: what was invoiced, cancelled, paid and refunded, and what is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Q, Sum

from billing.models import InvoiceLineItem, Payment
from billing.services.analytics import spans
from billing.services.analytics.cash import AGES
from billing.services.reports import rows
from billing.services.reports.figures import Entry, Figure, Reconciliation
from billing.services.reports.months import Month
from catalog.money import Money

TAX = "tax"

# Sums over whole tables, where a month is long ago: memory to hash them in, and no compiling for
# statements that run once.
_SNAPSHOT = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL work_mem = '64MB';
    SET LOCAL jit = off;
"""

# What moved in the month, once; then what it comes to by plan, by kind of line, and its tax. OFFSET
# keeps the planner to the lines of these invoices: it would hash those of all years.
_MOVEMENTS = """
    WITH movement AS (
        SELECT 'invoiced' AS kind, id, plan_id, total_amount AS amount, tax_amount
          FROM billing_invoice
         WHERE currency = %(currency)s AND invoiced_at >= %(start)s AND invoiced_at < %(end)s
        UNION ALL
        SELECT 'cancelled', id, plan_id, total_amount, tax_amount
          FROM billing_invoice
         WHERE currency = %(currency)s AND cancelled_at >= %(start)s AND cancelled_at < %(end)s
        UNION ALL
        SELECT 'paid', invoice.id, plan_id, payment.amount, tax_amount
          FROM billing_payment payment JOIN billing_invoice invoice ON invoice.id = invoice_id
         WHERE payment.currency = %(currency)s
           AND received_at >= %(start)s AND received_at < %(end)s
        UNION ALL
        SELECT 'refunded', invoice.id, plan_id, payment.amount, tax_amount
          FROM billing_payment payment JOIN billing_invoice invoice ON invoice.id = invoice_id
         WHERE payment.currency = %(currency)s
           AND refunded_at >= %(start)s AND refunded_at < %(end)s
    )
    SELECT 'plan', kind, plan.id::text, plan.name, count(*), sum(movement.amount)
      FROM movement LEFT JOIN catalog_plan plan ON plan.id = plan_id
     GROUP BY kind, plan.id
    UNION ALL
    SELECT 'line', kind, line.type, NULL, count(*), sum(line.amount)
      FROM movement
     CROSS JOIN LATERAL (
        SELECT type, amount FROM billing_invoicelineitem
         WHERE invoice_id = movement.id OFFSET 0
     ) AS line
     GROUP BY kind, line.type
    UNION ALL
    SELECT 'line', kind, 'tax', NULL, count(*), sum(tax_amount)
      FROM movement WHERE tax_amount > 0
     GROUP BY kind
"""
# Each invoice that was open at some moment of the month, with the moment it was so no more.
_BALANCES = """
    WITH stay AS (
        SELECT invoiced_at, total_amount AS amount, 'infinity'::timestamptz AS left_at,
               false AS is_free
          FROM billing_invoice
         WHERE currency = %(currency)s AND invoiced_at < %(end)s
           AND status IN ('pending', 'failed')
        UNION ALL
        SELECT invoiced_at, total_amount, cancelled_at, false
          FROM billing_invoice
         WHERE currency = %(currency)s AND invoiced_at < %(end)s
           AND status = 'cancelled' AND cancelled_at >= %(start)s
        UNION ALL
        SELECT invoiced_at, total_amount, paid_at, true
          FROM billing_invoice
         WHERE currency = %(currency)s AND invoiced_at < %(end)s
           AND status IN ('paid', 'refunded') AND total_amount = 0 AND paid_at >= %(start)s
        UNION ALL
        SELECT invoiced_at, total_amount, received_at, false
          FROM billing_payment payment JOIN billing_invoice invoice ON invoice.id = invoice_id
         WHERE invoice.currency = %(currency)s AND invoiced_at < %(end)s
           AND received_at >= %(start)s
    )
    SELECT width_bucket(invoiced_at, %(ages)s::timestamptz[]),
           count(*) FILTER (WHERE invoiced_at < %(start)s),
           sum(amount) FILTER (WHERE invoiced_at < %(start)s),
           count(*) FILTER (WHERE left_at >= %(end)s),
           sum(amount) FILTER (WHERE left_at >= %(end)s),
           count(*) FILTER (WHERE is_free AND left_at < %(end)s)
      FROM stay
     GROUP BY 1
"""
# Money may come before its invoice: then it is in one month's payments, and the invoice, which
# never was open, in a later one's.
_ADVANCES = """
    SELECT 'paid_for_later', count(*), sum(payment.amount)
      FROM billing_payment payment JOIN billing_invoice invoice ON invoice.id = invoice_id
     WHERE payment.currency = %(currency)s
       AND received_at >= %(start)s AND received_at < %(end)s AND invoiced_at >= %(end)s
    UNION ALL
    SELECT 'paid_before', count(*), sum(payment.amount)
      FROM billing_invoice invoice JOIN billing_payment payment ON invoice.id = invoice_id
     WHERE invoice.currency = %(currency)s
       AND invoiced_at >= %(start)s AND invoiced_at < %(end)s AND received_at < %(start)s
"""
_FIRST = """
    SELECT LEAST((SELECT min(invoiced_at) FROM billing_invoice),
                 (SELECT min(received_at) FROM billing_payment))
"""


class Movement(StrEnum):
    """What happens to invoices in a month."""

    INVOICED = "invoiced"
    CANCELLED = "cancelled"
    PAID = "paid"
    REFUNDED = "refunded"


Movements = dict[Movement, Figure]


@dataclass(frozen=True, slots=True)
class OfPlan:
    """The movements of a plan's invoices; ``plan_id`` None: of those without one, as top-ups."""

    plan_id: UUID | None
    name: str
    moved: Movements


@dataclass(frozen=True, slots=True)
class OfLine:
    """
    The movements by what was sold; the count is of lines.

    :param kind: an ``InvoiceLineItem.Type``, or ``TAX``
    """

    kind: str
    moved: Movements


@dataclass(frozen=True, slots=True)
class Channel:
    """The money of one provider and method: what it should have on its own statement."""

    provider: str
    method: str
    matched: Figure
    unmatched: Figure
    refunded: Figure

    @property
    def net(self) -> Money:
        return self.matched.amount + self.unmatched.amount - self.refunded.amount


@dataclass(frozen=True, slots=True)
class Age:
    """
    What is open on invoices issued from ``since`` (None: ever) to before ``until``.

    :param label: in days: "0–30"
    """

    label: str
    since: datetime | None
    until: datetime
    owed: Figure


@dataclass(frozen=True, slots=True)
class Report:
    """
    Each of ``plans`` and ``lines`` adds up to ``moved``, in amounts, and ``ages`` to what is open.
    """

    month: Month
    currency: str
    now: datetime
    moved: Movements
    plans: list[OfPlan]
    lines: list[OfLine]
    channels: list[Channel]
    receivables: Reconciliation
    waiting: Reconciliation
    ages: list[Age]

    @property
    def is_over(self) -> bool:
        return self.month.is_over(self.now)

    @property
    def adds_up(self) -> bool:
        return not (self.receivables.difference or self.waiting.difference)


def read(*, month: Month, currency: str, now: datetime) -> Report:
    """
    Report a month, as the rows are known now: five statements, however many rows there are.

    Of a month that is not over, what there is of it. All statements see the same rows: a payment
    that comes between two of them would make a balance that does not add up. Called inside a
    transaction, it sees what that one sees.
    """
    with _snapshot():
        return _read(month, currency, now)


@contextmanager
def _snapshot() -> Iterator[None]:
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SNAPSHOT)
        yield


def _read(month: Month, currency: str, now: datetime) -> Report:
    plans, lines = _movements(month, currency)
    moved = {kind: Figure.sum((plan.moved[kind] for plan in plans), currency) for kind in Movement}
    receivables, ages = _receivables(month, currency, now, moved)
    return Report(
        month=month,
        currency=currency,
        now=now,
        moved=moved,
        plans=plans,
        lines=lines,
        channels=_channels(month, currency),
        receivables=receivables,
        waiting=_waiting(month, currency),
        ages=ages,
    )


def _movements(month: Month, currency: str) -> tuple[list[OfPlan], list[OfLine]]:
    none = Figure.zero(currency)
    plans: dict[tuple[str, str], Movements] = defaultdict(lambda: dict.fromkeys(Movement, none))
    lines: dict[str, Movements] = defaultdict(lambda: dict.fromkeys(Movement, none))
    for part, kind, key, name, count, amount in _select(_MOVEMENTS, _bounds(month, currency)):
        moved = plans[name or "", key or ""] if part == "plan" else lines[key]
        moved[Movement(kind)] = Figure.of(count, amount, currency)
    # By name, and those without a plan last.
    ordered = sorted(plans, key=lambda plan: (not plan[1], plan))
    kinds = [*InvoiceLineItem.Type.values, TAX]
    return (
        [OfPlan(UUID(key) if key else None, name, plans[name, key]) for name, key in ordered],
        [OfLine(kind, lines[kind]) for kind in kinds if kind in lines],
    )


def _receivables(
    month: Month, currency: str, now: datetime, moved: Movements
) -> tuple[Reconciliation, list[Age]]:
    bounds = _age_bounds(month, now)
    asked = _bounds(month, currency) | {"ages": bounds}
    opening = Figure.zero(currency)
    free = 0
    owed: dict[int, Figure] = {}
    for bucket, *found in _select(_BALANCES, asked):
        opening += Figure.of(found[0], found[1], currency)
        owed[bucket] = Figure.of(found[2], found[3], currency)
        free += found[4]
    advances = {
        Entry(entry): Figure.of(count, amount, currency)
        for entry, count, amount in _select(_ADVANCES, asked)
    }
    entries = {
        Entry.INVOICED: moved[Movement.INVOICED],
        Entry.CANCELLED: moved[Movement.CANCELLED],
        Entry.PAID: moved[Movement.PAID],
        Entry.FREE: Figure(free, Money.zero(currency)),
        **advances,
    }
    closing = Figure.sum(owed.values(), currency)
    return Reconciliation(opening, entries, closing), _ages(bounds, owed, month, currency)


def _age_bounds(month: Month, now: datetime) -> list[datetime]:
    """When the younger ages begin, the oldest first: what is before all of them is the oldest."""
    day = month.last_day(now)
    lasts = [last for _first, last in AGES if last is not None]
    return [spans.midnight(day=day - timedelta(days=last)) for last in reversed(lasts)]


def _ages(
    bounds: list[datetime], owed: dict[int, Figure], month: Month, currency: str
) -> list[Age]:
    edges = [None, *bounds, month.end]
    none = Figure.zero(currency)
    found = []
    for number, (first, last) in enumerate(AGES):
        bucket = len(bounds) - number
        label = f"{first}–{last}" if last else f"over {first - 1}"
        until = edges[bucket + 1] or month.end
        found.append(Age(label, edges[bucket], until, owed.get(bucket, none)))
    return found


def _channels(month: Month, currency: str) -> list[Channel]:
    received = Q(**rows.within("received_at", month))
    refunded = Q(**rows.within("refunded_at", month))
    parts = {
        "matched": received & Q(invoice__isnull=False),
        "unmatched": received & Q(invoice=None),
        "refunded": refunded,
    }
    found = (
        Payment.objects.filter(received | refunded, currency=currency)
        .order_by("provider", "method")
        .values("provider", "method")
        .annotate(**_figures(parts))
    )
    return [
        Channel(
            row["provider"],
            row["method"],
            **{name: _figure(name, row, currency) for name in parts},
        )
        for row in found
    ]


def _waiting(month: Month, currency: str) -> Reconciliation:
    parts = {
        "opening": rows.waiting_at(month.start),
        "received": Q(**rows.within("received_at", month)),
        "sent_back": Q(**rows.within("refunded_at", month)),
        "closing": rows.waiting_at(month.end),
    }
    of_nobody = Payment.objects.filter(invoice=None, currency=currency)
    found = of_nobody.aggregate(**_figures(parts))
    return Reconciliation(
        _figure("opening", found, currency),
        {entry: _figure(entry, found, currency) for entry in (Entry.RECEIVED, Entry.SENT_BACK)},
        _figure("closing", found, currency),
    )


def _figures(parts: dict[str, Q]) -> dict[str, Any]:
    """A count and a sum for each of the parts."""
    counts = {f"{name}_count": Count("pk", filter=part) for name, part in parts.items()}
    sums = {
        f"{name}_amount": Sum("amount", filter=part, default=Decimal(0))
        for name, part in parts.items()
    }
    return counts | sums


def _figure(name: str, row: Any, currency: str) -> Figure:
    return Figure.of(row[f"{name}_count"], row[f"{name}_amount"], currency)


def first(*, now: datetime) -> Month:
    """The month of the first invoice or payment, or this month, before there is any."""
    ((earliest,),) = _select(_FIRST, {})
    return Month.of(min(earliest or now, now))


def _bounds(month: Month, currency: str) -> dict[str, Any]:
    return {"currency": currency, "start": month.start, "end": month.end}


def _select(statement: str, parameters: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
