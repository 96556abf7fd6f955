"""Coupons, and who has redeemed them."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone
from uuid_utils.compat import uuid7

from billing.models.columns import amount_column
from billing.models.invoice import Invoice
from billing.models.subscription import Subscription
from catalog.models import Plan, validate_currency
from config.history import tracked
from config.locking import LockingQuerySet


@tracked()
class Coupon(models.Model):
    """
    A code that lets a subscription cost less: plan and add-ons, for so many of its periods.

    ``redeemed`` counts the redemptions that stand, and is moved by one guarded statement.
    """

    class Kind(models.TextChoices):
        PERCENT = "percent"
        AMOUNT = "amount"

    class Duration(models.TextChoices):
        ONCE = "once"
        PERIODS = "periods", "so many periods"
        FOREVER = "forever", "for ever"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.CharField(
        max_length=50,
        validators=[RegexValidator(r"^[A-Za-z0-9_-]+$", "Letters, digits, - and _ only.")],
        help_text="What customers type, in any case of letters.",
    )
    name = models.CharField(max_length=100, help_text="What stands on the invoice.")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PERCENT)
    percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )
    duration = models.CharField(max_length=10, choices=Duration.choices, default=Duration.ONCE)
    periods = models.PositiveSmallIntegerField(null=True, blank=True)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True, help_text="In all.")
    max_per_customer = models.PositiveIntegerField(default=1)
    valid_until = models.DateTimeField(null=True, blank=True)
    plans = models.ManyToManyField(
        Plan, blank=True, related_name="+", help_text="For these only; for any if empty."
    )
    is_active = models.BooleanField("active", default=True)
    redeemed = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(Upper("code"), name="coupon_code_once"),
            models.CheckConstraint(
                condition=Q(kind="percent", percent__isnull=False, percent__gt=0, percent__lte=100)
                | Q(kind="amount", percent=None),
                name="coupon_percent_has_percent",
            ),
            models.CheckConstraint(
                condition=Q(duration="periods", periods__isnull=False, periods__gte=1)
                | ~Q(duration="periods") & Q(periods=None),
                name="coupon_periods_has_number",
            ),
            models.CheckConstraint(
                condition=Q(max_redemptions=None) | Q(redeemed__lte=F("max_redemptions")),
                name="coupon_not_redeemed_too_often",
            ),
        ]

    def __str__(self) -> str:
        return self.code


@tracked()
class CouponAmount(models.Model):
    """How much less, in one currency, of a coupon of an amount."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    coupon = models.ForeignKey(Coupon, on_delete=models.CASCADE, related_name="amounts")
    currency = models.CharField(max_length=3, validators=[validate_currency])
    amount = amount_column()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["coupon", "currency"], name="coupon_amount_once_per_currency"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="coupon_amount_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class CouponRedemption(models.Model):
    """
    A coupon on a subscription, with its terms as they were then.

    It is held from the checkout on; where that is given up it is released, and counts no more.
    """

    class Status(models.TextChoices):
        HELD = "held"
        ACTIVE = "active"
        USED_UP = "used_up", "used up"
        RELEASED = "released"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="redemptions")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="coupon_redemptions"
    )
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, related_name="coupon_redemptions"
    )
    invoice = models.ForeignKey(
        Invoice,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="coupon_redemptions",
        help_text="The checkout's, where it was redeemed there.",
    )
    status = models.CharField(max_length=10, choices=Status.choices)
    name = models.CharField(max_length=100)
    percent = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)
    amount = amount_column(null=True, blank=True)
    currency = models.CharField(max_length=3)
    periods_left = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Empty: for ever."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription"],
                condition=Q(status__in=["held", "active"]),
                name="coupon_one_per_subscription",
            ),
            models.CheckConstraint(
                condition=Q(percent__isnull=False, amount=None)
                | Q(percent=None, amount__isnull=False),
                name="coupon_redemption_has_terms",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="coupon_redemption_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="coupon_redemption_is_as_agreed",
                fields=["id", "coupon", "user", "subscription", "invoice", "name"]
                + ["percent", "amount", "currency"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"
