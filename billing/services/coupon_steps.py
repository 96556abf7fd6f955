"""A coupon on a subscription that runs: put on, taken off."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from billing.models import CouponRedemption, Event, Subscription
from billing.models.subscription import LIVE
from billing.services import coupons, events, holding
from billing.services.subscriptions import Author, SubscriptionStateForbids
from config.errors import DomainError

Status = CouponRedemption.Status


class CouponOnSubscription(DomainError):
    code = "coupon_already_on_subscription"
    http_status = 409


class NoCoupon(DomainError):
    code = "no_coupon"


@transaction.atomic
def put_on(
    *, subscription: Subscription, code: str, author: Author | None = None, now: datetime
) -> CouponRedemption:
    """
    Put a coupon on a subscription that runs: it lessens the next renewal, and so on.

    :param author: who of staff does it; None is the customer
    :raises SubscriptionStateForbids: if it is not live
    :raises CouponOnSubscription: if there is one on it
    :raises DomainError: what ``coupons.redeem`` refuses
    """
    locked = holding.hold(subscription)
    if locked.status not in LIVE:
        raise SubscriptionStateForbids(
            f"A subscription that is {locked.status} takes no coupon.", status=locked.status
        )
    if coupons.of(subscription_id=locked.pk):
        raise CouponOnSubscription("There is a coupon on this subscription.")
    redemption = coupons.redeem(
        code=code,
        user=locked.user,
        subscription=locked,
        plan_id=locked.pending_plan_id or locked.plan_id,
        currency=locked.currency,
        now=now,
    )
    redemption.save(force_insert=True)
    terms = coupons.terms_of(redemption)
    events.record(_event("coupon.redeemed", redemption, author, now, **terms))
    return redemption


@transaction.atomic
def take_off(
    *, subscription: Subscription, author: Author | None = None, now: datetime
) -> CouponRedemption:
    """
    Let a coupon lessen nothing more. It has been redeemed all the same.

    :raises NoCoupon: if there is none on it
    """
    locked = holding.hold(subscription)
    redemption = CouponRedemption.objects.filter(subscription=locked, status=Status.ACTIVE).first()
    if redemption is None:
        raise NoCoupon("There is no coupon on this subscription.")
    redemption.status = Status.USED_UP
    redemption.save(update_fields=["status"])
    events.record(_event("coupon.taken_off", redemption, author, now))
    return redemption


def _event(
    name: str,
    redemption: CouponRedemption,
    author: Author | None,
    now: datetime,
    **told: object,
) -> Event:
    return Event(
        name=name,
        user_id=redemption.user_id,
        subject_id=redemption.subscription_id,
        payload={
            "coupon": redemption.coupon.code,
            "redemption_id": str(redemption.pk),
            **told,
            **(author.as_json() if author else {}),
        },
        created_at=now,
    )
