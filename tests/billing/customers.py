"""Customers in every state that there is, made by the services that make the real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from accounts.models import User
from billing.models import Payment, Subscription, SubscriptionChange
from billing.services import (
    changes,
    customer_credit,
    invoices,
    payments,
    refunds,
    subscriptions,
    token_adjustments,
    tokens,
)
from billing.services.checkout import Checkout
from catalog.models import BillingPeriod
from catalog.money import Money
from tests.billing.purchases import check_out, pay, unmatched
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEXT_DAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
THIRD_DAY = datetime(2026, 3, 3, 12, tzinfo=UTC)
FOURTH_DAY = datetime(2026, 3, 4, 12, tzinfo=UTC)
NEW = UUID("019b0000-0000-7000-8000-00000000000a")  # for a row that a test makes


class Customers:
    """
    ``ids``: of every row worth naming, by ``<customer>_<row>``, and of what they bought.

    Ann subscribed to Pro (29.00) with two bundles (10.50 each, 500 tokens) and an add-on (5.00),
    paid, spent 120 tokens, and has ordered another add-on. Bob has ordered, and not paid. Cid
    gave up what he had ordered. Dora has replaced Pro with Team, by a payment that was unmatched
    at first. Eve has paused, and bought an add-on since. Fay has the plan that costs nothing and
    never ends; she was granted 100 tokens, of which 30 were taken again. On the next day Gus bought
    a bundle for yen, and has ordered two more. On the third, Hal had used 120 of his 500 tokens
    when all that he had bought was refunded, and Ida's order was voided. On the fourth, Jon had
    three seats of Suite (40.00, and 25.00 for the setup), paid in part by the 12.00 that he was
    owed; Kim tries it for 14 days. Leo went from Pro to Team and back to Pro, and has asked for two
    seats and then for three. And money came that fits
    nothing: some of it waits, some was sent back.
    """

    def __init__(self) -> None:
        self.ids: dict[str, UUID] = {"new": NEW, "nowhere": UUID(int=NEW.int + 1)}
        self.pro = PlanFactory(name="Pro")
        self.team = PlanFactory(name="Team", prices={"USD": "99.00"})
        self.free = PlanFactory(
            name="Free", prices={"USD": "0.00"}, billing_period=BillingPeriod.ONE_TIME
        )
        self.starter = TokenBundleFactory(
            name="Starter", token_amount=500, prices={"USD": "10.50", "JPY": "1500"}
        )
        self.support = AddOnFactory(name="Support", prices={"USD": "5.00"})
        self.export = AddOnFactory(name="Export", prices={"USD": "7.00"})
        for item in (self.pro, self.team, self.free, self.starter, self.support, self.export):
            self.ids[item.name.lower()] = item.id
            price = item.prices.get(currency="USD")
            self.ids[f"{item.name.lower()}_price"] = price.id
        self.ids["starter_yen_price"] = self.starter.prices.get(currency="JPY").id
        self._ann()
        self._bob()
        self._cid()
        self._dora()
        self._eve()
        self._fay()
        self._gus()
        self._hal()
        self._ida()
        self._jon()
        self._kim()
        self._leo()

    def subscription(self, name: str) -> Subscription:
        return Subscription.objects.get(pk=self.ids[f"{name}_subscription"])

    def _user(self, name: str) -> User:
        user = UserFactory(email=f"{name}@example.com")
        self.ids[name] = user.id
        return user

    def _keep(self, name: str, made: Checkout) -> Checkout:
        self.ids[f"{name}_invoice"] = made.invoice.id
        if made.subscription:
            self.ids[f"{name}_subscription"] = made.subscription.id
        for purchase in made.purchases:
            self.ids[f"{name}_purchase"] = purchase.id
        for add_on in made.add_ons:
            self.ids[f"{name}_add_on"] = add_on.id
        if payment := Payment.objects.filter(invoice=made.invoice).first():
            self.ids[f"{name}_payment"] = payment.id
        return made

    def _ann(self) -> None:
        ann = self._user("ann")
        made = check_out(
            ann,
            plan=self.pro,
            bundles=[self.starter, self.starter],
            add_ons=[self.support],
            now=NOON,
        )
        pay(made.invoice, now=NOON)
        self._keep("ann", made)
        tokens.spend(user_id=ann.id, amount=120, reference="first use", now=NOON)
        self._keep("ann_open", check_out(ann, add_ons=[self.export], now=NOON))
        with pytest.raises(payments.InvoiceAlreadyPaid) as refused:
            pay(made.invoice, reference="paid-again", now=NOON)
        self.ids["stray_payment"] = UUID(refused.value.context["payment_id"])

    def _bob(self) -> None:
        bob = self._user("bob")
        made = check_out(
            bob, plan=self.pro, bundles=[self.starter], add_ons=[self.support], now=NOON
        )
        self._keep("bob", made)

    def _cid(self) -> None:
        cid = self._user("cid")
        made = check_out(
            cid, plan=self.pro, bundles=[self.starter], add_ons=[self.support], now=NOON
        )
        self._keep("cid", made)
        assert made.subscription
        subscriptions.cancel(subscription=made.subscription, now=NOON)

    def _dora(self) -> None:
        dora = self._user("dora")
        old = check_out(dora, plan=self.pro, add_ons=[self.support], now=NOON)
        pay(old.invoice, now=NOON)
        self._keep("dora_old", old)
        later = NOON + timedelta(hours=1)
        new = check_out(dora, plan=self.team, now=later)
        payments.assign(
            payment=unmatched(new.invoice, reference="named-nothing"),
            invoice=new.invoice,
            by=dora,
            reason="She told us",
            now=later,
        )
        self._keep("dora", new)

    def _eve(self) -> None:
        eve = self._user("eve")
        made = check_out(eve, plan=self.pro, add_ons=[self.support], now=NOON)
        pay(made.invoice, now=NOON)
        self._keep("eve", made)
        assert made.subscription
        subscriptions.pause(subscription=made.subscription, now=NOON + timedelta(hours=1))
        later = NOON + timedelta(hours=2)
        late = check_out(eve, add_ons=[self.export], now=later)
        pay(late.invoice, now=later)
        self._keep("eve_late", late)

    def _fay(self) -> None:
        fay = self._user("fay")
        self._keep("fay", check_out(fay, plan=self.free, now=NOON))
        agent = StaffFactory(is_superuser=True)
        for amount, name in ((100, "fay_gift"), (-30, "fay_loss")):
            moved = token_adjustments.adjust(
                user_id=fay.id,
                amount=amount,
                reference=name,
                reason="An outage",
                by=agent,
                now=NOON,
            )
            self.ids[name] = moved.id

    def _gus(self) -> None:
        gus = self._user("gus")
        made = check_out(gus, bundles=[self.starter], currency="JPY", now=NEXT_DAY)
        pay(made.invoice, now=NEXT_DAY)
        self._keep("gus", made)
        self._keep("gus_second", check_out(gus, bundles=[self.starter], now=NEXT_DAY))
        self._keep("gus_third", check_out(gus, bundles=[self.starter], now=NEXT_DAY))
        with pytest.raises(payments.InvoiceNotFound):
            payments.capture(
                notice=payments.Notice(
                    "bank", "no-invoice", "INV-0", Money.parse("1.00", "USD"), "bank_transfer"
                ),
                now=NEXT_DAY,
            )

    def _hal(self) -> None:
        hal = self._user("hal")
        made = check_out(
            hal, plan=self.pro, bundles=[self.starter], add_ons=[self.support], now=THIRD_DAY
        )
        pay(made.invoice, now=THIRD_DAY)
        with pytest.raises(payments.InvoiceAlreadyPaid) as refused:
            pay(made.invoice, reference="paid-by-mistake", now=THIRD_DAY)
        tokens.spend(user_id=hal.id, amount=120, reference="hals use", now=THIRD_DAY)
        refunds.refund(
            invoice=made.invoice, reference="back-1", by=hal, reason="Asked for it", now=THIRD_DAY
        )
        refunds.refund_payment(
            payment=Payment.objects.get(pk=refused.value.context["payment_id"]),
            reference="back-2",
            by=hal,
            reason="Paid twice",
            now=THIRD_DAY,
        )
        self._keep("hal", made)
        self.ids["sent_back_payment"] = UUID(refused.value.context["payment_id"])

    def _ida(self) -> None:
        ida = self._user("ida")
        made = check_out(
            ida, plan=self.pro, bundles=[self.starter], add_ons=[self.support], now=THIRD_DAY
        )
        invoices.void(invoice=made.invoice, by=ida, reason="A test order", now=THIRD_DAY)
        self._keep("ida", made)

    def _jon(self) -> None:
        jon = self._user("jon")
        customer_credit.add(
            user_id=jon.id,
            money=Money.parse("12.00", "USD"),
            kind=customer_credit.Type.CANCELLATION,
            reference=jon.id,
            now=FOURTH_DAY,
        )
        suite = PlanFactory(name="Suite", prices={"USD": ("40.00", "25.00")})
        made = check_out(jon, plan=suite, quantity=3, now=FOURTH_DAY)
        pay(made.invoice, now=FOURTH_DAY)
        self._keep("jon", made)

    def _kim(self) -> None:
        suite = PlanFactory(name="Suite, to be tried", trial_days=14, prices={"USD": "40.00"})
        self._keep("kim", check_out(self._user("kim"), plan=suite, now=FOURTH_DAY))

    def _leo(self) -> None:
        made = check_out(self._user("leo"), plan=self.pro, now=FOURTH_DAY)
        pay(made.invoice, now=FOURTH_DAY)
        self._keep("leo", made)
        assert made.subscription
        made.subscription.refresh_from_db()
        wishes: list[tuple[str, dict[str, Any]]] = [
            ("leo_up", {"plan": self.team}),
            ("leo_down", {"plan": self.pro}),
            ("leo_five", {"quantity": 5}),
            ("leo_six", {"quantity": 6}),
        ]
        for hours, (name, wish) in enumerate(wishes, start=1):
            later = FOURTH_DAY + timedelta(hours=hours)
            done = changes.request(subscription=made.subscription, now=later, **wish)
            assert done.invoice
            if name == "leo_up":
                pay(done.invoice, now=later)
            self.ids[f"{name}_invoice"] = done.invoice.pk
            self.ids[name] = SubscriptionChange.objects.get(invoice=done.invoice).pk
