"""Invoices, their lines, and the series that number them."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from billing.models.columns import amount_column
from billing.models.subscription import Subscription
from catalog.models import Plan
from catalog.money import Money
from config.history import tracked
from config.locking import LockingQuerySet


class InvoiceSeries(models.Model):
    """
    One of a day's series of invoice numbers.

    Its row is locked from the taking of a number to the commit, so within a series there is no gap
    and no duplicate; see docs/adr/0004-invoice-numbers-by-series.md.
    """

    day = models.DateField()
    series = models.PositiveIntegerField()
    last_number = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "invoice series"
        constraints = [
            models.UniqueConstraint(fields=["day", "series"], name="series_once_a_day"),
        ]
        triggers = [
            pgtrigger.Protect(name="series_is_kept", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="series_counts_by_one",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(new__last_number=pgtrigger.F("old__last_number") + 1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y%m%d}-{self.series:02}"


@tracked()
class Invoice(models.Model):
    """
    A numbered invoice. Once it stands, its buyer, lines and amounts never change.

    Its lines are inserted before it, in the same transaction: so its own trigger can compare its
    subtotal with their sum at once, and a line for an invoice that stands is refused.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        PAID = "paid"
        FAILED = "failed"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    class Reason(models.TextChoices):
        CHECKOUT = "checkout"
        RENEWAL = "renewal"
        CHANGE = "change"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reason = models.CharField(max_length=10, choices=Reason.choices, default=Reason.CHECKOUT)
    number = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="invoices", db_index=False
    )
    plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    subscription = models.ForeignKey(
        Subscription, null=True, blank=True, on_delete=models.PROTECT, related_name="invoices"
    )
    buyer = models.JSONField(help_text="Who it is made out to, as it stood when it was issued.")
    currency = models.CharField(max_length=3)
    subtotal = amount_column()
    tax_amount = amount_column()
    total_amount = amount_column()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    payment_method = models.CharField(max_length=50, blank=True)
    payment_ref = models.CharField("payment reference", max_length=255, blank=True)
    invoiced_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # Of a renewal: the moment from which what is on it is paid for.
    period_start = models.DateTimeField(null=True, blank=True)
    # When the provider is asked for the money next.
    next_attempt_at = models.DateTimeField(null=True, blank=True)

    objects = LockingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("void_invoice", "Can void invoices"),
            ("refund_invoice", "Can refund invoices"),
            ("send_invoice", "Can send invoices by mail"),
            ("view_dashboard", "Can see how the business stands"),
            ("view_report", "Can see and export the reports"),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="invoice_user_newest"),
            models.Index(
                "expires_at",
                name="invoice_open_until",
                condition=Q(status__in=["pending", "failed"]),
            ),
            models.Index(
                "next_attempt_at",
                name="invoice_to_be_tried",
                condition=Q(next_attempt_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(total_amount=F("subtotal") + F("tax_amount")),
                name="invoice_total_is_sum",
            ),
            models.CheckConstraint(
                condition=Q(total_amount__gte=0, tax_amount__gte=0), name="invoice_not_negative"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["paid", "refunded"]) | Q(paid_at__isnull=False),
                name="invoice_paid_has_moment",
            ),
            models.CheckConstraint(
                condition=Q(status="cancelled", cancelled_at__isnull=False)
                | ~Q(status="cancelled") & Q(cancelled_at=None),
                name="invoice_cancelled_has_moment",
            ),
            # However often, late, in parallel or interrupted the renewals run.
            models.UniqueConstraint(
                fields=["subscription", "period_start"],
                condition=Q(reason="renewal") & ~Q(status="cancelled"),
                name="invoice_renews_period_once",
            ),
            models.CheckConstraint(
                condition=Q(
                    reason="renewal", period_start__isnull=False, subscription__isnull=False
                )
                | ~Q(reason="renewal") & Q(period_start=None),
                name="invoice_renewal_has_period",
            ),
            models.CheckConstraint(
                condition=Q(next_attempt_at=None) | Q(status__in=["pending", "failed"]),
                name="invoice_tried_is_payable",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="invoice_is_kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="invoice_is_as_issued",
                fields=[
                    "id",
                    "reason",
                    "number",
                    "user",
                    "plan",
                    "subscription",
                    "buyer",
                    "currency",
                ]
                + ["subtotal", "tax_amount", "total_amount", "invoiced_at", "period_start"],
            ),
            pgtrigger.Trigger(
                name="invoice_subtotal_is_sum",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                declare=[("lines_sum", "numeric")],
                func="""
                    SELECT COALESCE(sum(amount), 0) INTO lines_sum
                      FROM billing_invoicelineitem WHERE invoice_id = NEW.id;
                    IF NEW.subtotal <> lines_sum THEN
                        RAISE EXCEPTION 'invoice %: subtotal % is not the sum of its lines %',
                            NEW.number, NEW.subtotal, lines_sum
                            USING ERRCODE = 'check_violation',
                                  CONSTRAINT = 'invoice_subtotal_is_sum';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def total(self) -> Money:
        return Money(self.total_amount, self.currency)

    @property
    def is_payable(self) -> bool:
        return self.status in (self.Status.PENDING, self.Status.FAILED)


class InvoiceLineItem(models.Model):
    """
    One line of an invoice. ``item_id`` is the subscription, purchase or add-on subscription that
    the line pays for, or that a fee or discount is of; of a credit that is used it is the invoice.
    ``user`` is the invoice's, so that a customer's rows can live together.
    """

    class Type(models.TextChoices):
        SUBSCRIPTION = "subscription"
        TOKEN_BUNDLE = "token_bundle", "token bundle"
        ADD_ON = "add_on", "add-on"
        SETUP_FEE = "setup_fee", "setup fee"
        DISCOUNT = "discount"
        CREDIT = "credit"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No index of its own: the unique constraint below begins with it.
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, related_name="line_items", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    position = models.PositiveSmallIntegerField()
    type = models.CharField(max_length=12, choices=Type.choices)
    item_id = models.UUIDField()
    description = models.CharField(max_length=255)
    quantity = models.PositiveIntegerField(default=1)
    unit_price = amount_column()
    amount = amount_column()
    # Of what is paid in advance for a time that is known; a first period begins when it is paid.
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="line_position_once"),
            models.CheckConstraint(
                condition=Q(amount=F("unit_price") * F("quantity")), name="line_amount_is_product"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="line_is_as_issued", operation=pgtrigger.Update | pgtrigger.Delete
            ),
            pgtrigger.Trigger(
                name="line_comes_before_invoice",
                level=pgtrigger.Statement,
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                referencing=pgtrigger.Referencing(new="new_lines"),
                func="""
                    IF EXISTS (SELECT FROM billing_invoice
                                WHERE id IN (SELECT invoice_id FROM new_lines)) THEN
                        RAISE EXCEPTION 'an issued invoice gets no more lines'
                            USING ERRCODE = 'check_violation',
                                  CONSTRAINT = 'line_comes_before_invoice';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.description
