"""Prepaid tokens: every movement is one guarded UPDATE of the balance and one insert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from billing.models import TokenAccount, TokenTransaction
from config import rows
from config.errors import DomainError
from config.locking import retried

Type = TokenTransaction.Type
MOST = 2**63 - 1  # tokens of one account: the column holds no more

# The first credit opens the account. No read-modify-write in Python: the row's own lock puts
# movements of one account in a row, and last_sequence says in which.
_ADD = """
    INSERT INTO billing_tokenaccount AS account (user_id, balance, last_sequence)
    VALUES (%(user)s, %(amount)s, %(count)s)
    ON CONFLICT (user_id) DO UPDATE
       SET balance = account.balance + excluded.balance,
           last_sequence = account.last_sequence + excluded.last_sequence
     WHERE account.balance <= %(most)s - excluded.balance
    RETURNING balance, last_sequence
"""
_TAKE = """
    UPDATE billing_tokenaccount
       SET balance = balance - %(amount)s, last_sequence = last_sequence + 1
     WHERE user_id = %(user)s AND balance >= %(amount)s
    RETURNING balance, last_sequence
"""


class NotEnoughTokens(DomainError):
    code = "not_enough_tokens"
    http_status = 402


class InvalidTokenAmount(DomainError):
    code = "invalid_token_amount"


class TokenBalanceFull(DomainError):
    code = "token_balance_full"
    http_status = 409


class TokenReferenceReused(DomainError):
    code = "token_reference_reused"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Movement:
    """
    Tokens to credit.

    :param amount: whole tokens, at least 1
    :param reference: what they are credited for; the same one is never credited twice
    """

    amount: int
    reference: str
    description: str = ""


@retried
def credit(
    *,
    user_id: UUID,
    movements: Sequence[Movement],
    transaction_type: str = Type.PURCHASE,
    now: datetime,
) -> list[TokenTransaction]:
    """
    Credit all movements, or none. Two statements, however many there are.

    :raises InvalidTokenAmount: if an amount is less than 1
    :raises TokenBalanceFull: if the account could not hold them
    :raises TokenReferenceReused: if one of the references was credited before
    """
    with transaction.atomic():
        return credit_or_end(
            user_id=user_id, movements=movements, transaction_type=transaction_type, now=now
        )


def credit_or_end(
    *,
    user_id: UUID,
    movements: Sequence[Movement],
    transaction_type: str = Type.PURCHASE,
    now: datetime,
) -> list[TokenTransaction]:
    """
    ``credit`` as a part of the caller's transaction, which a refusal ends: without a savepoint,
    and so by two statements less.
    """
    for movement in movements:
        _require_positive(movement.amount)
    if not movements:
        return []
    total = sum(movement.amount for movement in movements)
    try:
        balance, last = _add(user_id, total, len(movements))
        balances = accumulate((movement.amount for movement in movements), initial=balance - total)
        next(balances)
        moved = [
            TokenTransaction(
                account_id=user_id,
                sequence=last - len(movements) + position,
                amount=movement.amount,
                balance_after=balance_after,
                transaction_type=transaction_type,
                reference_id=movement.reference,
                description=movement.description,
                created_at=now,
            )
            for position, (movement, balance_after) in enumerate(
                zip(movements, balances, strict=True), start=1
            )
        ]
        rows.insert(*moved)
        return moved
    except IntegrityError as error:
        _require_reference_conflict(error)
        raise TokenReferenceReused("These tokens were credited before.") from None


@retried
def spend(
    *,
    user_id: UUID,
    amount: int,
    reference: str,
    description: str = "",
    transaction_type: str = Type.USAGE,
    now: datetime,
) -> TokenTransaction:
    """
    Take tokens out of a customer's account. The same reference again takes nothing more.

    :param amount: whole tokens, at least 1
    :raises NotEnoughTokens: if the balance is smaller than ``amount``
    :raises TokenReferenceReused: if the reference was used for another amount
    """
    _require_positive(amount)
    try:
        with transaction.atomic():
            taken = _execute(_TAKE, {"user": user_id, "amount": amount})
            if taken:
                balance, sequence = taken
                return TokenTransaction.objects.create(
                    account_id=user_id,
                    sequence=sequence,
                    amount=-amount,
                    balance_after=balance,
                    transaction_type=transaction_type,
                    reference_id=reference,
                    description=description,
                    created_at=now,
                )
    except IntegrityError as error:
        _require_reference_conflict(error)
    return _spent_before(user_id, amount, reference, transaction_type)


def balance_of(*, user_id: UUID) -> int:
    """What the customer has: 0 where nothing was ever credited."""
    account = TokenAccount.objects.filter(user_id=user_id).first()
    return account.balance if account else 0


def _spent_before(
    user_id: UUID, amount: int, reference: str, transaction_type: str
) -> TokenTransaction:
    before = TokenTransaction.objects.filter(
        account_id=user_id, transaction_type=transaction_type, reference_id=reference
    ).first()
    if before is None:
        balance = balance_of(user_id=user_id)
        raise NotEnoughTokens(
            f"There are {balance} tokens, and {amount} are needed.", balance=balance, needed=amount
        )
    if before.amount != -amount:
        raise TokenReferenceReused(
            f"The reference {reference!r:.60} was used for {-before.amount} tokens before."
        )
    return before


def _add(user_id: UUID, total: int, count: int) -> tuple[int, int]:
    added = None
    if total <= MOST:
        parameters = {"user": user_id, "amount": total, "count": count, "most": MOST}
        added = _execute(_ADD, parameters)
    if added is None:
        raise TokenBalanceFull(f"An account holds at most {MOST:,} tokens.")
    return added


def _require_positive(amount: int) -> None:
    if amount < 1:
        raise InvalidTokenAmount("The number of tokens must be at least 1.")


def _require_reference_conflict(error: IntegrityError) -> None:
    """Let every other broken constraint through: it would be a defect of ours."""
    diagnostics = getattr(error.__cause__, "diag", None)
    if getattr(diagnostics, "constraint_name", "") != "token_transaction_reference_once":
        raise error


def _execute(statement: str, parameters: dict) -> tuple[int, int] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()
