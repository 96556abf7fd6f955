"""
Every invoice and every balance of credit, reckoned again from the event log alone.

Plain and slow, event by event, by docs/billing-rules.md. It uses nothing of what is tested: neither
rows nor services, nor their money, nor their periods.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.histories.account import Account, Told, coupon_of
from tests.histories.arithmetic import next_end, period_end, units
from tests.histories.holdings import LIVE, Change, Holding, Invoice, Item, Line, Wish


class Recomputation(Account):
    """What is invoiced, begins and goes on; what ends or is given back is the account's."""

    # --- Checkout ---

    def _on_checkout_completed(self, told: Told) -> None:
        payload, currency = told.payload, told.payload["currency"]
        invoice = Invoice("checkout", currency, payload["subscription_id"])
        self.invoices[told.subject] = invoice
        items = [self._item(item, currency) for item in payload["items"]]
        holding = self._holding_of(told, items)
        is_of_plan = any(item.kind == "subscription" for item in items)
        is_trial = self._is_free_at_first(payload, holding, is_of_plan=is_of_plan)
        for item in items:
            item.is_free = is_trial and item.kind != "token_bundle"
            item.is_free = item.is_free and (item.kind, item.period) != ("add_on", "one_time")
            invoice.lines.append(Line(item.kind, item.id, 0 if item.is_free else item.full))
        for item in items:
            if not item.fee:
                continue
            if item.is_free and is_of_plan:
                assert holding is not None
                holding.fees_owed += item.fee
            else:
                invoice.lines.append(Line("setup_fee", item.id, item.fee))
        if told.payload.get("coupon"):
            assert holding is not None
            holding.coupon = coupon_of(told.payload["coupon"], currency)
            invoice.lessen(holding.coupon)
        self._use_credit(told.subject)
        self._hold_against(told, "total_amount", invoice.total, currency)

    def _item(self, payload: dict[str, Any], currency: str) -> Item:
        kind = "subscription" if payload["kind"] == "plan" else payload["kind"]
        item = Item(
            id=payload["id"],
            kind=kind,
            of=payload["of"],
            price=units(payload["price"], currency),
            quantity=payload["quantity"],
            period=payload["billing_period"],
            fee=units(payload["setup_fee"], currency),
        )
        self._items[item.id] = item
        return item

    def _holding_of(self, told: Told, items: list[Item]) -> Holding | None:
        """The new one, or that which add-ons join."""
        pk = told.payload["subscription_id"]
        for item in items:
            if item.kind == "subscription":
                trial = told.payload.get("trial", {"days": 0, "is_paid": False})
                self.holdings[pk] = Holding(
                    plan=item,
                    currency=told.payload["currency"],
                    checkout=told.subject,
                    trial_days=trial["days"],
                    is_trial_paid=trial["is_paid"],
                )
                if trial["days"] and item.of in self._trials:
                    self.faults.append(f"{told.subject}: the trial was had before")
        holding = self.holdings.get(pk)
        if holding:
            holding.add_ons += [item for item in items if item.kind == "add_on"]
        return holding

    def _is_free_at_first(
        self, payload: dict[str, Any], holding: Holding | None, *, is_of_plan: bool
    ) -> bool:
        if is_of_plan:
            return "trial" in payload and not payload["trial"]["is_paid"]
        return bool(holding and holding.plan.status == "trialing" and not holding.is_trial_paid)

    def _on_invoice_paid(self, told: Told) -> None:
        self.invoices[told.subject].status = "paid"

    def _on_subscription_activated(self, told: Told) -> None:
        holding = self.holdings[told.subject]
        plan = holding.plan
        is_first = plan.of not in self._trials
        if holding.trial_days and is_first:
            holding.trial_ends = told.at + timedelta(days=holding.trial_days)
            self._trials.add(plan.of)
            plan.status, plan.started = "trialing", told.at
            if holding.is_trial_paid:
                plan.begin(holding.trial_ends)
            else:
                plan.start = told.at
                plan.anchor = plan.ends = holding.trial_ends
        elif holding.trial_days and not holding.is_trial_paid:
            # Somebody else's trial by now: nothing is paid, so it is over at once.
            plan.status, plan.started = "active", told.at
            plan.start = plan.anchor = plan.ends = told.at
        else:
            plan.status = "active"
            plan.begin(told.at)
        self._value(plan, self.invoices[holding.checkout])

    def _on_add_on_activated(self, told: Told) -> None:
        item = self._items[told.subject]
        invoice = self.invoices[told.payload["invoice_id"]]
        assert invoice.subscription
        holding = self.holdings[invoice.subscription]
        stands = holding.plan.status in ("paused", "trialing")
        item.status = holding.plan.status if stands else "active"
        item.started = told.at
        if item.is_free and item.full:
            item.start = told.at
            item.anchor = item.ends = max(holding.trial_ends or told.at, told.at)
        else:
            item.is_free = False
            is_with_plan = told.payload["invoice_id"] == holding.checkout
            is_after = is_with_plan and holding.trial_ends and item.period != "one_time"
            begins = holding.trial_ends if is_after else told.at
            assert begins is not None
            item.begin(begins)
            item.ends = holding.end_of_add_on(item, begins)
        self._value(item, invoice)

    def _value(self, item: Item, invoice: Invoice) -> None:
        item.value = invoice.net(item.id)
        item.lessened_by = invoice if invoice.is_lessened(item.id) else None

    # --- Renewals ---

    def _on_invoice_issued(self, told: Told) -> None:
        holding = self.holdings[told.payload["subscription_id"]]
        begins = datetime.fromisoformat(told.payload["period_start"])
        add_ons = [item for item in holding.running_add_ons() if item.ends]
        due = min(item.ends for item in (holding.plan, *add_ons) if item.ends)
        if begins != due or begins > told.at:
            self.faults.append(f"{told.subject}: from {begins} at {told.at}; {due} is due")
        invoice = Invoice("renewal", holding.currency, told.payload["subscription_id"])
        self.invoices[told.subject] = invoice
        plan_period = plan_end = None
        if holding.plan.ends == begins:
            line, plan_period = self._plan_line(holding, begins)
            plan_end = line.end
            invoice.lines.append(line)
        for item in add_ons:
            if item.ends == begins:
                own_end = next_end(item.anchor or begins, item.period, begins)
                end = plan_end if item.period == plan_period else own_end
                invoice.lines.append(Line("add_on", item.id, item.full, begins, end))
        if plan_period and holding.fees_owed:
            invoice.lines.append(Line("setup_fee", holding.plan.id, holding.fees_owed))
        if holding.coupon and holding.coupon.is_good:
            invoice.lessen(holding.coupon)
        self._use_credit(told.subject)
        self._hold_against(told, "total_amount", invoice.total, holding.currency)

    def _plan_line(self, holding: Holding, begins: datetime) -> tuple[Line, str]:
        plan, wish = holding.plan, holding.wish
        quantity = holding.seats or plan.quantity
        price, period = (wish.price, wish.period) if wish else (plan.price, plan.period)
        if period != plan.period:
            end = period_end(begins, period)
        else:
            end = next_end(plan.anchor or begins, period, begins)
        return Line("subscription", plan.id, price * quantity, begins, end), period

    def _on_subscription_renewed(self, told: Told) -> None:
        self._extend(told, is_back=False)

    def _on_subscription_reactivated(self, told: Told) -> None:
        self._extend(told, is_back=True)

    def _extend(self, told: Told, *, is_back: bool) -> None:
        holding = self.holdings[told.subject]
        invoice = self.invoices[told.payload["invoice_id"]]
        plan = holding.plan
        if own := invoice.period_of(plan.id):
            self._take_up(holding)
            self._renew(plan, own, invoice, anew_at=told.at if is_back else None)
            if invoice.of(plan.id, "setup_fee"):
                holding.fees_owed = 0
        if plan.status != "paused":
            plan.status = "active"
        for item in holding.add_ons:
            own = invoice.period_of(item.id)
            if item.is_unpaid and not own and not (is_back and item.ends is None):
                continue
            if not item.is_unpaid and item.status not in LIVE:
                continue
            if own:
                self._renew(item, own, invoice, anew_at=told.at if item.is_unpaid else None)
                if item.is_unpaid:
                    item.ends = holding.end_of_add_on(item, told.at)
            item.status, item.is_unpaid = plan.status, False

    def _renew(self, item: Item, own: Line, invoice: Invoice, *, anew_at: datetime | None) -> None:
        """:param anew_at: where it had ended meanwhile: nobody pays for time without access"""
        if anew_at:
            item.begin(anew_at)
        else:
            item.anchor = item.anchor or own.start
            item.start, item.ends = own.start, own.end
        item.is_free = False
        self._value(item, invoice)

    def _take_up(self, holding: Holding) -> None:
        plan, wish = holding.plan, holding.wish
        if wish:
            plan.of, plan.price = wish.of, wish.price
            if plan.period != wish.period:
                plan.period, plan.anchor = wish.period, None
        plan.quantity = holding.seats or plan.quantity
        holding.wish = holding.seats = None

    def _on_payment_failed(self, told: Told) -> None:
        """With the last try, the add-ons on it end; with the plan, see also ``expired``."""
        invoice = self.invoices[told.subject]
        if told.payload["next_attempt_at"] or invoice.reason != "renewal":
            return
        assert invoice.subscription
        holding = self.holdings[invoice.subscription]
        for item in holding.running_add_ons():
            if invoice.period_of(holding.plan.id) or invoice.period_of(item.id):
                item.status, item.is_unpaid = "expired", True

    def _on_subscription_expired(self, told: Told) -> None:
        holding = self.holdings[told.subject]
        is_unpaid = told.payload["reason"] == "unpaid"
        for item in holding.items:
            if item.status in LIVE or (item.status == "cancelled" and not is_unpaid):
                item.status = "expired"
                item.is_unpaid = is_unpaid and item.kind == "add_on"

    def _on_subscription_trial_ended(self, told: Told) -> None:
        for item in self.holdings[told.subject].items:
            if item.status == "trialing":
                item.status = "active"

    # --- Changes ---

    def _on_subscription_change_requested(self, told: Told) -> None:
        payload = told.payload
        holding = self.holdings[told.subject]
        item = self._items[payload["add_on_id"] or holding.plan.id]
        change = self._reckon(holding, item, told)
        self._changes[payload["change_id"]] = change
        self._hold_against(told, "credit", change.credit, holding.currency)
        self._hold_against(told, "charge", change.charge, holding.currency)
        if bool(change.charge or change.off) != bool(payload["invoice_id"]):
            self.faults.append(f"{payload['change_id']}: an invoice for {change.charge}?")
        if payload["invoice_id"]:
            invoice = Invoice("change", holding.currency, told.subject)
            self.invoices[payload["invoice_id"]] = invoice
            given_back = min(change.credit, change.charge)
            if given_back:
                invoice.lines.append(Line(item.kind, item.id, -given_back))
            invoice.lines.append(Line(item.kind, item.id, change.charge + change.off))
            if change.off:
                assert holding.coupon
                invoice.lines.append(Line("discount", item.id, -change.off))
                invoice.use(holding.coupon)
                change.lessened_by = invoice
            self._use_credit(payload["invoice_id"])

    def _reckon(self, holding: Holding, item: Item, told: Told) -> Change:
        payload = told.payload
        price, quantity = units(payload["price"], holding.currency), payload["quantity"]
        value = self._net(holding, item, price * quantity)
        coupon = holding.coupon if holding.coupon and holding.coupon.is_good else None
        off = coupon.off([price * quantity])[0] if coupon else 0
        is_new = False
        if item.is_free and item.ends and told.at < item.ends:
            value = credit = charge = 0
        elif payload["arrival"] == "full_price":
            value = price * quantity - off
            credit, charge, is_new = 0, value, True
        elif item.ends is None and payload["billing_period"] == item.period:
            credit, charge = min(item.value, value), value
        elif payload["billing_period"] != item.period:
            value = price * quantity - off
            credit, charge, is_new = item.worth(told.at), value, True
        else:
            credit, charge = item.worth(told.at), item.rest_of(value, told.at)
        period = payload["billing_period"]
        plan = payload["plan_id"]
        off = off if is_new else 0
        return Change(item, plan, price, quantity, period, value, credit, charge, is_new, off)

    def _net(self, holding: Holding, item: Item, full: int) -> int:
        """With the discount of the current period: the item's part of it at the new price."""
        lessened_by = item.lessened_by
        if lessened_by is None or lessened_by.coupon is None:
            return full
        together = [
            each
            for each in holding.items
            if each is item
            or (
                each.lessened_by is lessened_by
                and each.start == item.start
                and each.status in ("active", "trialing")
            )
        ]
        off = lessened_by.coupon.off([full if each is item else each.full for each in together])
        return full - off[together.index(item)]

    def _on_subscription_changed(self, told: Told) -> None:
        change = self._changes.pop(told.payload["change_id"], None)
        if change is None:
            return  # what a renewal has taken up
        holding, item = self.holdings[told.subject], change.item
        if item is holding.plan:
            holding.seats = None
            if change.plan:
                item.of = change.plan
                holding.wish = None
        item.price, item.quantity, item.period = change.price, change.quantity, change.period
        was_worth = item.value
        if change.is_new_period:
            item.begin(told.at)
            item.lessened_by = change.lessened_by
        item.value = change.value
        if item.ends is None:
            item.value = max(was_worth, change.value)  # paid for good stays paid for
        if item.value >= item.full:
            item.lessened_by = None
        self.credit[holding.currency] += max(change.credit - change.charge, 0)

    def _on_subscription_change_scheduled(self, told: Told) -> None:
        holding, payload = self.holdings[told.subject], told.payload
        asked, plan, quantity = payload["asked"], payload["plan_id"], payload["quantity"]
        if asked["plan"]:
            price = units(payload["price"], holding.currency)
            holding.wish = Wish(plan, price, payload["billing_period"]) if plan else None
        if asked["quantity"] is not None or (asked["plan"] and plan is None):
            holding.seats = quantity if quantity != holding.plan.quantity else None

    def _on_subscription_change_withdrawn(self, told: Told) -> None:
        holding = self.holdings[told.subject]
        holding.wish = holding.seats = None
