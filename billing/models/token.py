"""Prepaid tokens: an account and its append-only ledger."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from config.locking import LockingQuerySet


class TokenAccount(models.Model):
    """
    A customer's balance: the sum of the transactions, and the last ``balance_after``.

    ``last_sequence`` counts the transactions: it says which of two is the later one, whatever
    the clocks of two servers say.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        primary_key=True,
        related_name="token_account",
    )
    balance = models.BigIntegerField(default=0)
    last_sequence = models.BigIntegerField(default=0)

    objects = LockingQuerySet.as_manager()

    class Meta:
        permissions = [("adjust_tokens", "Can grant and take tokens")]
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="token_account_not_negative")
        ]
        triggers = [pgtrigger.Protect(name="token_account_is_kept", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.balance} tokens"


class TokenTransaction(models.Model):
    """One movement: positive amounts come in, negative ones go out."""

    class Type(models.TextChoices):
        PURCHASE = "purchase"
        USAGE = "usage"
        REFUND = "refund"
        BONUS = "bonus"
        ADJUSTMENT = "adjustment"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No index of its own: the unique constraint on the sequence begins with it.
    account = models.ForeignKey(
        TokenAccount, on_delete=models.PROTECT, related_name="transactions", db_index=False
    )
    sequence = models.BigIntegerField()
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    transaction_type = models.CharField(max_length=10, choices=Type.choices)
    reference_id = models.CharField(max_length=255)
    description = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "sequence"], name="token_transaction_sequence_once"
            ),
            models.UniqueConstraint(
                fields=["account", "transaction_type", "reference_id"],
                name="token_transaction_reference_once",
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="token_transaction_moves"),
            models.CheckConstraint(
                condition=Q(balance_after__gte=0), name="token_transaction_not_overdrawn"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="token_transaction_is_kept", operation=pgtrigger.Update | pgtrigger.Delete
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount:+} tokens"
