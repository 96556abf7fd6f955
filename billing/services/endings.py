"""Ending a subscription at once, and taking a cancellation back: by the customer, or by staff."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from billing.models import AddOnSubscription, Event, Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import (
    activation,
    changed,
    customer_credit,
    events,
    holding,
    notices,
    proration,
    renewed,
    subscriptions,
)
from billing.services.subscriptions import BY_CUSTOMER, BY_STAFF, Author, SubscriptionStateForbids
from catalog.money import Money
from config.errors import DomainError

Status = SubscriptionStatus


class SubscriptionIsLive(DomainError):
    code = "subscription_is_live"
    http_status = 409


class CreditOnlyAtOnce(DomainError):
    code = "credit_only_at_once"


def cancel(
    *,
    subscription: Subscription,
    at_once: bool = False,
    with_credit: bool = False,
    author: Author | None = None,
    now: datetime,
) -> Subscription:
    """
    Cancel, at the end of what is paid for or at once; what was never paid is given up either way.

    :param with_credit: at once, the rest of what was paid goes to the customer's credit account
    :param author: who of staff does it; None is the customer
    :raises CreditOnlyAtOnce: if there is to be credit for what runs on
    :raises SubscriptionStateForbids: if it has ended, or is cancelled already and not ``at_once``
    """
    if with_credit and not at_once:
        raise CreditOnlyAtOnce("credit: what is paid for runs on: only at once is there a rest.")
    if at_once and subscription.status != Status.PENDING:
        return end(subscription=subscription, with_credit=with_credit, author=author, now=now)
    return subscriptions.cancel(subscription=subscription, author=author, now=now)


@transaction.atomic
def end(
    *,
    subscription: Subscription,
    with_credit: bool = False,
    author: Author | None = None,
    now: datetime,
) -> Subscription:
    """
    End it at once, with its add-ons, though it is paid for longer.

    :param with_credit: the rest of what was paid goes to the customer's credit account
    :param author: who of staff does it; None is the customer
    :raises SubscriptionStateForbids: if it was never paid, or is over
    """
    locked = holding.hold(subscription)
    if locked.status not in LIVE and not locked.is_running_at(now):
        raise SubscriptionStateForbids(
            f"A subscription that is {locked.status} and does not run cannot be ended.",
            status=locked.status,
        )
    now = subscriptions.not_before_what_stands(locked, now)
    renewed.withdraw_open(subscription=locked, now=now)
    changed.withdraw_waiting(subscription=locked, now=now)
    credit = _give_back(locked, now) if with_credit else Money.zero(locked.currency)
    reason = BY_STAFF if author else BY_CUSTOMER
    activation.end_subscriptions(subscription_ids=[locked.pk], reason=reason, now=now)
    told: dict[str, object] = {"reason": reason, "at_once": True, "with_credit": with_credit}
    if author:
        told |= author.as_json()
    if credit.amount:
        told |= {"credit": str(credit), "currency": credit.currency}
    events.record(_event("subscription.cancelled", locked, now, told))
    locked.refresh_from_db()
    notices.cancelled(subscription=locked, now=now)
    return locked


@transaction.atomic
def uncancel(
    *, subscription: Subscription, author: Author | None = None, now: datetime
) -> Subscription:
    """
    Take a cancellation back, as long as it still runs: it will be renewed again.

    :param author: who of staff does it; None is the customer, who takes back only their own
    :raises SubscriptionStateForbids: if it is not cancelled, or is over, or staff cancelled it
    :raises SubscriptionIsLive: if another one is live by now
    """
    locked = holding.hold(subscription)
    if locked.status != Status.CANCELLED or not locked.is_running_at(now):
        raise SubscriptionStateForbids(
            f"A subscription that is {locked.status} cannot be activated.", status=locked.status
        )
    if author is None and locked.cancel_reason != BY_CUSTOMER:
        raise SubscriptionStateForbids(
            "You did not cancel the subscription yourself: please ask us.", status=locked.status
        )
    if Subscription.objects.live().filter(user_id=locked.user_id).exists():
        raise SubscriptionIsLive("The customer has another live subscription by now.")
    is_on_trial = locked.trial_ends_at is not None and locked.trial_ends_at > now
    locked.status = Status.TRIALING if is_on_trial else Status.ACTIVE
    locked.cancelled_at = None
    locked.cancel_reason = ""
    locked.save(update_fields=["status", "cancelled_at", "cancel_reason"])
    told: dict[str, object] = {}
    if author:
        told = {"by": str(author.by), "reason": author.note}
    events.record(_event("subscription.uncancelled", locked, now, told))
    return locked


def _give_back(subscription: Subscription, now: datetime) -> Money:
    """
    Of each what its own rest is worth: of what is paused, when its clock stopped. An add-on that
    was cancelled for its end is worth something until then, also where the subscription's period is
    over and nobody has billed since: what was paid for does not depend on when that is done.
    """
    stopped_at = subscription.paused_at or now
    total = Money.zero(subscription.currency)
    of_it = AddOnSubscription.objects.filter(subscription=subscription)
    paid_on = Q(status=Status.CANCELLED, expires_at__gt=F("cancelled_at"), paid_until__gt=now)
    add_ons = of_it.filter(Q(status__in=LIVE) | paid_on)
    for item in (subscription, *add_ons.order_by("pk")):
        worth = proration.worth(item, at=now if item.status == Status.CANCELLED else stopped_at)
        customer_credit.add(
            user_id=subscription.user_id,
            money=worth,
            kind=customer_credit.Type.CANCELLATION,
            reference=item.pk,
            now=now,
        )
        total += worth
    return total


def _event(
    name: str, subscription: Subscription, now: datetime, payload: dict[str, object]
) -> Event:
    return Event(
        name=name,
        user_id=subscription.user_id,
        subject_id=subscription.pk,
        payload=payload,
        created_at=now,
    )
