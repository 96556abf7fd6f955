"""
What is told of a customer: kept by what it is of, and what is given back, ends or is used up.

The first half of the recomputation, see ``recomputation``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from tests.histories.arithmetic import shown, units
from tests.histories.holdings import Change, Coupon, Holding, Invoice, Item, Line

AT_ONCE = ("superseded", "refunded")  # reasons for which it does not run on


@dataclass(frozen=True)
class Told:
    """One event of the log."""

    name: str
    subject: str
    payload: dict[str, Any]
    at: datetime


class Account:
    """``play`` the log of one customer, oldest first; then look at ``invoices`` and ``credit``."""

    def __init__(self) -> None:
        self.invoices: dict[str, Invoice] = {}
        self.credit: Counter[str] = Counter()
        self.holdings: dict[str, Holding] = {}
        self.faults: list[str] = []
        self._items: dict[str, Item] = {}
        self._changes: dict[str, Change] = {}
        self._trials: set[str] = set()

    def play(self, log: Iterable[Told]) -> None:
        for told in log:
            apply = getattr(self, "_on_" + told.name.replace(".", "_"), None)
            if apply:
                apply(told)

    # --- What is not paid, or given back ---

    def _on_invoice_withdrawn(self, told: Told) -> None:
        self._cancel(told.subject)

    _on_invoice_expired = _on_invoice_voided = _on_invoice_withdrawn

    def _cancel(self, pk: str) -> None:
        invoice = self.invoices[pk]
        if invoice.status != "open":
            return
        invoice.status = "cancelled"
        self.credit[invoice.currency] += invoice.credit
        holding = self.holdings.get(invoice.subscription or "")
        if holding and invoice.reason != "checkout" and invoice.coupon:
            self._give_period_back(holding, invoice.coupon)
        if invoice.reason == "checkout":
            for line in invoice.lines:
                if line.item in self._items:
                    self._items[line.item].end()

    def _give_period_back(self, holding: Holding, coupon: Coupon) -> None:
        """One at a time: where another one is on it by now, the period is lost."""
        if coupon.left is not None and (holding.coupon is coupon or not _is_good(holding.coupon)):
            coupon.left += 1
            holding.coupon = coupon

    def _on_invoice_refunded(self, told: Told) -> None:
        invoice = self.invoices[told.subject]
        invoice.status = "refunded"
        self.credit[invoice.currency] += invoice.credit
        for line in invoice.lines:
            item = self._items.get(line.item)
            is_newest = item and (invoice.reason == "checkout" or item.start == line.start)
            if item and item.kind == "add_on" and is_newest and invoice.reason != "change":
                item.end()

    # --- Pause and end ---

    def _on_subscription_paused(self, told: Told) -> None:
        holding = self.holdings[told.subject]
        holding.paused = told.at
        for item in holding.items:
            if item.status == "active":
                item.status = "paused"

    def _on_subscription_resumed(self, told: Told) -> None:
        self.holdings[told.subject].prolong(told.at)

    def _on_subscription_cancelled(self, told: Told) -> None:
        holding, payload = self.holdings[told.subject], told.payload
        if holding.plan.status == "pending":
            self._cancel(holding.checkout)
            return
        if payload.get("with_credit"):
            for item in holding.items:
                at = told.at if item.status == "cancelled" else holding.paused or told.at
                if item.is_running(at):
                    self.credit[holding.currency] += item.worth(at)
        if payload.get("at_once") or payload.get("reason") in AT_ONCE or not holding.plan.ends:
            holding.paused = None
            for item in holding.items:
                if item.status != "pending":
                    item.end()
            return
        if holding.paused:
            holding.prolong(told.at)
        holding.run_out(told.at)

    def _on_subscription_uncancelled(self, told: Told) -> None:
        holding = self.holdings[told.subject]
        is_on_trial = holding.trial_ends is not None and holding.trial_ends > told.at
        holding.plan.status = "trialing" if is_on_trial else "active"

    def _on_add_on_cancelled(self, told: Told) -> None:
        item = self._items[told.subject]
        item.status = "cancelled"
        if item.ends is None:
            item.end()

    def _on_add_on_uncancelled(self, told: Told) -> None:
        holding = self.holdings[told.payload["subscription_id"]]
        self._items[told.subject].status = holding.plan.status

    # --- Coupons and credit ---

    def _on_coupon_redeemed(self, told: Told) -> None:
        holding = self.holdings[told.subject]
        holding.coupon = coupon_of(told.payload, holding.currency)

    def _on_coupon_taken_off(self, told: Told) -> None:
        coupon = self.holdings[told.subject].coupon
        assert coupon is not None
        coupon.is_taken_off = True

    def _use_credit(self, pk: str) -> None:
        invoice = self.invoices[pk]
        used = min(self.credit[invoice.currency], invoice.total)
        if used:
            self.credit[invoice.currency] -= used
            invoice.lines.append(Line("credit", pk, -used))

    def _hold_against(self, told: Told, name: str, amount: int, currency: str) -> None:
        if units(told.payload[name], currency) != amount:
            was = f"{name} {told.payload[name]} {currency}"
            self.faults.append(f"{told.at} {told.name}: {was}, and not {shown(amount, currency)}")


def coupon_of(terms: dict[str, Any], currency: str) -> Coupon:
    percent, amount = terms["percent"], terms["amount"]
    return Coupon(
        percent=None if percent is None else Fraction(percent),
        amount=None if amount is None else units(amount, currency),
        left=terms["periods"],
    )


def _is_good(coupon: Coupon | None) -> bool:
    return coupon is not None and coupon.is_good
