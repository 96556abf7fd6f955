"""What a customer holds and owes, as it is reckoned from the event log: plain values, no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from tests.histories.arithmetic import half_up, period_end, rounded_down, rounded_up, spread

LIVE = ("trialing", "active", "paused")
LESSENED = ("subscription", "add_on")  # by a coupon
NOTHING = timedelta(0)


@dataclass
class Coupon:
    """:param left: how many periods it lessens yet; None is all of them"""

    percent: Fraction | None
    amount: int | None
    left: int | None
    is_taken_off: bool = False

    @property
    def is_good(self) -> bool:
        return self.left != 0 and not self.is_taken_off

    def off(self, amounts: Sequence[int]) -> list[int]:
        """What it takes off each of these."""
        total = sum(amounts)
        if total == 0:
            return [0 for _ in amounts]
        if self.percent is None:
            assert self.amount is not None
            return spread(min(self.amount, total), amounts)
        return spread(half_up(total * self.percent / 100), amounts)


@dataclass
class Line:
    kind: str
    item: str
    amount: int
    start: datetime | None = None
    end: datetime | None = None


@dataclass
class Invoice:
    """Amounts are whole units of the currency."""

    reason: str
    currency: str
    subscription: str | None
    status: str = "open"
    lines: list[Line] = field(default_factory=list)
    coupon: Coupon | None = None

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def credit(self) -> int:
        return -sum(line.amount for line in self.lines if line.kind == "credit")

    def of(self, item: str, *kinds: str) -> int:
        return sum(line.amount for line in self.lines if line.item == item and line.kind in kinds)

    def net(self, item: str) -> int:
        return self.of(item, *LESSENED, "discount")

    def period_of(self, item: str) -> Line | None:
        own = (line for line in self.lines if line.item == item and line.kind in LESSENED)
        return next(own, None)

    def is_lessened(self, item: str) -> bool:
        return self.of(item, "discount") != 0

    def lessen(self, coupon: Coupon) -> None:
        """A line of discount for plan and add-ons; where nothing can be taken off, no period."""
        lines = [line for line in self.lines if line.kind in LESSENED and line.amount]
        if not lines:
            return
        off = coupon.off([line.amount for line in lines])
        self.lines += [
            Line("discount", line.item, -amount)
            for line, amount in zip(lines, off, strict=True)
            if amount
        ]
        self.use(coupon)

    def use(self, coupon: Coupon) -> None:
        self.coupon = coupon
        if coupon.left is not None:
            coupon.left -= 1


@dataclass
class Item:
    """
    A subscription to a plan, or an add-on. ``price`` is of one; ``value`` of all of it for the
    whole current period, after discounts.

    :param ends: the end of what is paid; None is never
    :param lessened_by: the invoice whose coupon has lessened the current period
    :param is_free: nothing is paid for it until a trial is over
    """

    id: str
    kind: str
    of: str
    price: int
    quantity: int
    period: str
    fee: int
    status: str = "pending"
    started: datetime | None = None
    start: datetime | None = None
    ends: datetime | None = None
    anchor: datetime | None = None
    value: int = 0
    lessened_by: Invoice | None = None
    is_free: bool = False
    is_unpaid: bool = False

    @property
    def full(self) -> int:
        return self.price * self.quantity

    def begin(self, at: datetime) -> None:
        self.started = self.started or at
        self.start = self.anchor = at
        self.ends = period_end(at, self.period)

    def is_running(self, at: datetime) -> bool:
        runs = self.status in (*LIVE, "cancelled")
        return runs and (self.ends is None or self.ends > at)

    def end(self) -> None:
        self.status = "ended"

    def worth(self, at: datetime) -> int:
        """What is given back of it."""
        if self.ends is None or self.start is None:
            return 0
        return rounded_up(self.value, self.ends - at, self.ends - self.start)

    def rest_of(self, value: int, at: datetime) -> int:
        """What is asked for instead."""
        assert self.ends is not None
        assert self.start is not None
        return rounded_down(value, self.ends - at, self.ends - self.start)

    def shift(self, by: timedelta) -> None:
        self.ends = self.ends and self.ends + by
        self.start = self.start and self.start + by
        self.anchor = self.anchor and self.anchor + by


@dataclass
class Wish:
    """Another plan from the next renewal on."""

    of: str
    price: int
    period: str


@dataclass
class Holding:
    """A subscription with its add-ons, in the order in which they were bought."""

    plan: Item
    currency: str
    checkout: str
    trial_days: int = 0
    is_trial_paid: bool = False
    trial_ends: datetime | None = None
    fees_owed: int = 0
    add_ons: list[Item] = field(default_factory=list)
    coupon: Coupon | None = None
    wish: Wish | None = None
    seats: int | None = None
    paused: datetime | None = None
    is_back_when_paid: bool = False

    @property
    def items(self) -> list[Item]:
        return [self.plan, *self.add_ons]

    def running_add_ons(self) -> list[Item]:
        return [item for item in self.add_ons if item.status in LIVE]

    def would_end(self, at: datetime) -> datetime | None:
        """Of a paused one: when it would end if it went on now."""
        if self.paused is None or self.plan.ends is None:
            return self.plan.ends
        return self.plan.ends + (at - self.paused)

    def end_of_add_on(self, item: Item, begins: datetime) -> datetime | None:
        if item.period == self.plan.period != "one_time":
            return self.would_end(begins)
        return period_end(begins, item.period)

    def prolong(self, at: datetime) -> None:
        """The paused time is added; further periods of the plan are counted from its new end."""
        assert self.paused is not None
        for item in self.add_ons:
            if item.status == "paused":
                assert item.started is not None
                item.shift(at - max(item.started, self.paused))
                item.status = "active"
        self.plan.shift(at - self.paused)
        self.plan.anchor = self.plan.ends
        self.plan.status = "active"
        self.paused = None

    def run_out(self, at: datetime) -> None:
        """It is cancelled for its end; add-ons end with it where that is over."""
        self.plan.status = "cancelled"
        if self.plan.ends and self.plan.ends <= at:
            for item in self.running_add_ons():
                item.end()


@dataclass
class Change:
    """
    What was asked for in the middle of a period, until it takes effect.

    :param off: what a coupon takes off a new period
    """

    item: Item
    plan: str | None
    price: int
    quantity: int
    period: str
    value: int
    credit: int
    charge: int
    is_new_period: bool
    off: int = 0
    lessened_by: Invoice | None = None
