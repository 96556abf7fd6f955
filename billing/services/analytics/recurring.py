"""
Recurring revenue: MRR, its movement, the plans it comes from, and the customers who bring it.

All of it is read from the periods in which subscriptions and add-ons ran: from ``started_at`` to
the earlier of ``cancelled_at`` and ``expires_at``, or on where they are live; and from what they
were in them, by the changes that took effect. Sums are exact, in twelfths of the price; they are
rounded where they become money, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

from billing.models.subscription import LIVE
from billing.services.analytics.spans import Part
from catalog.money import Money

# What runs, and from when to when; then what it was held at, from when to when. What is live goes
# on: the end of its period is where it is renewed. A trial that is not paid for is worth nothing
# yet. Before each change stands what it was before; one that nobody asked for is a change too.
# A month has a twelfth of the year's price, a third of the quarter's, 52 twelfths of the week's:
# counted in twelfths, all of them are whole.
_PERIODS = """
    WITH own AS (
        SELECT *, CASE WHEN is_trial_paid THEN started_at
                       ELSE GREATEST(started_at, trial_ends_at) END AS paid_from
          FROM billing_subscription
         WHERE started_at IS NOT NULL
    ),
    run AS (
        SELECT id, user_id, plan_id, currency, amount * quantity AS amount, billing_period,
               started_at, paid_from,
               CASE WHEN status IN ('trialing', 'active', 'paused') THEN 'infinity'
                    ELSE COALESCE(LEAST(cancelled_at, expires_at), 'infinity') END AS ended_at
          FROM own
        UNION ALL
        SELECT add_on.id, add_on.user_id, NULL, add_on.currency, add_on.amount * add_on.quantity,
               add_on.billing_period, add_on.started_at, GREATEST(add_on.started_at, own.paid_from),
               CASE WHEN add_on.status IN ('trialing', 'active', 'paused')
                    THEN COALESCE(own.cancelled_at, 'infinity')
                    ELSE COALESCE(LEAST(add_on.cancelled_at, add_on.expires_at, own.cancelled_at),
                                  'infinity') END
          FROM billing_addonsubscription add_on JOIN own ON own.id = add_on.subscription_id
         WHERE add_on.started_at IS NOT NULL
    ),
    applied AS (
        SELECT COALESCE(add_on_subscription_id, subscription_id) AS run_id, applied_at,
               was_plan_id, was_amount, was_period,
               lag(applied_at) OVER earlier AS began_at,
               lead(applied_at) OVER earlier IS NULL AS is_last
          FROM billing_subscriptionchange
         WHERE status = 'applied'
        WINDOW earlier AS (PARTITION BY COALESCE(add_on_subscription_id, subscription_id)
                           ORDER BY applied_at, id)
    ),
    held AS (
        SELECT run.user_id, run.plan_id, run.currency, run.amount, run.billing_period,
               GREATEST(run.paid_from, applied.applied_at) AS started_at, run.ended_at
          FROM run LEFT JOIN applied ON applied.run_id = run.id AND applied.is_last
        UNION ALL
        SELECT run.user_id, was_plan_id, run.currency, was_amount, was_period,
               GREATEST(run.paid_from, applied.began_at), LEAST(run.ended_at, applied.applied_at)
          FROM run JOIN applied ON applied.run_id = run.id
        UNION ALL
        SELECT user_id, plan_id, currency, 0, billing_period, started_at, LEAST(ended_at, paid_from)
          FROM run
    ),
    share (billing_period, twelfths) AS (
        VALUES ('weekly', 52), ('monthly', 12), ('quarterly', 4), ('yearly', 1), ('one_time', 0)
    ),
    period AS (
        SELECT user_id, plan_id, currency, amount * twelfths AS twelfths, started_at, ended_at
          FROM held JOIN share USING (billing_period)
         WHERE started_at < ended_at
    ),
"""
# A point is in a period when started_at <= point < ended_at. width_bucket counts the points up to
# a moment; a microsecond before it, so that a point at the very moment is not among them.
_COVERED = """
    covered AS (
        SELECT user_id, twelfths,
               width_bucket(started_at - interval '1 microsecond', points) AS first,
               width_bucket(ended_at - interval '1 microsecond', points) AS past
          FROM period, (SELECT %(points)s::timestamptz[] AS points) AS asked
         WHERE currency = COALESCE(%(currency)s, currency) AND twelfths <> 0
           AND started_at <= %(last)s AND ended_at > %(first)s
    ),
