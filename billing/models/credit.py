"""Money that the owner owes a customer: an account per currency and its append-only ledger."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from billing.models.columns import amount_column
from config.locking import LockingQuerySet


class CreditAccount(models.Model):
    """
    What a customer has left in one currency: the sum of the entries, and the last
    ``balance_after``. The next invoice uses it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No index of its own: the unique constraint below begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="credit_accounts",
        db_index=False,
    )
    currency = models.CharField(max_length=3)
    balance = amount_column(default=0)
    last_sequence = models.BigIntegerField(default=0)

    objects = LockingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "currency"], name="credit_account_once_per_currency"
            ),
            models.CheckConstraint(condition=Q(balance__gte=0), name="credit_account_not_negative"),
        ]
        triggers = [
            pgtrigger.Protect(name="credit_account_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="credit_account_has_one_user", fields=["id", "user", "currency"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.balance} {self.currency}"


class CreditEntry(models.Model):
    """One movement: positive amounts are owed to the customer, negative ones were used."""

    class Type(models.TextChoices):
        CHANGE = "change", "change of the subscription"
        CANCELLATION = "cancellation"
        USED = "used", "used on an invoice"
        RETURNED = "returned", "of an invoice that was not paid"
        REFUNDED = "refunded", "of an invoice that was refunded"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(
        CreditAccount, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    sequence = models.BigIntegerField()
    type = models.CharField(max_length=12, choices=Type.choices)
    amount = amount_column()
    balance_after = amount_column()
    reference = models.UUIDField(help_text="The invoice, change or subscription it is of.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-sequence"]
        verbose_name_plural = "credit entries"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "sequence"], name="credit_entry_sequence_once"
            ),
            models.UniqueConstraint(
                fields=["account", "type", "reference"], name="credit_entry_reference_once"
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="credit_entry_moves"),
            models.CheckConstraint(
                condition=Q(balance_after__gte=0), name="credit_entry_not_overdrawn"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="credit_entry_is_kept", operation=pgtrigger.Update | pgtrigger.Delete
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount:+}"
