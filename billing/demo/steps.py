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

from accounts.models import User
from billing.demo import people
from billing.demo.people import Person
from billing.models import Invoice
from billing.services import checkout, payments, subscriptions, tokens
from billing.services.checkout import Checkout
from billing.services.idempotency import Answer, Key
from billing.services.selection import Order
from catalog.money import Money


@dataclass(slots=True)
class Stage:
    """Who and what the steps so far have made."""

    password: str
    users: dict[str, User] = field(default_factory=dict)
    invoices: dict[str, UUID] = field(default_factory=dict)


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
