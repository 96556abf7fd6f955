"""What staff change of a customer's subscription: plan, seats and coupon."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from accounts.models import User
from billing.models import AddOnSubscription, CouponRedemption, Subscription
from billing.services import changed, changes, coupon_steps, holding, renewed
from billing.services.change_quotes import NothingToChange
from billing.services.changes import Requested
from billing.services.invoices import require_reason
from billing.services.subscriptions import Author
from catalog.models import Plan
from config import history


def change(
    *,
    subscription: Subscription,
    plan: Plan | None = None,
    quantity: int | None = None,
    add_on: AddOnSubscription | None = None,
    by: User,
    reason: str,
    now: datetime,
) -> Requested:
    """
    Change now, as the customer would: where something is to be paid, once that is.

    :raises ReasonMissing: without a reason
    :raises DomainError: what ``changes.request`` refuses
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        return changes.request(
            subscription=subscription,
            plan=plan,
            quantity=quantity,
            add_on=add_on,
            author=Author(by.pk, reason),
            now=now,
        )


def change_at_period_end(
    *,
    subscription: Subscription,
    plan: Plan | None = None,
    quantity: int | None = None,
    by: User,
    reason: str,
    now: datetime,
) -> Subscription:
    """
    Change with the next renewal, at the price of today.

    :raises NothingToChange: if neither plan nor seats are named
    :raises ReasonMissing: without a reason
    :raises DomainError: what ``changes.at_period_end`` refuses
    """
    require_reason(reason)
    if plan is None and quantity is None:
        raise NothingToChange("Say what to: another plan, or another number of seats.")
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        return changes.at_period_end(
            subscription=subscription,
            plan=plan,
            quantity=quantity,
            author=Author(by.pk, reason),
            now=now,
        )


def withdraw(*, subscription: Subscription, by: User, reason: str, now: datetime) -> Subscription:
    """
    Take back what was asked for and has not happened yet, as the customer can.

    :raises NothingToChange: if nothing waits
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        if not is_waiting(holding.hold(subscription)):
            raise NothingToChange("There is no change that waits.")
        return changes.withdraw_pending(
            subscription=subscription, author=Author(by.pk, reason), now=now
        )


def is_waiting(subscription: Subscription) -> bool:
    """
    Whether something is to change, once it is paid or at the period's end.

    What an unpaid subscription goes back to, once it is paid after all, is no wish of anybody.
    """
    wished = (subscription.pending_plan_id, subscription.pending_quantity) != (None, None)
    is_wish = wished and subscription.cancel_reason != renewed.UNPAID
    return is_wish or bool(changed.waiting(subscription))


def put_coupon_on(
    *, subscription: Subscription, code: str, by: User, reason: str, now: datetime
) -> CouponRedemption:
    """
    Let a coupon lessen what follows.

    :raises ReasonMissing: without a reason
    :raises DomainError: what ``coupon_steps.put_on`` refuses
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        return coupon_steps.put_on(
            subscription=subscription, code=code, author=Author(by.pk, reason), now=now
        )


def take_coupon_off(
    *, subscription: Subscription, by: User, reason: str, now: datetime
) -> CouponRedemption:
    """
    Let it lessen nothing more.

    :raises ReasonMissing: without a reason
    :raises NoCoupon: if there is none on it
    """
    require_reason(reason)
    with transaction.atomic(), history.noted(by=by.pk, reason=reason):
        return coupon_steps.take_off(
            subscription=subscription, author=Author(by.pk, reason), now=now
        )
