"""Whether a subscription is paid for, as a customer is told it."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from billing.models import Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services.renewed import UNPAID

Status = SubscriptionStatus


class PaymentState(models.TextChoices):
    PENDING = "pending", "waits for its first payment"
    PAID = "paid"
    PAST_DUE = "past_due", "its renewal is not paid, and access goes on for a while"
    UNPAID = "unpaid", "was not paid, and has ended or lost what was not paid for"


def of(subscription: Subscription) -> PaymentState:
    """A trial of nothing is paid too: nothing is owed for it."""
    if subscription.status == Status.PENDING:
        return PaymentState.PENDING
    if subscription.past_due_since:
        return PaymentState.PAST_DUE
    if subscription.cancel_reason == UNPAID or subscription.started_at is None:
        return PaymentState.UNPAID
    return PaymentState.PAID


def status_at(subscription: Subscription, moment: datetime) -> str:
    """
    Its status, as its customer is told it: one that is past due is expired when the time is over
    for which access goes on, though the run of the billing has not come to it yet.
    """
    is_past_due = subscription.past_due_since is not None
    if is_past_due and subscription.status in LIVE and not subscription.ends_after(moment):
        return Status.EXPIRED
    return subscription.status
