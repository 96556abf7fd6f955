"""Invoices that are not a checkout's: of renewals, and of changes in the middle of a period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Model
from uuid_utils.compat import uuid7

from billing.models import CreditAccount, Invoice, InvoiceLineItem, Subscription
from billing.services import buyers, customer_credit, numbers
from catalog.money import Money
from config import rows

Line = InvoiceLineItem.Type


@dataclass(frozen=True, slots=True)
class Draft:
    """
    One line to be written.

    :param period: from when to when it pays for, half open; the end None means for good
    """

    type: str
    item_id: UUID
    description: str
    unit_price: Money
    quantity: int = 1
    period: tuple[datetime, datetime | None] | None = None

    @property
    def amount(self) -> Money:
        return self.unit_price * self.quantity


@dataclass(slots=True)
class Bill:
    """
    An invoice to be written, for a subscription whose customer the caller holds.

    The sum of the drafts must not be negative.

    :param plan_id: None means the subscription's own
    :param beside: rows that belong to it, written after it
    """

    subscription: Subscription
    reason: str
    drafts: list[Draft]
    plan_id: UUID | None = None
    period_start: datetime | None = None
    next_attempt_at: datetime | None = None
    expires_at: datetime | None = None
    beside: list[Model] = field(default_factory=list)
    pk: UUID = field(default_factory=uuid7)


def issue(
    *,
    subscription: Subscription,
    reason: str,
    drafts: Sequence[Draft],
    plan_id: UUID | None = None,
    period_start: datetime | None = None,
    next_attempt_at: datetime | None = None,
    expires_at: datetime | None = None,
    beside: Sequence[Model] = (),
    pk: UUID | None = None,
    now: datetime,
) -> Invoice:
    """``issue_all`` of one."""
    bill = Bill(
        subscription=subscription,
        reason=reason,
        drafts=list(drafts),
        plan_id=plan_id,
        period_start=period_start,
        next_attempt_at=next_attempt_at,
        expires_at=expires_at,
        beside=list(beside),
        pk=pk or uuid7(),
    )
    (invoice,) = issue_all(bills=[bill], now=now)
    return invoice


def issue_all(*, bills: Sequence[Bill], now: datetime) -> list[Invoice]:
    """
    Write invoices with their lines; what the owner owes a customer is used, as a line of its own.

    The caller holds customers and subscriptions, and settles what has a total of zero. All lines
    are one statement, written before the invoices, as these' own trigger wants, and the numbers
    are taken last: the series is held to the commit.
    """
    if not bills:
        return []
    invoices = [_invoice(bill, now) for bill in bills]
    _use_credit(bills, invoices, now)
    lines: list[InvoiceLineItem] = []
    for bill, invoice in zip(bills, invoices, strict=True):
        total = Money.sum((draft.amount for draft in bill.drafts), invoice.currency)
        invoice.subtotal = invoice.total_amount = total.amount
        lines += [_line(invoice, draft, at) for at, draft in enumerate(bill.drafts, start=1)]
    rows.insert(*lines)
    for invoice in invoices:
        invoice.number = numbers.take(now=now)
    rows.insert(*invoices, *(row for bill in bills for row in bill.beside))
    return invoices


def _invoice(bill: Bill, now: datetime) -> Invoice:
    subscription = bill.subscription
    return Invoice(
        id=bill.pk,
        reason=bill.reason,
        user_id=subscription.user_id,
        plan_id=bill.plan_id or subscription.plan_id,
        subscription_id=subscription.pk,
        buyer=buyers.snapshot(user=subscription.user),
        currency=subscription.currency,
        tax_amount=Money.zero(subscription.currency).amount,
        invoiced_at=now,
        expires_at=bill.expires_at,
        period_start=bill.period_start,
        next_attempt_at=bill.next_attempt_at,
    )


def _use_credit(bills: Sequence[Bill], invoices: Sequence[Invoice], now: datetime) -> None:
    users = [invoice.user_id for invoice in invoices]
    accounts = CreditAccount.objects.filter(user_id__in=users, balance__gt=0)
    with_credit = set(accounts.values_list("user_id", "currency"))
    for bill, invoice in zip(bills, invoices, strict=True):
        if (invoice.user_id, invoice.currency) not in with_credit:
            continue
        zero = Money.zero(invoice.currency)
        used = customer_credit.use(
            user_id=invoice.user_id,
            at_most=Money.sum((draft.amount for draft in bill.drafts), invoice.currency),
            reference=invoice.pk,
            now=now,
        )
        if used.amount:
            bill.drafts.append(
                Draft(Line.CREDIT, invoice.pk, customer_credit.DESCRIPTION, zero - used)
            )


def _line(invoice: Invoice, draft: Draft, position: int) -> InvoiceLineItem:
    begins, ends = draft.period or (None, None)
    return InvoiceLineItem(
        invoice=invoice,
        user_id=invoice.user_id,
        position=position,
        type=draft.type,
        item_id=draft.item_id,
        description=draft.description,
        quantity=draft.quantity,
        unit_price=draft.unit_price.amount,
        amount=draft.amount.amount,
        period_start=begins,
        period_end=ends,
    )
