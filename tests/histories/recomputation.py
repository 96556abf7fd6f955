"""
Every invoice's amount once more, from the event log alone.

Plain and slow, by the rules of docs/billing-rules.md, docs/adr/0011 and 0012, with a price list and
without any code of the services: what they compute is held against this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.histories.arithmetic import after, half_up, next_end, part_down, part_up, spread
from tests.histories.prices import BY_CODE, BY_NAME, PLACES

Payload = Mapping[str, Any]
ZERO = timedelta(0)


@dataclass(frozen=True)
class Told:
    """One event."""

    name: str
    subject: str
    payload: Payload
    at: datetime


@dataclass
class Item:
    """A subscription or an add-on. ``value``: what its whole current period costs, discounted."""

    name: str
    quantity: int
    price: int
    anchor: datetime | None
    start: datetime
    end: datetime
    value: int
    period: str
    is_unpaid: bool = False
    # What has lessened its current period.
    coupon: Coupon | None = None

    @property
    def full(self) -> int:
        return self.price * self.quantity

    def worth(self, at: datetime) -> int:
        return part_up(self.value, self.end - at, self.end - self.start)


@dataclass
class Coupon:
    code: str
    left: int | None

    def off(self, amounts: list[int], currency: str) -> list[int]:
        terms = BY_CODE[self.code]
        if terms.percent is not None:
            total = half_up(Fraction(sum(amounts) * terms.percent, 100))
        else:
            total = min(terms.amounts[currency], sum(amounts))
        return spread(total, amounts)


@dataclass
class Line:
    item: Item
    net: int
    start: datetime
    end: datetime
    coupon: Coupon | None = None


@dataclass
class Invoice:
    total: int
    currency: str
    credit: int = 0
    lines: list[Line] = field(default_factory=list)
    order: Payload = field(default_factory=dict)
    subscription: str = ""
    coupon: Coupon | None = None
    is_renewal: bool = False
    with_plan: bool = False


@dataclass
class Change:
    item: Item
    name: str
    quantity: int
    price: int
    period: str
    value: int
    credit: int
    charge: int
    is_new_period: bool


@dataclass
class Held:
    """A subscription with what belongs to it."""

    own: Item
    currency: str
    add_ons: list[Item] = field(default_factory=list)
    coupon: Coupon | None = None
    status: str = "active"
    paused_at: datetime | None = None
    pending_plan: str | None = None
    pending_quantity: int | None = None


class Recomputation:
    """
    Of one customer.

    :param names: of plans and add-ons, by id
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.order: Payload = {}
        self.invoices: dict[str, Invoice] = {}
        self.held: dict[str, Held] = {}
        self.changes: dict[str, Change] = {}
        self.credit: dict[str, int] = dict.fromkeys(PLACES, 0)
        self.faults: list[str] = []

    def totals(self, log: Iterable[Told]) -> dict[str, int]:
        """The total of each invoice, by its id, in the currency's smallest unit."""
        for told in log:
            handle = getattr(self, f"_{told.name.replace('.', '_')}", None)
            if handle:
                handle(told)
        return {pk: invoice.total for pk, invoice in self.invoices.items()}

    # --- Checkouts ---

    def _checkout_requested(self, told: Told) -> None:
        self.order = told.payload

    def _checkout_completed(self, told: Told) -> None:
        order = self.order
        currency = told.payload["currency"]
        plan = BY_NAME[self.names[order["plan_id"]]]
        amounts = [plan.prices[currency] * order.get("quantity", 1)]
        for pk in order["add_on_ids"]:
            count = order.get("add_on_quantities", {}).get(pk, 1)
            amounts.append(BY_NAME[self.names[pk]].prices[currency] * count)
        off = [0 for _ in amounts]
        if code := order.get("coupon_code"):
            off = Coupon(code.upper(), None).off(amounts, currency)
        invoice = Invoice(total=sum(amounts) - sum(off), currency=currency, order=order)
        nets = [amount - less for amount, less in zip(amounts, off, strict=True)]
        invoice.order = {**order, "nets": nets}
        self._use_credit(invoice)
        self.invoices[told.subject] = invoice

    def _subscription_activated(self, told: Told) -> None:
        invoice = self.invoices[told.payload["invoice_id"]]
        order, currency = invoice.order, invoice.currency
        sold = BY_NAME[self.names[order["plan_id"]]]
        end = after(told.at, sold.period, 1)
        own = Item(
            name=sold.name,
            quantity=order.get("quantity", 1),
            price=sold.prices[currency],
            anchor=told.at,
            start=told.at,
            end=end,
            value=order["nets"][0],
            period=sold.period,
        )
        held = Held(own, currency)
        if code := order.get("coupon_code"):
            periods = BY_CODE[code.upper()].periods
            own.coupon = Coupon(code.upper(), None if periods is None else periods - 1)
            held.coupon = own.coupon if own.coupon.left != 0 else None
        invoice.subscription = told.subject
        self.held[told.subject] = held

    def _add_on_activated(self, told: Told) -> None:
        invoice = self.invoices[told.payload["invoice_id"]]
        held = self.held[invoice.subscription]
        number = len(held.add_ons)
        pk = invoice.order["add_on_ids"][number]
        sold = BY_NAME[self.names[pk]]
        is_together = sold.period == held.own.period
        held.add_ons.append(
            Item(
                name=sold.name,
                quantity=invoice.order.get("add_on_quantities", {}).get(pk, 1),
                price=sold.prices[held.currency],
                anchor=told.at,
                start=told.at,
                end=held.own.end if is_together else after(told.at, sold.period, 1),
                value=invoice.order["nets"][1 + number],
                period=sold.period,
                coupon=held.own.coupon,
            )
        )

    # --- Renewals ---

    def _invoice_issued(self, told: Told) -> None:
        held = self.held[told.payload["subscription_id"]]
        begins = datetime.fromisoformat(told.payload["period_start"])
        add_ons = [item for item in held.add_ons if not item.is_unpaid]
        if begins != min(item.end for item in (held.own, *add_ons)):
            self.faults.append(f"renewed from {begins}, and nothing ends then")
        lines = []
        plan_end, plan_period = None, None
        if held.own.end == begins:
            price, quantity, plan_period = self._next_of_plan(held)
            if plan_period != held.own.period:
                plan_end = after(begins, plan_period, 1)
            else:
                plan_end = next_end(held.own.anchor or begins, plan_period, begins)
            lines.append(Line(held.own, price * quantity, begins, plan_end))
        for item in add_ons:
            if item.end != begins:
                continue
            end = plan_end if item.period == plan_period else None
            end = end or next_end(item.anchor or begins, item.period, begins)
            lines.append(Line(item, item.full, begins, end))
        invoice = Invoice(0, held.currency, lines=lines, is_renewal=True)
        invoice.subscription = told.payload["subscription_id"]
        invoice.with_plan = plan_end is not None
        self._lessen(held, invoice)
        invoice.total = sum(line.net for line in lines)
        self._use_credit(invoice)
        self.invoices[told.subject] = invoice

    def _next_of_plan(self, held: Held) -> tuple[int, int, str]:
        quantity = held.pending_quantity or held.own.quantity
        if held.pending_plan is None:
            return held.own.price, quantity, held.own.period
        sold = BY_NAME[held.pending_plan]
        return sold.prices[held.currency], quantity, sold.period

    def _lessen(self, held: Held, invoice: Invoice) -> None:
        amounts = [line.net for line in invoice.lines]
        if held.coupon is None or not any(amounts):
            return
        for line, off in zip(invoice.lines, held.coupon.off(amounts, held.currency), strict=True):
            line.net -= off
            if off:
                line.coupon = invoice.coupon = held.coupon
        if held.coupon.left is not None:
            held.coupon.left -= 1
            if held.coupon.left == 0:
                held.coupon = None

    def _subscription_renewed(self, told: Told) -> None:
        self._extend(told, is_back=False)

    def _subscription_reactivated(self, told: Told) -> None:
        self._extend(told, is_back=True)

    def _extend(self, told: Told, *, is_back: bool) -> None:
        invoice = self.invoices[told.payload["invoice_id"]]
        held = self.held[told.subject]
        for line in invoice.lines:
            item = line.item
            if item is held.own:
                self._take_up(held)
            if item.is_unpaid or (is_back and item is held.own):
                item.anchor = item.start = told.at
                item.end = after(told.at, item.period, 1)
                if item is not held.own and item.period == held.own.period:
                    item.end = held.own.end
            else:
                item.anchor = item.anchor or line.start
                item.start, item.end = line.start, line.end
            item.value = line.net
            item.coupon = line.coupon
            item.is_unpaid = False
        if held.status != "paused":
            held.status = "active"

    def _take_up(self, held: Held) -> None:
        own = held.own
        if held.pending_plan:
            sold = BY_NAME[held.pending_plan]
            own.name, own.price = sold.name, sold.prices[held.currency]
            if own.period != sold.period:
                own.period, own.anchor = sold.period, None
        own.quantity = held.pending_quantity or own.quantity
        held.pending_plan = held.pending_quantity = None

    def _payment_failed(self, told: Told) -> None:
        """After the last try what was to be renewed has ended; with the plan, all of it."""
        if told.payload["next_attempt_at"] is not None:
            return
        invoice = self.invoices[told.subject]
        held = self.held[invoice.subscription]
        for item in held.add_ons:
            if invoice.with_plan or any(line.item is item for line in invoice.lines):
                item.is_unpaid = True

    def _subscription_expired(self, told: Told) -> None:
        self.held[told.subject].status = "expired"

    # --- Changes ---

    def _subscription_change_requested(self, told: Told) -> None:
        held = self.held[told.subject]
        item = self._item_of(held, told.payload)
        sold = BY_NAME[told.payload["plan"]]
        is_other = item is held.own and sold.name != item.name
        price = sold.prices[held.currency] if is_other else item.price
        period = sold.period if is_other else item.period
        quantity = told.payload["quantity"]
        value = self._net(held, item, price * quantity)
        left, whole = item.end - told.at, item.end - item.start
        if is_other and sold.arrival == "full_price":
            credit, charge, is_new = 0, value, True
        elif period != item.period:
            credit, charge, is_new = item.worth(told.at), value, True
        else:
            credit, charge, is_new = item.worth(told.at), part_down(value, left, whole), False
        name = sold.name if is_other else item.name
        self.changes[told.payload["change_id"]] = Change(
            item, name, quantity, price, period, value, credit, charge, is_new
        )
        self._hold_against(told, "credit", credit, held.currency)
        self._hold_against(told, "charge", charge, held.currency)
        if charge:
            invoice = Invoice(max(charge - credit, 0), held.currency, subscription=told.subject)
            self._use_credit(invoice)
            self.invoices[told.payload["invoice_id"]] = invoice

    def _item_of(self, held: Held, payload: Payload) -> Item:
        if "add_on_subscription_id" not in payload:
            return held.own
        return next(item for item in held.add_ons if item.name == payload["plan"])

    def _net(self, held: Held, item: Item, full: int) -> int:
        """
        With the coupon that lessens the current period, where one does: of all that it lessened
        together then, what falls to this.
        """
        if item.value >= item.full or item.coupon is None:
            return full
        together = [
            each
            for each in (held.own, *held.add_ons)
            if each is item
            or (not each.is_unpaid and each.start == item.start and each.value < each.full)
        ]
        amounts = [full if each is item else each.full for each in together]
        at = next(number for number, each in enumerate(together) if each is item)
        return full - item.coupon.off(amounts, held.currency)[at]

    def _subscription_changed(self, told: Told) -> None:
        change = self.changes.get(told.payload["change_id"])
        if change is None:
            return  # with a renewal, which has told it
        held, item = self.held[told.subject], change.item
        if item is held.own:
            if change.name != item.name:
                held.pending_plan = None
            held.pending_quantity = None
        item.name, item.quantity = change.name, change.quantity
        item.price, item.period, item.value = change.price, change.period, change.value
        if change.is_new_period:
            item.anchor = item.start = told.at
            item.end = after(told.at, item.period, 1)
        self.credit[held.currency] += max(change.credit - change.charge, 0)

    def _subscription_change_scheduled(self, told: Told) -> None:
        held = self.held[told.subject]
        name, quantity = told.payload["plan"], told.payload["quantity"]
        held.pending_plan = name if name != held.own.name else None
        held.pending_quantity = quantity if quantity != held.own.quantity else None

    def _subscription_change_withdrawn(self, told: Told) -> None:
        held = self.held[told.subject]
        held.pending_plan = held.pending_quantity = None

    # --- What is taken back ---

    def _invoice_withdrawn(self, told: Told) -> None:
        self._give_back(told.subject)

    def _invoice_expired(self, told: Told) -> None:
        self._give_back(told.subject)

    def _give_back(self, pk: str) -> None:
        invoice = self.invoices[pk]
        self.credit[invoice.currency] += invoice.credit
        invoice.credit = 0
        held, coupon = self.held.get(invoice.subscription), invoice.coupon
        if held is None or coupon is None or coupon.left is None:
            return
        if held.coupon in (None, coupon):
            # One that was taken off stays off; one that was used up is good again.
            if coupon.left == 0:
                held.coupon = coupon
            coupon.left += 1

    # --- Pause, end, coupon ---

    def _subscription_paused(self, told: Told) -> None:
        held = self.held[told.subject]
        held.status, held.paused_at = "paused", told.at

    def _subscription_resumed(self, told: Told) -> None:
        self._prolong(self.held[told.subject], told.at)

    def _prolong(self, held: Held, at: datetime) -> None:
        """Further periods of the subscription are counted from where this one ends now."""
        if held.paused_at is None:
            return
        for item in (held.own, *held.add_ons):
            pause = at - held.paused_at
            item.start += pause
            item.end += pause
            item.anchor = item.end if item is held.own else (item.anchor or item.start) + pause
        held.status, held.paused_at = "active", None

    def _subscription_cancelled(self, told: Told) -> None:
        held = self.held.get(told.subject)
        if held is None:
            return  # never paid
        if told.payload.get("credit"):
            at = held.paused_at or told.at
            running = [item for item in held.add_ons if not item.is_unpaid]
            given = sum(item.worth(at) for item in (held.own, *running))
            self._hold_against(told, "credit", given, held.currency)
            self.credit[held.currency] += given
        else:
            self._prolong(held, told.at)
        held.status, held.paused_at = "cancelled", None

    def _subscription_uncancelled(self, told: Told) -> None:
        self.held[told.subject].status = "active"

    def _coupon_redeemed(self, told: Told) -> None:
        code = BY_CODE[told.payload["coupon"]]
        held = self.held[told.subject]
        held.coupon = Coupon(code.code, code.periods)

    def _coupon_taken_off(self, told: Told) -> None:
        self.held[told.subject].coupon = None

    # --- Amounts ---

    def _use_credit(self, invoice: Invoice) -> None:
        invoice.credit = min(self.credit[invoice.currency], invoice.total)
        self.credit[invoice.currency] -= invoice.credit
        invoice.total -= invoice.credit

    def _hold_against(self, told: Told, key: str, units: int, currency: str) -> None:
        said = round(Fraction(told.payload[key]) * 10 ** PLACES[currency])
        if said != units:
            self.faults.append(f"{told.name} at {told.at}: {key} {said}, recomputed {units}")
