"""Money that arrived."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from billing.models.columns import amount_column
from billing.models.invoice import Invoice
from catalog.money import Money
from config.history import tracked
from config.locking import LockingQuerySet


@tracked()
class Payment(models.Model):
    """
    One payment, as its provider reported it: one row per provider and reference.

    It either paid an invoice, or is unmatched, with the code of the reason, until finance
    resolves it. It is never deleted.
    """

    class Status(models.TextChoices):
        CAPTURED = "captured"
        UNMATCHED = "unmatched"
        REFUNDED = "refunded"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=50)
    reference = models.CharField(max_length=255)
    method = models.CharField(max_length=50, blank=True)
    invoice_reference = models.CharField(
        max_length=255, help_text="The invoice that the payer or provider named."
    )
    invoice = models.ForeignKey(
        Invoice, null=True, blank=True, on_delete=models.PROTECT, related_name="payments"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    amount = amount_column()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=10, choices=Status.choices)
    unmatched_reason = models.CharField(max_length=50, blank=True)
    received_at = models.DateTimeField(default=timezone.now)
    refund_reference = models.CharField(max_length=255, blank=True)
    refunded_at = models.DateTimeField(null=True, blank=True)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("take_payment", "Can take payments")]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "reference"], name="payment_reference_once"
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(status="captured"), name="payment_one_per_invoice"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_is_positive"),
            models.CheckConstraint(
                condition=~Q(status="captured") | Q(invoice__isnull=False),
                name="payment_captured_has_invoice",
            ),
            models.CheckConstraint(
                condition=~Q(status="unmatched") | ~Q(unmatched_reason=""),
                name="payment_unmatched_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(status="refunded", refunded_at__isnull=False)
                | ~Q(status="refunded") & Q(refunded_at=None),
                name="payment_refunded_has_moment",
            ),
        ]
        indexes = [
            models.Index("received_at", name="payment_to_resolve", condition=Q(status="unmatched")),
        ]
        triggers = [
            pgtrigger.Protect(name="payment_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="payment_is_as_received",
                fields=["id", "provider", "reference", "invoice_reference", "amount", "currency"]
                + ["received_at"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.reference}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


class PaymentAttempt(models.Model):
    """
    One time that a provider was asked for the money of an invoice.

    Its row is committed before the provider is called, and its id is the key under which the
    provider does it once: whoever finds an attempt that has no outcome asks again under that key.
    """

    class Outcome(models.TextChoices):
        STARTED = "started"
        PAID = "paid"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No index of its own: the unique constraint below begins with it.
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, related_name="attempts", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=50)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.STARTED)
    failure = models.CharField(max_length=255, blank=True, help_text="In the provider's words.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "number"], name="payment_attempt_number_once"
            ),
            models.CheckConstraint(
                condition=Q(outcome="started", finished_at=None)
                | ~Q(outcome="started") & Q(finished_at__isnull=False),
                name="payment_attempt_over_has_moment",
            ),
        ]
        indexes = [
            models.Index("started_at", name="payment_attempt_open", condition=Q(outcome="started"))
        ]
        triggers = [
            pgtrigger.Protect(name="payment_attempt_is_kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="payment_attempt_ends_once",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__outcome="started"),
            ),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number} ({self.outcome})"