"""
_LEVELS = """
    level AS (
        SELECT first, past, sum(twelfths) AS twelfths FROM covered
         WHERE first < past GROUP BY first, past
    )
    SELECT point, sum(change) FROM (
        SELECT first AS point, twelfths AS change FROM level
        UNION ALL SELECT past, -twelfths FROM level
    ) AS changes
    GROUP BY point
"""
_CHANGES = """
    change AS (
        SELECT user_id, point, sum(change) AS change
          FROM covered CROSS JOIN LATERAL (VALUES (first, twelfths), (past, -twelfths))
               AS edge (point, change)
         WHERE first < past
         GROUP BY user_id, point HAVING sum(change) <> 0
    ),
    movement AS (
        SELECT user_id, point, change,
               sum(change) OVER (PARTITION BY user_id ORDER BY point) AS after
          FROM change
    ),
    kind AS (
        SELECT user_id, point, abs(change) AS twelfths,
               CASE WHEN after = change THEN 'new' WHEN after = 0 THEN 'churn'
                    WHEN change > 0 THEN 'expansion' ELSE 'contraction' END AS kind
          FROM movement WHERE point <= %(last_point)s
    )
"""
# What is new at the first point is all that there was then.
_MOVEMENTS = "SELECT point, kind, sum(twelfths) FROM kind GROUP BY point, kind"
_MOVED = "SELECT user_id FROM kind WHERE kind = %(kind)s AND point > 0"
_PLANS = """
    running AS (
        SELECT plan_id, twelfths, user_id FROM period
         WHERE currency = %(currency)s AND plan_id IS NOT NULL
           AND started_at <= %(at)s AND ended_at > %(at)s
    )
    SELECT plan.id, plan.name, sum(twelfths) AS twelfths, count(DISTINCT user_id) AS subscribers
      FROM running JOIN catalog_plan plan ON plan.id = plan_id
     GROUP BY plan.id, plan.name
     ORDER BY twelfths DESC, subscribers DESC, plan.name
     LIMIT %(limit)s
"""
# Per customer, what ran at each of three moments.
_AUDIENCE = """
    customer AS (
        SELECT user_id,
               bool_or(before_ AND twelfths > 0) AS before_,
               bool_or(start_ AND twelfths > 0) AS start_,
               bool_or(end_ AND twelfths > 0) AS end_,
               bool_or(start_ AND twelfths > 0 AND currency = %(currency)s) AS paid_at_start,
               bool_or(end_ AND twelfths > 0 AND currency = %(currency)s) AS paid_at_end,
               sum(twelfths) FILTER (WHERE start_ AND currency = %(currency)s) AS mrr_at_start,
               sum(twelfths) FILTER (WHERE end_ AND currency = %(currency)s) AS mrr_at_end,
               count(*) FILTER (WHERE start_ AND plan_id IS NOT NULL) AS subscriptions_at_start,
               count(*) FILTER (WHERE end_ AND plan_id IS NOT NULL) AS subscriptions_at_end
          FROM (SELECT user_id, plan_id, currency, twelfths,
                       started_at <= %(before)s AND ended_at > %(before)s AS before_,
                       started_at <= %(start)s AND ended_at > %(start)s AS start_,
                       started_at <= %(end)s AND ended_at > %(end)s AS end_
                  FROM period WHERE started_at <= %(end)s AND ended_at > %(before)s) AS seen
         GROUP BY user_id
    )
    SELECT count(*) FILTER (WHERE before_), count(*) FILTER (WHERE before_ AND NOT start_),
           count(*) FILTER (WHERE start_), count(*) FILTER (WHERE start_ AND NOT end_),
           count(*) FILTER (WHERE paid_at_start), count(*) FILTER (WHERE paid_at_end),
           COALESCE(sum(subscriptions_at_start), 0)::bigint,
           COALESCE(sum(subscriptions_at_end), 0)::bigint,
           COALESCE(sum(mrr_at_start), 0), COALESCE(sum(mrr_at_end), 0)
      FROM customer
"""


class Kind(StrEnum):
    """How a customer's MRR moved in a month. Who had left and came back is new."""

    NEW = "new"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"


@dataclass(frozen=True, slots=True)
class Movement:
    """
    One month: ``start`` + new + expansion − contraction − churn = ``end``, exactly.

    :param moved: the sum of each kind, never negative
    """

    month: Part
    start: Fraction
    moved: dict[Kind, Fraction]
    end: Fraction


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """A plan's part of the MRR, without add-ons, and how many customers have it."""

    plan_id: UUID
    name: str
    mrr: Fraction
    subscribers: int


