"""What customers are told by mail, and when: each thing once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import (
    CharField,
    DecimalField,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    CouponRedemption,
    Invoice,
    Mail,
    Subscription,
    TestClock,
)
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import letters, outbox
from billing.services.outbox import Draft
from catalog.models import BillingPeriod
from catalog.money import Money

Kind = Mail.Kind
TRIAL_NOTICE = timedelta(days=3)


def receipts(*, invoices: Iterable[Invoice], now: datetime) -> None:
    """Thank for invoices that were just paid, of more than zero. In the caller's transaction."""
    drafts = [
        Draft(
            Kind.RECEIPT,
            invoice.user,
            str(invoice.pk),
            {
                "invoice_id": str(invoice.pk),
                "number": invoice.number,
                "total": letters.stored(invoice.total),
                "paid_at": now.isoformat(),
            },
        )
        for invoice in invoices
        if invoice.total_amount
    ]
    if drafts:
        outbox.put_all(drafts=drafts, now=now)


def payment_failed(
    *,
    invoice: Invoice,
    subscription: Subscription,
    attempt: int,
    next_attempt_at: datetime | None,
    ends_at: datetime | None,
    now: datetime,
) -> None:
    """
    Say that the money for a renewal could not be taken, and what comes next. In the caller's
    transaction.

    :param attempt: which of the invoice's, counted from 1: each is told once
    :param next_attempt_at: None after the last
    :param ends_at: when the subscription ends without a payment
    """
    outbox.put(
        kind=Kind.PAYMENT_FAILED,
        user=invoice.user,
        reference=f"{invoice.pk}:{attempt}",
        context={
            "invoice_id": str(invoice.pk),
            "number": invoice.number,
            "plan": subscription.name,
            "total": letters.stored(invoice.total),
            "next_attempt_at": next_attempt_at.isoformat() if next_attempt_at else "",
            "ends_at": ends_at.isoformat() if ends_at else "",
        },
        now=now,
    )


def cancelled(*, subscription: Subscription, is_unpaid: bool = False, now: datetime) -> None:
    """
    Say that a subscription was cancelled, and until when it runs, or that it has ended. In the
    caller's transaction; once per cancellation, of which there is another after it was taken back.

    :param is_unpaid: whether it ended because its renewal was not paid
    """
    ends_at = subscription.expires_at
    outbox.put(
        kind=Kind.CANCELLED,
        user=subscription.user,
        reference=f"{subscription.pk}:{(subscription.cancelled_at or now).isoformat()}",
        context={
            "plan": subscription.name,
            "ends_at": ends_at.isoformat() if ends_at else "",
            "is_over": not subscription.ends_after(now),
            "is_unpaid": is_unpaid,
        },
        now=now,
    )


def trial_ending(*, now: datetime, limit: int, user: User | None = None) -> int:
    """
    Tell, three days before, those whose trial ends that it goes on for money.

    :param limit: how many at most
    :param user: only them; without one, nobody who has a test clock
    :returns: how many were told
    """
    ending = Subscription.objects.filter(
        status=SubscriptionStatus.TRIALING,
        expires_at__gt=now,
        expires_at__lte=now + TRIAL_NOTICE,
    )
    if not ending.exists():  # most of the time, and the question below costs much more
        return 0
    found = _to_be_told(Kind.TRIAL_ENDING, ending, limit=limit, user=user)
    return _tell(Kind.TRIAL_ENDING, found, "ends_at", now=now)


def renewals_coming(*, now: datetime, limit: int, user: User | None = None) -> int:
    """
    Tell those with a yearly subscription, BILLING_RENEWAL_NOTICE_DAYS before, that it renews.

    :param limit: how many at most
    :param user: only them; without one, nobody who has a test clock
    :returns: how many were told
    """
    coming = Subscription.objects.filter(
        status=SubscriptionStatus.ACTIVE,
        billing_period=BillingPeriod.YEARLY,
        expires_at__gt=now,
        expires_at__lte=now + timedelta(days=settings.BILLING_RENEWAL_NOTICE_DAYS),
    )
    if not coming.exists():
        return 0
    found = _to_be_told(Kind.RENEWAL_COMING, coming, limit=limit, user=user)
    return _tell(Kind.RENEWAL_COMING, found, "renews_at", now=now)


def _to_be_told(
    kind: str, subscriptions: QuerySet[Subscription], *, limit: int, user: User | None
) -> QuerySet[Any]:
    """
    Those among them who owe something at the end of the period and were not told of it yet.

    One statement, by the index of ends: of who was told, the outbox itself knows.
    """
    if user:
        subscriptions = subscriptions.filter(user=user)
    else:
        clocks = TestClock.objects.filter(user_id=OuterRef("user_id"))
        subscriptions = subscriptions.filter(~Exists(clocks))
    period = Coalesce("pending_plan__billing_period", "billing_period")
    quantity = Coalesce("pending_quantity", "quantity")
    discounts = CouponRedemption.objects.filter(
        subscription=OuterRef("pk"), status__in=("held", "active")
    )
    return (
        subscriptions.annotate(
            reference=_reference(),
            next_name=Coalesce("pending_plan__name", "name"),
            next_period=period,
            own=Coalesce("pending_price__amount", "amount") * quantity,
        )
        .annotate(owed=F("own") + _of_add_ons())
        .filter(Q(owed__gt=0) | Q(setup_fee__gt=0))
        .filter(~Exists(Mail.objects.filter(kind=kind, reference=OuterRef("reference"))))
        .annotate(is_discounted=Exists(discounts))
        .select_related("user")
        .order_by("expires_at", "id")[:limit]
    )


def _reference() -> Concat:
    """The subscription and the day on which its period ends: what is told of, once."""
    day = Func(
        F("expires_at"),
        Value("YYYY-MM-DD"),
        function="to_char",
        output_field=CharField(),
    )
    return Concat(Cast("pk", CharField()), Value(":"), day)


def _of_add_ons() -> Coalesce:
    """What those cost that are renewed together with the subscription."""
    together = AddOnSubscription.objects.filter(
        subscription=OuterRef("pk"), status__in=LIVE, billing_period=OuterRef("next_period")
    )
    column = DecimalField(max_digits=17, decimal_places=3)
    amount = (
        together.order_by().values("subscription").annotate(sum=Sum(F("amount") * F("quantity")))
    )
    return Coalesce(
        Subquery(amount.values("sum"), output_field=column), Value(Decimal(0)), output_field=column
    )


@transaction.atomic
def _tell(kind: str, found: Iterable[Any], moment: str, *, now: datetime) -> int:
    """
    Two that do it at once put one mail: it is unique.

    :param moment: what the templates call the end of the period
    """
    drafts = [
        Draft(
            kind=kind,
            user=subscription.user,
            reference=subscription.reference,
            context={
                "plan": subscription.next_name,
                moment: subscription.expires_at.isoformat(),
                "period": subscription.next_period,
                "total": letters.stored(Money(subscription.owed, subscription.currency)),
                "is_discounted": subscription.is_discounted,
            }
            | _setup_fee(subscription),
        )
        for subscription in found
    ]
    outbox.put_all(drafts=drafts, now=now)
    return len(drafts)


def _setup_fee(subscription: Subscription) -> dict[str, Any]:
    if not subscription.setup_fee:
        return {}
    fee = Money(subscription.setup_fee, subscription.currency)
    return {"setup_fee": letters.stored(fee)}
