"""Bought tokens that go back with a refund."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from billing.models import TokenAccount, TokenBundlePurchase, TokenTransaction


@transaction.atomic(savepoint=False)
def take_back(*, user_id: UUID, purchases: Sequence[TokenBundlePurchase], now: datetime) -> int:
    """
    Take the tokens of these purchases out of the account, as far as they are there.

    The account's row is locked: what is there is known, and no balance goes below zero. One
    transaction per purchase, with its id as the reference: none is taken back twice.

    :return: how many were taken
    """
    if not purchases:
        return 0
    account = TokenAccount.objects.lock(user_id)
    balance, sequence = account.balance, account.last_sequence
    movements = []
    for purchase in purchases:
        taken = min(balance, purchase.token_amount)
        if taken == 0:
            continue
        balance -= taken
        sequence += 1
        movements.append(
            TokenTransaction(
                account=account,
                sequence=sequence,
                amount=-taken,
                balance_after=balance,
                transaction_type=TokenTransaction.Type.REFUND,
                reference_id=str(purchase.pk),
                description=purchase.name,
                created_at=now,
            )
        )
    taken_in_all = account.balance - balance
    account.balance, account.last_sequence = balance, sequence
    account.save(update_fields=["balance", "last_sequence"])
    TokenTransaction.objects.bulk_create(movements)
    return taken_in_all
