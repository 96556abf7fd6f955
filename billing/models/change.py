"""Changes of a subscription in the middle of its period."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from billing.models.columns import amount_column
from billing.models.invoice import Invoice
from billing.models.subscription import AddOnSubscription, Subscription
from catalog.models import BillingPeriod, Plan, Price
from config.locking import LockingQuerySet


class SubscriptionChange(models.Model):
    """
    Another plan, or another quantity, of a subscription or of one of its add-ons.

    Where money is owed for it, it waits for its invoice; what it changes to is copied here as it
    was offered, and what it was before when it takes effect. Nothing else changes a plan, a price
    or a quantity, so what was held when is read from here. ``period_start`` is the period of what
    changes that it was reckoned in: in another one it would cost something else.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        APPLIED = "applied"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="changes")
    add_on_subscription = models.ForeignKey(
        AddOnSubscription,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="changes",
        help_text="Where it is the add-on that changes.",
    )
    invoice = models.OneToOneField(
        Invoice, null=True, blank=True, on_delete=models.PROTECT, related_name="change"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="+", db_index=False)
    name = models.CharField(max_length=100)
    amount = amount_column(help_text="Of one, for one period.")
    quantity = models.PositiveIntegerField(default=1)
    currency = models.CharField(max_length=3)
    billing_period = models.CharField(max_length=10, choices=BillingPeriod.choices)
    value = amount_column(help_text="Of the whole period, all seats, after discounts.")
    credit = amount_column(help_text="Given back for what is left of the period.")
    charge = amount_column(help_text="Asked for what it is changed to.")
    begins_new_period = models.BooleanField(default=False)
    period_start = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    applied_at = models.DateTimeField(null=True, blank=True)
    was_plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    was_amount = amount_column(null=True, blank=True, help_text="A whole period, all seats.")
    was_period = models.CharField(max_length=10, choices=BillingPeriod.choices, blank=True)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            # A new wish takes the place of one that waits: two invoices for one change would be
            # paid twice.
            models.UniqueConstraint(
                fields=["subscription"],
                condition=Q(status="pending"),
                name="subscription_change_one_waiting",
            ),
            models.CheckConstraint(
                condition=Q(quantity__gte=1), name="subscription_change_has_quantity"
            ),
            models.CheckConstraint(
                condition=Q(value__gte=0, credit__gte=0, charge__gte=0),
                name="subscription_change_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(status="applied", applied_at__isnull=False)
                | ~Q(status="applied") & Q(applied_at=None),
                name="subscription_change_applied_has_moment",
            ),
            models.CheckConstraint(
                condition=~Q(status="applied") | Q(was_amount__isnull=False) & ~Q(was_period=""),
                name="subscription_change_applied_has_before",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="subscription_change_is_kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="subscription_change_ends_once",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__status="pending"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} × {self.quantity} ({self.status})"
