"""What customers bought: the subscription, its add-ons, bundles of tokens."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Self, TypeVar

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest
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

    def with_trial_of(self, plan_id: Any) -> Self:
        """Those that had the trial of this plan, though they may be of another one by now."""
        return self.filter(
            Q(trial_plan=plan_id) | Q(trial_plan=None, plan=plan_id), trial_ends_at__isnull=False
        )

    def running(self, at: datetime) -> Self:
        """
        With some of the paid time left, paused or cancelled ones too.

        One that was ended at its cancellation is over, whatever the clock of who asks says: its
        end may have been written by somebody whose clock, or whose request, was a little later.
        """
        return self.filter(
            Q(status=SubscriptionStatus.PAUSED)
            | Q(status__in=LIVE)
            & (Q(expires_at=None) | Q(expires_at__gt=at) | Q(grace_until__gt=at))
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
    amount = amount_column(help_text="Of one, for one period.")
    quantity = models.PositiveIntegerField(default=1, help_text="Seats.")
    currency = models.CharField(max_length=3)
    billing_period = models.CharField(max_length=10, choices=BillingPeriod.choices)

    started_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    # Periods are counted from the anchor; it moves with a pause and to another length of period.
    anchor_at = models.DateTimeField(null=True, blank=True)
    period_start = models.DateTimeField(null=True, blank=True)
    # What the whole current period costs after discounts: what a change gives back a part of.
    period_value = amount_column(default=0)
    # Access in spite of an unpaid renewal: until the last retry.
    grace_until = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=50, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="%(class)s_has_quantity"),
        ]

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

    @property
    def paid_end(self) -> datetime | None:
        """The end of its current period; None where it is paid for good."""
        return self.expires_at

    def ends_after(self, moment: datetime) -> bool:
        ends = (self.expires_at, self.grace_until)
        return self.expires_at is None or any(end is not None and end > moment for end in ends)


@tracked()
class Subscription(PeriodOfUse):
    """
    A customer's subscription to a plan.

    ``pending_plan``, ``pending_price`` and ``pending_quantity`` are what it is at the next renewal,
    where that was asked for. ``setup_fee`` is owed until it is charged. ``parked_at`` is set where
    a renewal failed for a reason that only a person can mend: it is left alone until then.
    ``trial_plan`` is the plan that its trial was of, where it has changed to another one since.
    """

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    pending_plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    pending_price = models.ForeignKey(
        Price, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    pending_quantity = models.PositiveIntegerField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    setup_fee = amount_column(default=0)
    trial_days = models.PositiveSmallIntegerField(default=0)
    is_trial_paid = models.BooleanField(default=False)
    trial_ends_at = models.DateTimeField(null=True, blank=True)
    trial_plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    past_due_since = models.DateTimeField(null=True, blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)
    parked_reason = models.CharField(max_length=255, blank=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta(PeriodOfUse.Meta):
        constraints = [
            *PeriodOfUse.Meta.constraints,
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
            models.UniqueConstraint(
                "user",
                Coalesce("trial_plan", "plan"),
                condition=Q(trial_ends_at__isnull=False),
                name="subscription_one_trial_per_plan",
            ),
            models.CheckConstraint(
                condition=Q(pending_plan=None, pending_price=None)
                | Q(pending_plan__isnull=False, pending_price__isnull=False),
                name="subscription_pending_plan_has_price",
            ),
            models.CheckConstraint(
                condition=Q(parked_at=None, parked_reason="")
                | Q(parked_at__isnull=False) & ~Q(parked_reason=""),
                name="subscription_parked_has_reason",
            ),
        ]
        indexes = [
            # What comes up for renewal or ends, without a look at all that is over.
            models.Index(
                "expires_at",
                name="subscription_ends",
                condition=Q(status__in=["trialing", "active"]),
            ),
            models.Index(
                "expires_at",
                name="subscription_runs_out",
                condition=Q(status="cancelled", expires_at__gt=F("cancelled_at")),
            ),
            models.Index(
                "parked_at",
                name="subscription_to_resolve",
                condition=Q(parked_at__isnull=False),
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
    """
    An add-on that runs with a subscription, and never longer.

    ``paid_until`` is the end of its own paid period, None where it is paid for good;
    ``expires_at`` is that, or the end of its subscription where that comes first.
    """

    add_on = models.ForeignKey(AddOn, on_delete=models.PROTECT, related_name="subscriptions")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="add_ons")
    invoice = models.ForeignKey(
        "billing.Invoice", on_delete=models.PROTECT, related_name="add_on_subscriptions"
    )

    paid_until = models.DateTimeField(null=True, blank=True)

    objects = SubscriptionQuerySet.as_manager()

    @property
    def paid_end(self) -> datetime | None:
        return self.paid_until

    class Meta(PeriodOfUse.Meta):
        verbose_name = "add-on subscription"
        indexes = [
            models.Index(
                "paid_until",
                name="add_on_subscription_ends",
                condition=Q(status__in=["trialing", "active"]),
            ),
        ]
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
