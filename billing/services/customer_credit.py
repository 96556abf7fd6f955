"""What the owner owes a customer: every movement is one guarded UPDATE and one insert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from uuid_utils.compat import uuid7

from billing.models import CreditAccount, CreditEntry, InvoiceLineItem
from catalog.money import Money

Type = CreditEntry.Type
Line = InvoiceLineItem.Type
DESCRIPTION = "Credit from before"  # of the line that uses it

# The row's own lock puts movements of one account in a row, and last_sequence says in which.
_ADD = """
    INSERT INTO billing_creditaccount AS account (id, user_id, currency, balance, last_sequence)
    VALUES (%(id)s, %(user)s, %(currency)s, %(amount)s, 1)
    ON CONFLICT (user_id, currency) DO UPDATE
       SET balance = account.balance + excluded.balance,
           last_sequence = account.last_sequence + 1
    RETURNING id, balance, last_sequence, balance - %(amount)s
"""
# As much as is there, and no more than is wanted.
_USE = """
    UPDATE billing_creditaccount AS account
       SET balance = account.balance - LEAST(account.balance, %(amount)s),
           last_sequence = account.last_sequence + 1
      FROM (SELECT id, balance FROM billing_creditaccount
             WHERE user_id = %(user)s AND currency = %(currency)s AND balance > 0
               FOR NO KEY UPDATE) before
     WHERE account.id = before.id
    RETURNING account.id, account.balance, account.last_sequence, before.balance
"""


@transaction.atomic(savepoint=False)
def add(*, user_id: UUID, money: Money, kind: str, reference: UUID, now: datetime) -> None:
    """
    Owe the customer this much more; nothing where it is zero.

    Called once per type and reference, by whoever has locked what the reference names: a unique
    constraint stands behind it.
    """
    if money.amount:
        _move(_ADD, user_id, money, kind, reference, now)


@transaction.atomic(savepoint=False)
def use(*, user_id: UUID, at_most: Money, reference: UUID, now: datetime) -> Money:
    """
    Take as much as is there, up to ``at_most``, for the invoice that ``reference`` names.

    :return: what was taken, zero where there is nothing
    """
    if at_most.amount <= 0:
        return Money.zero(at_most.currency)
    return _move(_USE, user_id, at_most, Type.USED, reference, now)


def give_back(*, invoice_ids: Sequence[UUID], kind: str, now: datetime) -> None:
    """Let customers have back what of their credit invoices have used that are no longer owed."""
    lines = InvoiceLineItem.objects.filter(invoice__in=invoice_ids, type=Line.CREDIT)
    for line in lines.select_related("invoice").order_by("pk"):
        add(
            user_id=line.user_id,
            money=Money(-line.amount, line.invoice.currency),
            kind=kind,
            reference=line.invoice_id,
            now=now,
        )


def used_on(*, invoice_ids: Sequence[UUID], currency: str) -> Money:
    """What of a customer's credit is used on these invoices, all of this currency."""
    lines = InvoiceLineItem.objects.filter(invoice__in=invoice_ids, type=Line.CREDIT)
    return Money.sum((Money(-line.amount, currency) for line in lines), currency)


def balances(*, user_id: UUID) -> list[Money]:
    """What a customer has left, by currency; only what is more than zero."""
    accounts = CreditAccount.objects.filter(user_id=user_id, balance__gt=0).order_by("currency")
    return [Money(account.balance, account.currency) for account in accounts]


def _move(
    statement: str, user_id: UUID, money: Money, kind: str, reference: UUID, now: datetime
) -> Money:
    """Move the balance and write down what moved it; what was moved, without its sign."""
    values: dict[str, Any] = {
        "id": uuid7(),
        "user": user_id,
        "currency": money.currency,
        "amount": money.amount,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        moved = cursor.fetchone()
    if moved is None:
        return Money.zero(money.currency)
    account_id, balance, sequence, before = moved
    CreditEntry.objects.create(
        account_id=account_id,
        sequence=sequence,
        type=kind,
        amount=balance - before,
        balance_after=balance,
        reference=reference,
        created_at=now,
    )
    return Money(abs(balance - before), money.currency)
