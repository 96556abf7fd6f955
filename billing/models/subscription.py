"""What customers bought: the subscription, its add-ons, bundles of tokens."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Self, TypeVar

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Greatest
from django.utils import timezone
from uuid_utils.compat import uuid7

from billing.models.columns import amount_column
from catalog.models import AddOn, BillingPeriod, Plan, Price, TokenBundle
from config.history import tracked
from config.locking import LockingQuerySet

SECONDS_PER_DAY = 86_400


class SubscriptionStatus(models.TextChoices):
    PENDING = "pending"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


LIVE = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED)
# A cancelled one runs on to the end of what is paid for.
GIVES_ACCESS = (
    SubscriptionStatus.TRIALING,
    SubscriptionStatus.ACTIVE,
    SubscriptionStatus.CANCELLED,
)


Used = TypeVar("Used", bound="PeriodOfUse")


class SubscriptionQuerySet(LockingQuerySet[Used]):
    def live(self) -> Self:
        """Trialing, active or paused: at most one per user."""
        return self.filter(status__in=LIVE)

    def running(self, at: datetime) -> Self:
        """
        With some of the paid time left, paused or cancelled ones too.

        One that was ended at its cancellation is over, whatever the clock of who asks says: its
        end may have been written by somebody whose clock, or whose request, was a little later.
        """
        return self.filter(
            Q(status=SubscriptionStatus.PAUSED)
            | Q(status__in=LIVE) & (Q(expires_at=None) | Q(expires_at__gt=at))
            | Q(status=SubscriptionStatus.CANCELLED, expires_at__gt=Greatest("cancelled_at", at)),
            started_at__isnull=False,
        )


class PeriodOfUse(models.Model):
    """What a subscription and an add-on subscription have in common."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    status = models.CharField(
        max_length=10, choices=SubscriptionStatus.choices, default=SubscriptionStatus.PENDING
    )
    # What was agreed on, copied: a later edit in the catalogue changes none of it.
    price = models.ForeignKey(Price, on_delete=models.PROTECT)
    name = models.CharField(max_length=100)
    amount = amount_column()
    currency = models.CharField(max_length=3)
    billing_period = models.CharField(max_length=10, choices=BillingPeriod.choices)

    started_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=50, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether the customer may use it at this moment."""
        return (
            self.status in GIVES_ACCESS
            and self.started_at is not None
            and self.started_at <= moment
            and self.ends_after(moment)
        )

    def is_running_at(self, moment: datetime) -> bool:
        """What ``running`` asks, of one row."""
        if self.started_at is None:
            return False
        if self.status == SubscriptionStatus.CANCELLED:
            return self.ends_after(max(self.cancelled_at or moment, moment))
        if self.status == SubscriptionStatus.PAUSED:
            return True
        return self.status in LIVE and self.ends_after(moment)

    def ends_after(self, moment: datetime) -> bool:
        return self.expires_at is None or self.expires_at > moment


@tracked()
class Subscription(PeriodOfUse):
    """A customer's subscription to a plan. ``started_at`` is the anchor of its periods."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    pending_plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    paused_at = models.DateTimeField(null=True, blank=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(status__in=LIVE), name="subscription_one_live_per_user"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=LIVE) | Q(started_at__isnull=False),
                name="subscription_live_has_started",
            ),
            models.CheckConstraint(
                condition=Q(status=SubscriptionStatus.PAUSED, paused_at__isnull=False)
                | ~Q(status=SubscriptionStatus.PAUSED) & Q(paused_at=None),
                name="subscription_paused_has_moment",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="subscription_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="subscription_has_one_user", fields=["id", "user"]),
        ]

    def would_end_at(self, moment: datetime) -> datetime | None:
        """When it ends; of a paused one, when it would end if it were resumed now."""
        if self.paused_at is None or self.expires_at is None:
            return self.expires_at
        return self.expires_at + (moment - self.paused_at)

    def days_remaining_at(self, moment: datetime) -> int | None:
        """Whole days left, begun ones counted; None where it never ends."""
        if self.expires_at is None:
            return None if self.started_at else 0
        seconds = (self.expires_at - (self.paused_at or moment)).total_seconds()
        return max(0, math.ceil(seconds / SECONDS_PER_DAY))


@tracked()
class AddOnSubscription(PeriodOfUse):
    """An add-on that runs with a subscription, and never longer."""

    add_on = models.ForeignKey(AddOn, on_delete=models.PROTECT, related_name="subscriptions")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="add_ons")
    invoice = models.ForeignKey(
        "billing.Invoice", on_delete=models.PROTECT, related_name="add_on_subscriptions"
    )

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = "add-on subscription"
        triggers = [
            pgtrigger.Protect(name="add_on_subscription_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="add_on_subscription_has_one_user", fields=["id", "user", "invoice"]
            ),
        ]


@tracked()
class TokenBundlePurchase(models.Model):
    """One bundle bought once; its tokens are credited when the invoice is paid."""

    class Status(models.TextChoices):
        PENDING = "pending"
        COMPLETED = "completed"
        REFUNDED = "refunded"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    bundle = models.ForeignKey(TokenBundle, on_delete=models.PROTECT, related_name="purchases")
    invoice = models.ForeignKey(
        "billing.Invoice", on_delete=models.PROTECT, related_name="purchases"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    price = models.ForeignKey(Price, on_delete=models.PROTECT)
    name = models.CharField(max_length=100)
    amount = amount_column()
    currency = models.CharField(max_length=3)
    token_amount = models.PositiveBigIntegerField()
    tokens_credited = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)

    objects = LockingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="completed")
                | Q(completed_at__isnull=False, tokens_credited=True),
                name="purchase_completed_is_credited",
            )
        ]
        triggers = [
            pgtrigger.Protect(name="purchase_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="purchase_is_as_sold",
                fields=["id", "user", "bundle", "invoice", "price", "name", "amount"]
                + ["currency", "token_amount"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"
