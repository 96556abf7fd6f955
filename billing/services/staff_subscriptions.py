"""What staff do with a customer's subscription."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Greatest

from accounts.models import User
from accounts.services.accounts import AccountClosed
from billing.models import AddOnSubscription, Event, Invoice, InvoiceLineItem, Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import (
    changed,
    checkout,
    endings,
    events,
    holding,
    payments,
    refunds,
    renewed,
    subscriptions,
)
from billing.services.checkout import Checkout, ItemWithdrawn
from billing.services.endings import SubscriptionIsLive
from billing.services.invoices import require_reason
from billing.services.selection import Order
from billing.services.subscriptions import Author, SubscriptionStateForbids
from catalog.models import Plan
from config import history
from config.errors import DomainError

Status = SubscriptionStatus
MOST_DAYS = 3660  # ten years


class InvalidDays(DomainError):
    code = "invalid_days"


def start(
    *, customer: User, plan: Plan, currency: str | None = None, by: User, now: datetime
) -> Checkout:
    """
    Check a customer out with a plan, as they would themselves: pending, with its invoice.

    :raises SubscriptionIsLive: if they have a live one
    :raises AccountClosed: if the account is closed
    :raises ItemWithdrawn: if the plan was deleted at the same moment
    :raises DomainError: what ``checkout.create`` refuses
    """
    try:
        with transaction.atomic():
            return _start(customer, Order(plan_id=plan.pk, currency=currency), by, now)
    except IntegrityError as failure:
        if not checkout.is_of_missing_item(failure):
            raise
        raise ItemWithdrawn(checkout.ITEM_IS_GONE) from None


def activate(*, subscription: Subscription, by: User, reason: str, now: datetime) -> Subscription:
    """
    Bring it to life: go on after a pause, take a cancellation back, or take its invoice as paid.

    Of a pending one the invoice is marked as paid by hand, so this is for who may take payments.
    Not to be called inside a transaction, as ``payments.mark_paid`` is not.

    :raises SubscriptionStateForbids: if it is live already, or over
    :raises SubscriptionIsLive: if another one is live by now
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    if subscription.status == Status.PENDING:
        _take_as_paid(subscription, by, reason, now)
    else:
        with transaction.atomic(), history.noted(by=by.pk, reason=reason):
            _go_on(subscription, by, reason, now)
    subscription.refresh_from_db()
    return subscription


def cancel(
    *,
    subscription: Subscription,
    at_once: bool,
    with_credit: bool = False,
    by: User,
    reason: str,
    now: datetime,
) -> Subscription:
    """
    Cancel, at the end of what is paid for or at once.

    One that was never paid is given up with its whole checkout, either way.

    :param with_credit: at once, the rest of what was paid goes to the customer's credit account
    :raises SubscriptionStateForbids: if it has ended, or is cancelled already and not ``at_once``
    :raises CreditOnlyAtOnce: if there is to be credit for what runs on
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        return endings.cancel(
            subscription=subscription,
            at_once=at_once,
            with_credit=with_credit,
            author=Author(by.pk, reason),
            now=now,
        )


def pause(*, subscription: Subscription, by: User, reason: str, now: datetime) -> Subscription:
    """
    Stop its clock, as the customer can: no use, and no time lost, until it is activated again.

    :raises SubscriptionStateForbids: if it is not active, is past due, or its time is over
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        return subscriptions.pause(subscription=subscription, author=Author(by.pk, reason), now=now)