@dataclass(frozen=True, slots=True)
class Audience:
    """
    Customers with MRR in any currency (``…_customers``, and those of them who were ``…_lost`` by
    the end), with MRR in the one asked for (``payers``) and how much, and running subscriptions.
    """

    before_customers: int
    before_lost: int
    start_customers: int
    start_lost: int
    start_payers: int
    end_payers: int
    start_subscriptions: int
    end_subscriptions: int
    start_mrr: Fraction
    end_mrr: Fraction


def money(value: Fraction, currency: str) -> Money:
    """A figure as money. It is exact until here, and rounded here."""
    return Money.rounded(Decimal(value.numerator) / Decimal(value.denominator), currency)


def levels(*, currency: str, points: Sequence[datetime]) -> list[Fraction]:
    """
    The MRR at each point, in one statement.

    :param points: at least one, in ascending order
    """
    parameters = _points(currency, points)
    rows = _select(_PERIODS + _COVERED + _LEVELS, parameters)
    changes = {point: _months(twelfths) for point, twelfths in rows}
    return list(accumulate(changes.get(point, Fraction(0)) for point in range(len(points))))


def movements(*, currency: str, months: Sequence[Part]) -> list[Movement]:
    """
    What became of the MRR in each of the months, which follow each other. One statement.

    Per customer and month, the MRR when the month began is held against the one when it ended.
    """
    parameters = _points(currency, _boundaries(months))
    rows = _select(_PERIODS + _COVERED + _CHANGES + _MOVEMENTS, parameters)
    sums = {(point, Kind(kind)): _months(twelfths) for point, kind, twelfths in rows}
    found = []
    start = sums.get((0, Kind.NEW), Fraction(0))
    for point, month in enumerate(months, start=1):
        moved = {kind: sums.get((point, kind), Fraction(0)) for kind in Kind}
        gained = moved[Kind.NEW] + moved[Kind.EXPANSION]
        end = start + gained - moved[Kind.CONTRACTION] - moved[Kind.CHURN]
        found.append(Movement(month, start, moved, end))
        start = end
    return found


def plans(*, currency: str, at: datetime, limit: int) -> list[PlanFigures]:
    """The plans that bring the most, the largest first."""
    rows = _select(_PERIODS + _PLANS, {"currency": currency, "at": at, "limit": limit})
    return [PlanFigures(pk, name, _months(sum_), count) for pk, name, sum_, count in rows]


def audience(*, currency: str, before: datetime, start: datetime, end: datetime) -> Audience:
    """Who was there at three moments, in one statement."""
    parameters = {"currency": currency, "before": before, "start": start, "end": end}
    (row,) = _select(_PERIODS + _AUDIENCE, parameters)
    named: dict[str, Any] = dict(zip((field.name for field in fields(Audience)), row, strict=True))
    named["start_mrr"], named["end_mrr"] = (_months(twelfths) for twelfths in row[-2:])
    return Audience(**named)


def subscription_runs(*, at: datetime) -> Q:
    """Which subscriptions the figures of that moment are of."""
    not_over = (Q(cancelled_at=None) | Q(cancelled_at__gt=at)) & (
        Q(expires_at=None) | Q(expires_at__gt=at)
    )
    return Q(started_at__lte=at) & (Q(status__in=LIVE) | not_over)


def add_on_runs(*, at: datetime) -> Q:
    """The same of add-ons, which count no longer than their subscription."""
    with_subscription = Q(subscription__cancelled_at=None) | Q(subscription__cancelled_at__gt=at)
    return subscription_runs(at=at) & with_subscription


def customers_moved(*, kind: Kind, currency: str | None, start: datetime, end: datetime) -> RawSQL:
    """
    The ids of the customers whose MRR moved so between two moments: for ``user_id__in``.

    :param currency: None for all of them: that tells who came and who left, whatever they paid in
    """
    statement = _PERIODS + _COVERED + _CHANGES + _MOVED
    named = _points(currency, [start, end]) | {"kind": kind.value}
    with connection.cursor() as cursor:
        bound = cursor.mogrify(statement, named).decode()
    return RawSQL(bound.replace("%", "%%"), ())  # noqa: S611 - the driver has quoted what is in it


def _boundaries(months: Sequence[Part]) -> list[datetime]:
    return [months[0].start, *(month.end for month in months)]


def _points(currency: str | None, points: Sequence[datetime]) -> dict[str, Any]:
    return {
        "currency": currency,
        "points": list(points),
        "first": points[0],
        "last": points[-1],
        "last_point": len(points) - 1,
    }


def _months(twelfths: Decimal) -> Fraction:
    return Fraction(twelfths) / 12


def _select(statement: str, parameters: dict[str, Any]) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
