"""Months full of rows, by chance: in every state, and at the worst moments, those of Berlin."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

from django.db import transaction
from uuid_utils.compat import uuid7

from accounts.models import User
from billing.models import Invoice, InvoiceLineItem, Payment
from catalog.models import Plan
from config.rows import insert

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 150
INSTANT = timedelta(microseconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
BEGINNINGS = [datetime(2026, month, 1, tzinfo=BERLIN).astimezone(UTC) for month in range(1, 8)]
STEPS = {"USD": Decimal("0.01"), "EUR": Decimal("0.01"), "JPY": Decimal(1), "KWD": Decimal("0.001")}


class Books:
    """Invoices, lines and payments, kept as they are written."""

    def __init__(self, chance: random.Random, *, user: User, plans: Sequence[Plan]) -> None:
        self.chance = chance
        self.user = user
        self.plans = [*plans, None]
        self.numbers = count(1)
        self.invoices: list[Invoice] = []
        self.lines: list[InvoiceLineItem] = []
        self.payments: list[Payment] = []

    def fill(self, *, invoices: int) -> None:
        for _ in range(invoices):
            self._invoice()
        for _ in range(invoices // 5):
            self._stray()
        # A line comes before its invoice, see invoice_subtotal_is_sum.
        with transaction.atomic():
            for rows in (self.lines, self.invoices, self.payments):
                insert(*rows)

    def moment(self, since: datetime = FIRST, days: float = DAYS) -> datetime:
        """Any; often the very moment in which a month begins, or the last one before."""
        until = since + timedelta(days=days)
        near = [at - early for at in BEGINNINGS for early in (timedelta(0), INSTANT)]
        near = [at for at in near if since <= at <= until]
        if near and self.chance.random() < 0.3:
            return self.chance.choice(near)
        return since + timedelta(seconds=int(self.chance.uniform(0, days) * 86_400))

    def amount(self, currency: str) -> Decimal:
        return self.chance.randint(1, 9_999_999) * STEPS[currency]

    def _invoice(self) -> None:
        chance = self.chance
        currency = chance.choice(list(STEPS))
        issued = self.moment()
        status = chance.choice([*Invoice.Status.values, "paid", "paid"])
        is_free = chance.random() < 0.15 and status == "paid"
        pk = uuid7()
        lines = [self._line(pk, n, currency, is_free) for n in range(1, chance.randint(2, 4))]
        subtotal = sum((line.amount for line in lines), Decimal(0))
        has_tax = chance.random() < 0.5 and not is_free
        tax = self.amount(currency) if has_tax else Decimal(0)
        invoice = Invoice(
            id=pk,
            number=f"INV-{next(self.numbers):06}",
            user=self.user,
            plan=chance.choice(self.plans),
            buyer={"email": self.user.email},
            currency=currency,
            subtotal=subtotal,
            tax_amount=tax,
            total_amount=subtotal + tax,
            status=status,
            invoiced_at=issued,
        )
        if status == "cancelled":
            invoice.cancelled_at = self.moment(issued, days=60)
        elif status in ("paid", "refunded"):
            invoice.paid_at = self.moment(issued, days=60)
            if not is_free:
                self._pay(invoice)
        self.lines += lines
        self.invoices.append(invoice)

    def _line(self, pk: object, position: int, currency: str, is_free: bool) -> InvoiceLineItem:
        price = Decimal(0) if is_free else self.amount(currency)
        quantity = self.chance.randint(1, 3)
        return InvoiceLineItem(
            invoice_id=pk,
            user=self.user,
            position=position,
            type=self.chance.choice(InvoiceLineItem.Type.values),
            item_id=uuid7(),
            description="Something",
            quantity=quantity,
            unit_price=price,
            amount=price * quantity,
        )

    def _pay(self, invoice: Invoice) -> None:
        """Mostly when it says so; now and then the money was there before the invoice."""
        assert invoice.paid_at
        received = invoice.paid_at
        if self.chance.random() < 0.3:
            received = self.moment(invoice.invoiced_at - timedelta(days=40), days=40)
        self._receive(invoice.currency, invoice.total_amount, received, invoice)

    def _stray(self) -> None:
        currency = self.chance.choice(list(STEPS))
        self._receive(currency, self.amount(currency), self.moment(), None)

    def _receive(
        self, currency: str, amount: Decimal, received: datetime, invoice: Invoice | None
    ) -> None:
        captured = Payment.Status.CAPTURED if invoice else Payment.Status.UNMATCHED
        is_refunded = invoice.status == "refunded" if invoice else self.chance.random() < 0.3
        payment = Payment(
            provider=self.chance.choice(["bank", "card"]),
            reference=f"reference-{next(self.numbers)}",
            method=self.chance.choice(["", "transfer", "debit"]),
            invoice_reference=str(invoice.pk if invoice else "?"),
            invoice=invoice,
            user=self.user,
            amount=amount,
            currency=currency,
            status=Payment.Status.REFUNDED if is_refunded else captured,
            unmatched_reason="" if invoice else "invoice_not_found",
            received_at=received,
            refunded_at=self.moment(received, days=60) if is_refunded else None,
        )
        self.payments.append(payment)
