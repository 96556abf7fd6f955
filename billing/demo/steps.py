"""
What people do in the demo, each through the service that does it for real customers.

A step that was done before does nothing, by the services' own idempotency: so an interrupted
load goes on where it was.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from billing.demo import people
from billing.demo.people import Person
from billing.models import Invoice, Mail, Subscription, TestClock
from billing.models.subscription import LIVE
from billing.services import changes, checkout, payments, subscriptions, tokens
from billing.services.checkout import Checkout
from billing.services.idempotency import Answer, Key
from billing.services.renewals import running
from billing.services.selection import Order
from catalog.models import Plan
from catalog.money import Money


@dataclass(slots=True)
class Stage:
    """Who and what the steps so far have made. The cards of the ``unpaying`` are refused."""

    password: str
    users: dict[str, User] = field(default_factory=dict)
    invoices: dict[str, UUID] = field(default_factory=dict)
    unpaying: dict[str, User] = field(default_factory=dict)


class Step(Protocol):
    @property
    def moment(self) -> datetime: ...

    def play(self, stage: Stage) -> None: ...


@dataclass(frozen=True, slots=True)
class SignUp:
    moment: datetime
    person: Person

    def play(self, stage: Stage) -> None:
        stage.users[self.person.email] = people.sign_up(
            person=self.person, password=stage.password, now=self.moment
        )


@dataclass(frozen=True, slots=True)
class Buy:
    """A checkout. ``name`` is what the other steps know it by."""

    moment: datetime
    email: str
    name: str
    order: Order

    def play(self, stage: Stage) -> None:
        user = stage.users[self.email]
        answer = checkout.place(
            user=user,
            order=self.order,
            answer=_invoice_id,
            key=Key.of(user_id=user.id, text=f"demo-{self.name}", content=self.name),
            now=self.moment,
        )
        stage.invoices[self.name] = UUID(answer.body.decode())


@dataclass(frozen=True, slots=True)
class Pay:
    """A payment, of the whole invoice unless ``money`` says otherwise, matched or not."""

    moment: datetime
    reference: str
    method: str
    bought: str = ""
    invoice_reference: str = ""
    money: Money | None = None

    def play(self, stage: Stage) -> None:
        reference, money = self.invoice_reference, self.money
        if self.bought:
            reference = str(stage.invoices[self.bought])
        notice = payments.Notice(
            provider="bank" if self.method == "bank_transfer" else "sandbox",
            reference=self.reference,
            invoice_reference=reference,
            money=money or Invoice.objects.get(pk=reference).total,
            method=self.method,
        )
        with suppress(payments.PaymentUnmatched):  # kept for finance to resolve
            payments.capture(notice=notice, now=self.moment)


@dataclass(frozen=True, slots=True)
class Cancel:
    """The end of a subscription, or of a checkout that was never paid."""

    moment: datetime
    bought: str

    def play(self, stage: Stage) -> None:
        invoice = Invoice.objects.select_related("subscription").get(pk=stage.invoices[self.bought])
        assert invoice.subscription  # noqa: S101 - only a plan's checkout is cancelled
        with suppress(subscriptions.SubscriptionStateForbids):  # an earlier load did it
            subscriptions.cancel(subscription=invoice.subscription, now=self.moment)


@dataclass(frozen=True, slots=True)
class Change:
    """Another plan in the middle of a period. ``name`` is what its payment knows it by."""

    moment: datetime
    bought: str
    plan_id: UUID
    name: str

    def play(self, stage: Stage) -> None:
        subscription = Subscription.objects.get(invoices=stage.invoices[self.bought])
        plan = Plan.objects.get(pk=self.plan_id)
        before = subscription.invoices.filter(reason=Invoice.Reason.CHANGE).first()
        if before is None:  # an earlier load did it
            asked = changes.request(subscription=subscription, plan=plan, now=self.moment)
            before = asked.invoice
        assert before  # noqa: S101 - the other plan is dearer
        stage.invoices[self.name] = before.pk


@dataclass(frozen=True, slots=True)
class LetCardExpire:
    """From now on each payment of this customer is refused, and their time is their own."""

    moment: datetime
    email: str

    def play(self, stage: Stage) -> None:
        user = stage.users[self.email]
        TestClock.objects.get_or_create(
            user=user,
            defaults={"now_at": self.moment, "behaviour": TestClock.Behaviour.NEVER_PAYS},
        )
        stage.unpaying[self.email] = user


@dataclass(frozen=True, slots=True)
class RunBilling:
    """What ``run_billing`` did that day: renewals, payments, retries, ends."""

    moment: datetime

    def play(self, stage: Stage) -> None:
        running.run(now=self.moment)
        for user in self._to_be_asked(stage):
            running.run(now=self.moment, user_id=user.pk)
        # They were sent at the time, so to say: nobody is to get the mails of half a year now.
        waiting = Mail.objects.filter(user__in=stage.users.values(), status=Mail.Status.WAITING)
        waiting.update(status=Mail.Status.SENT, sent_at=self.moment, next_attempt_at=None)

    def _to_be_asked(self, stage: Stage) -> QuerySet[User]:
        live = Q(subscription__status__in=LIVE)
        is_over = Q(subscription__past_due_since=None, subscription__expires_at__lte=self.moment)
        is_tried = Q(subscription__invoices__next_attempt_at__lte=self.moment)
        unpaying = [user.pk for user in stage.unpaying.values()]
        return User.objects.filter(live & (is_over | is_tried), pk__in=unpaying).distinct()


@dataclass(frozen=True, slots=True)
class LetTimeBeOne:
    """The end of the story: everybody lives in the world's time, with a card that is good."""

    moment: datetime

    def play(self, stage: Stage) -> None:
        TestClock.objects.filter(user__in=stage.unpaying.values()).delete()


@dataclass(frozen=True, slots=True)
class Spend:
    moment: datetime
    email: str
    reference: str
    amount: int
    description: str

    def play(self, stage: Stage) -> None:
        tokens.spend(
            user_id=stage.users[self.email].id,
            amount=self.amount,
            reference=self.reference,
            description=self.description,
            now=self.moment,
        )


def _invoice_id(made: Checkout) -> Answer:
    return Answer(201, str(made.invoice.id).encode())


def dollars(amount: str) -> Money:
    return Money(Decimal(amount), "USD")