def extend(
    *, subscription: Subscription, days: int, by: User, reason: str, now: datetime
) -> Subscription:
    """
    Give days for nothing: it ends later, and so do the add-ons that end with it.

    :raises InvalidDays: if they are not 1 to 3660
    :raises SubscriptionStateForbids: if it is over, never ends, or would be over all the same
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    if not 0 < days <= MOST_DAYS:
        raise InvalidDays(f"days: 1 to {MOST_DAYS}.")
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        locked = holding.hold(subscription)
        _require_unfinished(locked, now, "extended")
        if locked.expires_at is None:
            raise SubscriptionStateForbids("It never ends.", status=locked.status)
        more = timedelta(days=days)
        if locked.status != Status.PAUSED and locked.expires_at + more <= now:
            raise SubscriptionStateForbids(
                f"{days} days are too few: it would be over all the same.", status=locked.status
            )
        _add_ons_that_end_with(locked).update(
            expires_at=F("expires_at") + more, paid_until=F("paid_until") + more
        )
        locked.expires_at += more
        # Further periods are counted from where this one ends now, and none is a short one.
        locked.anchor_at = locked.expires_at
        renewed.withdraw_open(subscription=locked, now=now)
        changed.withdraw_waiting(subscription=locked, now=now)
        renewed.forget_dunning(locked)
        locked.save(update_fields=["expires_at", "anchor_at", "past_due_since", "grace_until"])
        events.record(_event("subscription.extended", locked, by, reason, now, days=days))
        return locked


def refund(
    *, subscription: Subscription, reference: str, by: User, reason: str, now: datetime
) -> Invoice:
    """
    Refund the invoice that paid its current period, with all that was on it: that of its last
    renewal, else the one that made it live.

    :raises SubscriptionStateForbids: if it was never paid for
    :raises DomainError: what ``refunds.refund`` refuses
    """
    invoice = _invoice_of_period(subscription)
    if invoice.status not in (Invoice.Status.PAID, Invoice.Status.REFUNDED):
        raise SubscriptionStateForbids(
            "The subscription was never paid for.", status=subscription.status
        )
    return refunds.refund(invoice=invoice, reference=reference, by=by, reason=reason, now=now)


def _start(customer: User, order: Order, by: User, now: datetime) -> Checkout:
    """Of two who start one at once, the second sees what the first has made live."""
    locked = User.objects.lock(customer.pk)
    if locked.status == User.Status.DELETED:
        raise AccountClosed("The account is closed for good.", user_id=str(locked.pk))
    live = Subscription.objects.live().filter(user=locked).first()
    if live is not None:
        raise SubscriptionIsLive(
            f"The customer has a live subscription: {live.name}.", subscription_id=str(live.pk)
        )
    made = checkout.create(user=customer, order=order, now=now)
    assert made.subscription  # noqa: S101 - a plan was ordered
    events.record(_event("subscription.started", made.subscription, by, "", now))
    return made


def _own_invoice(subscription: Subscription) -> Invoice:
    """Of its own checkout: an invoice without a plan is of add-ons that join it."""
    return Invoice.objects.get(
        subscription=subscription, plan__isnull=False, reason=Invoice.Reason.CHECKOUT
    )


def _invoice_of_period(subscription: Subscription) -> Invoice:
    """One that only renewed an add-on is not the subscription's."""
    own = InvoiceLineItem.objects.filter(
        item_id=subscription.pk, type=InvoiceLineItem.Type.SUBSCRIPTION, invoice=OuterRef("pk")
    )
    renewals = Invoice.objects.filter(
        Exists(own),
        subscription=subscription,
        reason=Invoice.Reason.RENEWAL,
        status__in=(Invoice.Status.PAID, Invoice.Status.REFUNDED),
    )
    return renewals.order_by("-period_start").first() or _own_invoice(subscription)


def _take_as_paid(subscription: Subscription, by: User, reason: str, now: datetime) -> None:
    payments.mark_paid(
        invoice=_own_invoice(subscription),
        reference=f"subscription-{subscription.pk}",
        method="staff",
        received_at=now,
        by=by,
        reason=reason,
        now=now,
    )


def _go_on(subscription: Subscription, by: User, reason: str, now: datetime) -> None:
    locked = holding.hold(subscription)
    if locked.status == Status.PAUSED:
        subscriptions.resume(subscription=locked, author=Author(by.pk, reason), now=now)
        return
    endings.uncancel(subscription=locked, author=Author(by.pk, reason), now=now)


def _require_unfinished(subscription: Subscription, now: datetime, done: str) -> None:
    """Live, though its time may be over, or cancelled and still running."""
    if subscription.status not in LIVE and not subscription.is_running_at(now):
        raise SubscriptionStateForbids(
            f"A subscription that is {subscription.status} and does not run cannot be {done}.",
            status=subscription.status,
        )


def _add_ons_that_end_with(subscription: Subscription) -> QuerySet[AddOnSubscription]:
    own = AddOnSubscription.objects.filter(subscription=subscription, status__in=LIVE)
    if subscription.paused_at is None:
        return own.filter(expires_at=subscription.expires_at)
    # One bought during the pause ends as if it had been resumed at that moment.
    since = Greatest("started_at", subscription.paused_at) - subscription.paused_at
    return own.filter(expires_at=subscription.expires_at + since)


def _event(
    name: str, subscription: Subscription, by: User, reason: str, now: datetime, **payload: object
) -> Event:
    return Event(
        name=name,
        user_id=subscription.user_id,
        subject_id=subscription.pk,
        payload={**payload, "by": str(by.pk), "reason": reason},
        created_at=now,
    )
