"""What a customer of the histories can do, each through the services that do it for real ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from django.db import transaction

from accounts.models import User
from billing.models import (
    Coupon,
    CouponAmount,
    Event,
    Invoice,
    Subscription,
    TestClock,
)
from billing.models.subscription import LIVE
from billing.services import (
    changes,
    checkout,
    coupon_steps,
    customer_credit,
    endings,
    payments,
    subscriptions,
)
from billing.services.renewals import playing
from billing.services.selection import Order
from catalog.models import AddOn, Plan
from catalog.money import Money
from catalog.services import prices as price_service
from config.errors import DomainError
from tests.histories.prices import ADD_ONS, CODES, PLACES, PLANS, Sold
from tests.histories.recomputation import Recomputation, Told

BEGUN = datetime(2026, 1, 31, 12, tzinfo=UTC)
YEARS = timedelta(days=3 * 365)
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)


def money(units: int, currency: str) -> Decimal:
    return Decimal(units).scaleb(-PLACES[currency])


@dataclass(frozen=True)
class Shop:
    """What is sold, by name."""

    plans: dict[str, Plan]
    add_ons: dict[str, AddOn]

    @property
    def names(self) -> dict[str, str]:
        return {str(row.pk): name for name, row in (self.plans | self.add_ons).items()}


def open_shop() -> Shop:
    plans = {
        sold.name: Plan.objects.create(
            name=sold.name,
            slug=sold.name.lower(),
            billing_period=sold.period,
            arrival=sold.arrival,
        )
        for sold in PLANS
    }
    add_ons = {
        sold.name: AddOn.objects.create(
            name=sold.name, slug=sold.name.lower(), billing_period=sold.period
        )
        for sold in ADD_ONS
    }
    for sold in (*PLANS, *ADD_ONS):
        _price(sold, plans.get(sold.name) or add_ons[sold.name])
    for code in CODES:
        coupon = Coupon.objects.create(
            code=code.code,
            name=code.code,
            kind="percent" if code.percent else "amount",
            percent=code.percent,
            duration="periods" if code.periods else "forever",
            periods=code.periods,
            max_per_customer=1000,
        )
        for currency, units in code.amounts.items():
            CouponAmount.objects.create(
                coupon=coupon, currency=currency, amount=money(units, currency)
            )
    return Shop(plans, add_ons)


def shop() -> Shop:
    """The one that is open."""
    return Shop(
        {plan.name: plan for plan in Plan.objects.all()},
        {add_on.name: add_on for add_on in AddOn.objects.all()},
    )


def _price(sold: Sold, item: Plan | AddOn) -> None:
    for currency, units in sold.prices.items():
        price_service.set_price(
            item=item, money=Money(money(units, currency), currency), now=BEGUN - timedelta(days=1)
        )


class Life:
    """One customer, whose clock is turned. A step that is refused is one too: nothing happens."""

    def __init__(self, shop: Shop, *, email: str) -> None:
        self.shop = shop
        self.user = User.objects.create(email=email, password="!")
        self.clock = TestClock.objects.create(user=self.user, now_at=BEGUN)
        self.now = BEGUN
        self.done: Counter[str] = Counter()

    @property
    def subscription(self) -> Subscription | None:
        return Subscription.objects.filter(user=self.user).order_by("-pk").first()

    def step(self, name: str, **how: object) -> None:
        """Take one of the steps below, a moment after the one before."""
        self.now += timedelta(minutes=7)
        try:
            is_done = getattr(self, f"_{name}")(**how)
        except DomainError as refusal:
            self.done[f"{name}: {refusal.code}"] += 1
            return
        self.done[name if is_done is not False else f"{name}: no use"] += 1

    # --- Steps ---

    def _check_out(
        self,
        *,
        plan: str,
        quantity: int,
        add_ons: tuple[str, ...],
        code: str | None,
        currency: str,
    ) -> bool:
        if Subscription.objects.filter(user=self.user).running(self.now).exists():
            return False
        if Subscription.objects.filter(user=self.user, status__in=LIVE).exists():
            return False
        order = Order(
            plan_id=self.shop.plans[plan].pk,
            add_on_ids=tuple(self.shop.add_ons[name].pk for name in add_ons),
            currency=currency,
            quantity=quantity,
            coupon_code=code,
        )
        with transaction.atomic():
            made = checkout.create(user=self.user, order=order, now=self.now)
        if not made.is_paid:
            self._transfer(made.invoice)
        return True

    def _let_time_pass(self, *, days: int) -> None:
        until = self.now + timedelta(days=days)
        playing.play(begins=self.now, until=until, user_id=self.user.pk)
        self.now = until

    def _set_card(self, *, behaviour: str) -> None:
        TestClock.objects.filter(user=self.user).update(behaviour=behaviour)

    def _pay(self) -> bool:
        invoice = Invoice.objects.filter(user=self.user, status__in=OPEN).order_by("pk").first()
        if invoice is None:
            return False
        self._transfer(invoice)
        return True

    def _change(self, *, plan: str, quantity: int) -> bool:
        subscription = self._required()
        asked = changes.request(
            subscription=subscription,
            plan=self.shop.plans[plan],
            quantity=quantity,
            now=self.now,
        )
        if asked.invoice and asked.invoice.status in OPEN:
            self._transfer(asked.invoice)
        return True

    def _ask_for_change(self, *, plan: str, quantity: int) -> None:
        """And do not pay for it: it is withdrawn by what comes next, or in a day."""
        changes.request(
            subscription=self._required(),
            plan=self.shop.plans[plan],
            quantity=quantity,
            now=self.now,
        )

    def _change_add_on(self, *, quantity: int) -> bool:
        subscription = self._required()
        add_on = subscription.add_ons.order_by("pk").first()
        if add_on is None:
            return False
        asked = changes.request(
            subscription=subscription, add_on=add_on, quantity=quantity, now=self.now
        )
        if asked.invoice and asked.invoice.status in OPEN:
            self._transfer(asked.invoice)
        return True

    def _change_at_end(self, *, plan: str, quantity: int) -> None:
        changes.at_period_end(
            subscription=self._required(),
            plan=self.shop.plans[plan],
            quantity=quantity,
            now=self.now,
        )

    def _pause(self) -> None:
        subscriptions.pause(subscription=self._required(), now=self.now)

    def _resume(self) -> None:
        subscriptions.resume(subscription=self._required(), now=self.now)

    def _cancel(self, *, at_once: bool, with_credit: bool) -> None:
        endings.cancel(
            subscription=self._required(),
            at_once=at_once,
            with_credit=with_credit and at_once,
            now=self.now,
        )

    def _uncancel(self) -> None:
        endings.uncancel(subscription=self._required(), now=self.now)

    def _put_coupon_on(self, *, code: str) -> None:
        coupon_steps.put_on(subscription=self._required(), code=code, now=self.now)

    def _take_coupon_off(self) -> None:
        coupon_steps.take_off(subscription=self._required(), now=self.now)

    # --- At the end ---

    def differences(self) -> list[str]:
        """Where an invoice, or what is on account, is not what the event log makes of it."""
        recomputed = Recomputation(self.shop.names)
        totals = recomputed.totals(self._log())
        found = list(recomputed.faults)
        invoices = {str(row.pk): row for row in Invoice.objects.filter(user=self.user)}
        found += [
            f"invoice {invoices.get(pk, pk)} is not in both"
            for pk in invoices.keys() ^ totals.keys()
        ]
        for pk in invoices.keys() & totals.keys():
            invoice = invoices[pk]
            units = round(Fraction(invoice.total_amount) * 10 ** PLACES[invoice.currency])
            if units != totals[pk]:
                found.append(f"{invoice} ({invoice.reason}): {units}, recomputed {totals[pk]}")
        for currency, places in PLACES.items():
            (left,) = [
                row.amount
                for row in customer_credit.balances(user_id=self.user.pk)
                if row.currency == currency
            ] or [Decimal(0)]
            if round(Fraction(left) * 10**places) != recomputed.credit[currency]:
                found.append(f"credit {left} {currency}, recomputed {recomputed.credit[currency]}")
        return found

    def invoiced(self) -> int:
        return Invoice.objects.filter(user=self.user).count()

    def _log(self) -> list[Told]:
        return [
            Told(event.name, str(event.subject_id), event.payload, event.created_at)
            for event in Event.objects.filter(user=self.user).order_by("pk")
        ]

    def _required(self) -> Subscription:
        subscription = self.subscription
        if subscription is None:
            raise NoSubscription("There is none yet.")
        return subscription

    def _transfer(self, invoice: Invoice) -> None:
        notice = payments.Notice(
            provider="bank",
            reference=f"transfer-{invoice.pk}",
            invoice_reference=str(invoice.pk),
            money=invoice.total,
            method="bank_transfer",
        )
        payments.capture(notice=notice, now=self.now)


class NoSubscription(DomainError):
    code = "no_subscription"
