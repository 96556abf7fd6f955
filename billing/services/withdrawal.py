"""Taking an invoice back that nobody has paid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from billing.models import Event, Invoice
from billing.services import coupons, customer_credit, events


def withdraw(*, invoice_ids: Sequence[UUID], now: datetime) -> None:
    """
    Cancel unpaid invoices, and let the customer have back what of their credit and of a coupon is
    on them.

    The caller has locked them and their customer, and gives up what waits for them.
    """
    Invoice.objects.filter(pk__in=invoice_ids).update(
        status=Invoice.Status.CANCELLED, cancelled_at=now, next_attempt_at=None
    )
    customer_credit.give_back(invoice_ids=invoice_ids, kind=customer_credit.Type.RETURNED, now=now)
    coupons.give_periods_back(invoice_ids=invoice_ids)
    coupons.release(invoice_ids=invoice_ids)


def take_back(*, invoice_ids: Sequence[UUID], now: datetime) -> None:
    """``withdraw`` what is no longer asked for, because something else takes its place."""
    withdraw(invoice_ids=invoice_ids, now=now)
    events.record(
        *(
            Event(
                name="invoice.withdrawn",
                user_id=invoice.user_id,
                subject_id=invoice.pk,
                payload={"number": invoice.number, "of": invoice.reason},
                created_at=now,
            )
            for invoice in Invoice.objects.filter(pk__in=invoice_ids).order_by("pk")
        )
    )
