"""The outbox of mails to customers."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from config.locking import LockingQuerySet


class Mail(models.Model):
    """
    One mail to a customer, written in the transaction of what it tells of, sent after it.

    ``sending`` is committed before the mail server is called: whoever finds a mail in it knows
    that nobody knows, and does not send it again by itself.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        PARKED = "parked"

    class Kind(models.TextChoices):
        RECEIPT = "receipt"
        PAYMENT_FAILED = "payment_failed", "payment failed"
        TRIAL_ENDING = "trial_ending", "trial ending"
        RENEWAL_COMING = "renewal_coming", "renewal coming"
        CANCELLED = "cancelled", "subscription cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="mails"
    )
    kind = models.CharField(max_length=20, choices=Kind.choices)
    reference = models.CharField(max_length=100, help_text="What it tells of, once.")
    to = models.CharField(max_length=254)
    language = models.CharField(max_length=10)
    context = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("retry_parked", "Can retry what is parked")]
        constraints = [
            models.UniqueConstraint(fields=["kind", "reference"], name="mail_once"),
            models.CheckConstraint(
                condition=Q(status="sent", sent_at__isnull=False)
                | ~Q(status="sent") & Q(sent_at=None),
                name="mail_sent_has_moment",
            ),
            models.CheckConstraint(
                condition=~Q(status="waiting") | Q(next_attempt_at__isnull=False),
                name="mail_waiting_has_moment",
            ),
        ]
        indexes = [
            models.Index(
                "next_attempt_at",
                name="mail_to_send",
                condition=Q(status__in=["waiting", "sending"]),
            ),
            models.Index("created_at", name="mail_to_resolve", condition=Q(status="parked")),
        ]
        triggers = [pgtrigger.Protect(name="mail_is_kept", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.to}"
