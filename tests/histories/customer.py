"""A customer whose clock is turned, and the steps of their history, each one call of a service."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from django.db import transaction

from accounts.models import User
from billing.models import AddOnSubscription, Invoice, Subscription, TestClock
from billing.models.subscription import LIVE
from billing.services import (
    add_on_endings,
    changes,
    checkout,
    clocks,
    coupon_steps,
    endings,
    invoices,
    payments,
    refunds,
    subscriptions,
)
from billing.services.renewals import playing
from billing.services.selection import Order
from config.errors import DomainError
from tests.histories.shop import ADD_ONS, BUNDLES, COUPONS, CURRENCIES, PLANS, Shop

BEGUN = datetime(2026, 1, 31, 12, tzinfo=UTC)
OVER = BEGUN + timedelta(days=3 * 365 + 1)
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)

_SEATS = (1, 2, 3, 7)
_ADD_ON_SETS = ((), ("Support",), ("Archive", "Watch"), ("Support", "Training"), tuple(ADD_ONS))
_YES_OR_NO = (True, False)
# Days and odd ends of them: a quarter of an hour, a moment, a month, more than a year.
_JUMPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (0.000001, 900, 40_007.5, 86_400, 3 * 86_400, 9 * 86_400 + 0.3, 17 * 86_400)
) + tuple(timedelta(days=days) for days in (28, 31, 61, 122, 366, 500))
# What can be chosen in each step; a customer takes any of them at any time.
STEPS: dict[str, dict[str, tuple[object, ...]]] = {
    "check_out": {
        "plan": tuple(PLANS),
        "seats": _SEATS,
        "add_ons": _ADD_ON_SETS,
        "bundles": ((), (), tuple(BUNDLES)),
        "code": (None, *COUPONS),
        "currency": CURRENCIES,
        "pays": (True, True, True, False),
    },
    "join": {"add_on": tuple(ADD_ONS), "seats": _SEATS, "pays": (True, True, False)},
    "turn_clock": {"by": _JUMPS},
    "turn_to_next": {"but": (timedelta(0), timedelta(microseconds=1))},
    "do_without_billing": {"by": (timedelta(hours=1), timedelta(days=2), timedelta(days=40))},
    "behave": {"behaviour": tuple(TestClock.Behaviour.values)},
    "pay": {"number": (0, 1, 2)},
    "change": {"plan": (None, *PLANS), "seats": (None, *_SEATS), "pays": (True, True, False)},
    "change_add_on": {"number": (0, 1, 2), "seats": _SEATS, "pays": (True, True, False)},
    "change_at_end": {"plan": (None, *PLANS), "seats": (None, *_SEATS)},
    "withdraw": {},
    "pause": {},
    "resume": {},
    "cancel": {"at_once": _YES_OR_NO, "with_credit": _YES_OR_NO},
    "uncancel": {},
    "cancel_add_on": {"number": (0, 1, 2)},
    "uncancel_add_on": {"number": (0, 1, 2)},
    "put_coupon_on": {"code": tuple(COUPONS)},
    "take_coupon_off": {},
    "refund": {"number": (0, 1, 2)},
    "void": {"number": (0, 1)},
}


class Customer:
    """
    ``take`` a step. What the services refuse is a step that changes nothing; it is counted too.

    :param staff: who refunds and voids
    """

    def __init__(self, *, email: str, shop: Shop, staff: User) -> None:
        self.user = User.objects.create(email=email, password="!")
        self.clock = TestClock.objects.create(user=self.user, now_at=BEGUN)
        self.shop = shop
        self.staff = staff
        self.steps: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    @property
    def now(self) -> datetime:
        return self.clock.now_at

    @property
    def is_over(self) -> bool:
        return self.now >= OVER

    def take(self, step: str, **chosen: object) -> None:
        try:
            getattr(self, f"_{step}")(**chosen)
        except DomainError as refusal:
            self.refused[f"{step}: {refusal.code}"] += 1
        else:
            self.steps[step] += 1

    # --- Buying and paying ---

    def _check_out(self, *, plan, seats, add_ons, bundles, code, currency, pays) -> None:
        order = Order(
            plan_id=self.shop.plans[plan].pk,
            quantity=seats,
            add_on_ids=tuple(self.shop.add_ons[name].pk for name in add_ons),
            token_bundle_ids=tuple(self.shop.bundles[name].pk for name in bundles),
            coupon_code=code,
            currency=currency,
        )
        self._order(order, pays=pays)

    def _join(self, *, add_on, seats, pays) -> None:
        pk = self.shop.add_ons[add_on].pk
        self._order(Order(add_on_ids=(pk,), add_on_quantities={pk: seats}), pays=pays)

    def _order(self, order: Order, *, pays: bool) -> None:
        with transaction.atomic():
            made = checkout.create(user=self.user, order=order, now=self.now)
        if pays:
            self._transfer(made.invoice)

    def _pay(self, *, number) -> None:
        self._transfer(_one_of(self._invoices(*OPEN), number))

    def _transfer(self, invoice: Invoice | None) -> None:
        if invoice is None:
            raise NothingThere("There is no invoice.")
        if invoice.status not in OPEN:
            return  # it was paid at once
        notice = payments.Notice(
            provider="bank",
            reference=f"transfer-{invoice.pk}",
            invoice_reference=str(invoice.pk),
            money=invoice.total,
            method="bank_transfer",
        )
        payments.capture(notice=notice, now=self.now)

    def _refund(self, *, number) -> None:
        invoice = _one_of(self._invoices(Invoice.Status.PAID).filter(total_amount__gt=0), number)
        refunds.refund(
            invoice=invoice,
            reference=f"back-{invoice.pk}",
            by=self.staff,
            reason="Was not happy",
            now=self.now,
        )

    def _void(self, *, number) -> None:
        invoice = _one_of(self._invoices(*OPEN), number)
        invoices.void(invoice=invoice, by=self.staff, reason="Ordered twice", now=self.now)

    # --- Time ---

    def _turn_clock(self, *, by) -> None:
        self._turn(self.now + by)

    def _turn_to_next(self, *, but) -> None:
        """To the moment at which something comes due, or just before it."""
        coming = playing.next_moment(after=self.now, user_id=self.user.pk)
        if coming is None:
            raise NothingThere("Nothing comes due.")
        self._turn(max(self.now, coming - but))

    def _turn(self, until: datetime) -> None:
        clocks.turn(user=self.user, to=min(until, max(OVER, self.now)), now=self.now)
        self.clock.refresh_from_db()

    def _do_without_billing(self, *, by) -> None:
        """Time passes, and nobody runs the billing."""
        self.clock.now_at += by
        self.clock.save(update_fields=["now_at"])

    def _behave(self, *, behaviour) -> None:
        self.clock.behaviour = behaviour
        self.clock.save(update_fields=["behaviour"])

    # --- Changes ---

    def _change(self, *, plan, seats, pays) -> None:
        subscription = self._subscription()
        done = changes.request(
            subscription=subscription,
            plan=self.shop.plans[plan] if plan else None,
            quantity=seats,
            now=self.now,
        )
        if pays and done.invoice:
            self._transfer(done.invoice)

    def _change_add_on(self, *, number, seats, pays) -> None:
        add_on = self._add_on(number)
        done = changes.request(
            subscription=add_on.subscription, add_on=add_on, quantity=seats, now=self.now
        )
        if pays and done.invoice:
            self._transfer(done.invoice)

    def _change_at_end(self, *, plan, seats) -> None:
        changes.at_period_end(
            subscription=self._subscription(),
            plan=self.shop.plans[plan] if plan else None,
            quantity=seats,
            now=self.now,
        )

    def _withdraw(self) -> None:
        changes.withdraw_pending(subscription=self._subscription(), now=self.now)

    # --- Pause, end, coupon ---

    def _pause(self) -> None:
        subscriptions.pause(subscription=self._subscription(), now=self.now)

    def _resume(self) -> None:
        subscriptions.resume(subscription=self._subscription(), now=self.now)

    def _cancel(self, *, at_once, with_credit) -> None:
        endings.cancel(
            subscription=self._subscription(),
            at_once=at_once,
            with_credit=with_credit,
            now=self.now,
        )

    def _uncancel(self) -> None:
        endings.uncancel(subscription=self._subscription(), now=self.now)

    def _cancel_add_on(self, *, number) -> None:
        add_on_endings.cancel(add_on=self._add_on(number), now=self.now)

    def _uncancel_add_on(self, *, number) -> None:
        add_on_endings.uncancel(add_on=self._add_on(number), now=self.now)

    def _put_coupon_on(self, *, code) -> None:
        coupon_steps.put_on(subscription=self._subscription(), code=code, now=self.now)

    def _take_coupon_off(self) -> None:
        coupon_steps.take_off(subscription=self._subscription(), now=self.now)

    # --- What there is ---

    def _subscription(self) -> Subscription:
        """The live one, else the newest."""
        own = Subscription.objects.filter(user=self.user)
        found = own.filter(status__in=LIVE).first() or own.order_by("-pk").first()
        if found is None:
            raise NothingThere("There is no subscription.")
        return found

    def _add_on(self, number: int) -> AddOnSubscription:
        of_it = AddOnSubscription.objects.filter(subscription=self._subscription())
        return _one_of(of_it.exclude(status="pending").order_by("pk"), number)

    def _invoices(self, *statuses: str):
        return Invoice.objects.filter(user=self.user, status__in=statuses).order_by("-pk")


class NothingThere(DomainError):
    code = "nothing_there"


def _one_of(rows, number: int):
    found = list(rows[: number + 1])
    if not found:
        raise NothingThere("There is none.")
    return found[-1]
