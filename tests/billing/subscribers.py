"""Subscribers whose subscriptions were renewed, changed, chased and ended by the services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    Coupon,
    CouponAmount,
    CouponRedemption,
    CreditAccount,
    CreditEntry,
    Invoice,
    InvoiceLineItem,
    Mail,
    Payment,
    PaymentAttempt,
    Subscription,
    SubscriptionChange,
    TestClock,
)
from billing.services import (
    changes,
    checkout,
    coupon_steps,
    customer_credit,
    refunds,
    subscriptions,
)
from billing.services.renewals import playing, running
from billing.services.selection import Order
from catalog.models import AddOn
from catalog.money import Money
from tests.billing.customers import NEW
from tests.billing.purchases import check_out, pay
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory

MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Behaviour = TestClock.Behaviour


class Subscribers:
    """
    ``ids``: of every row worth naming, by ``<customer>_<row>``.

    All of them have Pro (29.00 a month) since 1 March. Lea has two seats of it with Support (5.00)
    and a yearly add-on (60.00), for half the price in her first two periods; she was renewed on
    1 April, moved to Team (99.00) on 11 April, and wants a third seat since 12 April, which is not
    paid. Max's renewal of 1 April failed, he has access for a week; he paid in part with what he
    was owed. Nia's failed five times, and she has none. Ola's, too, but she paid on 1 May, and
    runs again. Pat cancelled, and ran out on 1 April. Ron gave his renewal up, with the credit on
    it, and the credit on his first invoice came back with its refund. Sue has paused since
    11 March. Tim tried Trial, which he pays for after 14 days; his last line is of 15 April. Uma
    is still trying it, and will pay 5.00 less once.
    """

    def __init__(self) -> None:
        self.ids: dict[str, UUID] = {"new": NEW, "nowhere": UUID(int=NEW.int + 1)}
        self.pro = PlanFactory(name="Pro")
        self.team = PlanFactory(name="Team", prices={"USD": "99.00"})
        self.trial = PlanFactory(name="Trial", trial_days=14)
        self.support = AddOnFactory(name="Support", prices={"USD": "5.00"})
        self.archive = AddOnFactory(
            name="Archive", billing_period="yearly", prices={"USD": "60.00"}
        )
        for item in (self.pro, self.team, self.support, self.archive):
            self.ids[item.name.lower()] = item.id
            self.ids[f"{item.name.lower()}_price"] = item.prices.get().id
        self._lea()
        self._max()
        self._nia()
        self._ola()
        self._pat()
        self._ron()
        self._sue()
        self._tim()
        self._uma()
        self._note()

    def subscription(self, name: str) -> Subscription:
        return Subscription.objects.get(pk=self.ids[f"{name}_subscription"])

    def _user(self, name: str, behaviour: str = Behaviour.PAYS) -> User:
        user = UserFactory(email=f"{name}@example.com")
        self.ids[name] = user.pk
        TestClock.objects.create(user=user, now_at=MARCH, behaviour=behaviour)
        return user

    def _subscribe(self, user: User, *, add_ons: tuple[AddOn, ...] = ()) -> Subscription:
        made = check_out(user, plan=self.pro, add_ons=add_ons, now=MARCH)
        pay(made.invoice, now=MARCH)
        assert made.subscription
        return made.subscription

    def _owe(self, user: User, amount: str, reference: UUID) -> None:
        customer_credit.add(
            user_id=user.pk,
            money=Money.parse(amount, "USD"),
            kind=customer_credit.Type.CANCELLATION,
            reference=reference,
            now=MARCH,
        )

    def _lea(self) -> None:
        half = Coupon.objects.create(
            code="HALF", name="Half", percent=Decimal(50), duration="periods", periods=2
        )
        less = Coupon.objects.create(code="LESS", name="Less", kind="amount", percent=None)
        self.ids |= {"half": half.pk, "less": less.pk}
        self.ids["less_amount"] = CouponAmount.objects.create(
            coupon=less, currency="USD", amount=Decimal(5)
        ).pk
        lea = self._user("lea")
        order = Order(
            plan_id=self.pro.pk,
            add_on_ids=(self.support.pk, self.archive.pk),
            quantity=2,
            coupon_code="half",
        )
        with transaction.atomic():
            made = checkout.create(user=lea, order=order, now=MARCH)
        pay(made.invoice, now=MARCH)
        assert made.subscription
        running.run(now=APRIL, user_id=lea.pk)
        team = changes.request(subscription=made.subscription, plan=self.team, now=APRIL + 10 * DAY)
        assert team.invoice
        pay(team.invoice, now=APRIL + 10 * DAY)
        seat = changes.request(subscription=made.subscription, quantity=3, now=APRIL + 11 * DAY)
        assert seat.invoice
        self.ids["lea_change"] = SubscriptionChange.objects.get(invoice=team.invoice).pk
        self.ids["lea_change_invoice"] = team.invoice.pk
        self.ids["lea_wish"] = SubscriptionChange.objects.get(invoice=seat.invoice).pk
        self.ids["lea_wish_invoice"] = seat.invoice.pk

    def _max(self) -> None:
        customer = self._user("max", Behaviour.NEVER_PAYS)
        self._subscribe(customer, add_ons=(self.support,))
        self._owe(customer, "12.00", customer.pk)
        running.run(now=APRIL, user_id=customer.pk)

    def _nia(self) -> None:
        nia = self._user("nia", Behaviour.NEVER_PAYS)
        self._subscribe(nia, add_ons=(self.support,))
        playing.play(begins=APRIL, until=APRIL + 8 * DAY, user_id=nia.pk)

    def _ola(self) -> None:
        ola = self._user("ola", Behaviour.NEVER_PAYS)
        subscription = self._subscribe(ola)
        playing.play(begins=APRIL, until=APRIL + 8 * DAY, user_id=ola.pk)
        pay(Invoice.objects.get(subscription=subscription, reason="renewal"), now=MAY)

    def _pat(self) -> None:
        pat = self._user("pat")
        subscriptions.cancel(subscription=self._subscribe(pat), now=MARCH + 5 * DAY)
        running.run(now=APRIL, user_id=pat.pk)

    def _ron(self) -> None:
        ron = self._user("ron", Behaviour.NEVER_PAYS)
        self._owe(ron, "4.00", ron.pk)
        subscription = self._subscribe(ron)
        first = Invoice.objects.get(subscription=subscription)
        self._owe(ron, "2.00", subscription.pk)
        running.run(now=APRIL, user_id=ron.pk)
        subscriptions.cancel(subscription=subscription, now=APRIL + DAY)
        refunds.refund(
            invoice=first,
            reference="back",
            by=StaffFactory(),
            reason="Was not happy",
            now=APRIL + DAY,
        )
        self.ids["ron_first_invoice"] = first.pk

    def _sue(self) -> None:
        sue = self._user("sue")
        subscriptions.pause(subscription=self._subscribe(sue), now=MARCH + 10 * DAY)

    def _tim(self) -> None:
        tim = self._user("tim")
        made = check_out(tim, plan=self.trial, now=MARCH)
        assert made.subscription
        playing.play(begins=MARCH, until=APRIL + 15 * DAY, user_id=tim.pk)

    def _uma(self) -> None:
        made = check_out(self._user("uma"), plan=self.trial, now=MARCH)
        assert made.subscription
        coupon_steps.put_on(subscription=made.subscription, code="LESS", now=MARCH)

    def _note(self) -> None:
        """The ids of what the services have made, by the customer's name."""
        names = {pk: name for name, pk in self.ids.items()}
        for kind, name in (
            (Subscription, "subscription"),
            (CreditAccount, "account"),
            (CouponRedemption, "redemption"),
            (PaymentAttempt, "attempt"),
            (Mail, "mail"),
        ):
            for row in kind.objects.filter(user__in=names).order_by("-pk"):
                self.ids[f"{names[row.user_id]}_{name}"] = row.pk
        for add_on in AddOnSubscription.objects.filter(user__in=names):
            self.ids[f"{names[add_on.user_id]}_{add_on.name.lower()}"] = add_on.pk
        for invoice in Invoice.objects.filter(user__in=names, reason="renewal").order_by("-pk"):
            self.ids[f"{names[invoice.user_id]}_renewal"] = invoice.pk
        for invoice in Invoice.objects.filter(user__in=names, reason="checkout"):
            self.ids[f"{names[invoice.user_id]}_invoice"] = invoice.pk
        for payment in Payment.objects.filter(user__in=names, invoice__reason="renewal").order_by(
            "-pk"
        ):
            self.ids[f"{names[payment.user_id]}_payment"] = payment.pk
        for entry in CreditEntry.objects.filter(account__user__in=names).select_related("account"):
            self.ids[f"{names[entry.account.user_id]}_{entry.type}"] = entry.pk
        for line in InvoiceLineItem.objects.filter(
            user__in=names, invoice__reason="renewal"
        ).order_by("-pk"):
            kept = f"{names[line.user_id]}_renewal_{line.type}_line"
            self.ids[kept] = line.pk
