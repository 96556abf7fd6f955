"""Coupons: redeemed once for a subscription, and what they take off its invoices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Count, F, Q, QuerySet, Value, When
from django.db.models.functions import Upper
from uuid_utils.compat import uuid7

from accounts.models import User
from billing.models import Coupon, CouponRedemption, Invoice, InvoiceLineItem, Subscription
from catalog.money import Money
from config.errors import DomainError

Status = CouponRedemption.Status
STANDING = (Status.HELD, Status.ACTIVE)
PERCENT = Decimal(100)


class CouponNotFound(DomainError):
    code = "coupon_not_found"


class CouponExpired(DomainError):
    code = "coupon_expired"


class CouponUsedUp(DomainError):
    code = "coupon_used_up"


class CouponUsedBefore(DomainError):
    code = "coupon_used_before"


class CouponNotForPlan(DomainError):
    code = "coupon_not_for_plan"


class CouponNotInCurrency(DomainError):
    code = "coupon_not_in_currency"


def find(*, code: str, plan_id: UUID | None, currency: str, now: datetime) -> Coupon:
    """
    Return the coupon of this code, in any case of letters, if it is good for a plan.

    :raises CouponNotFound: if there is none, or it is not active
    :raises CouponExpired: if its time is over
    :raises CouponUsedUp: if it was redeemed as often as it may be
    :raises CouponNotForPlan: if it is bound to other plans, or there is no plan to lessen
    :raises CouponNotInCurrency: if it is of an amount, and has none in this currency
    """
    coupon = Coupon.objects.alias(typed=Upper("code")).filter(typed=code.upper()).first()
    if coupon is None or not coupon.is_active:
        raise CouponNotFound("coupon_code: There is no such coupon.")
    if coupon.valid_until and coupon.valid_until <= now:
        raise CouponExpired(f"coupon_code: {coupon.code} is no longer valid.")
    if coupon.max_redemptions is not None and coupon.redeemed >= coupon.max_redemptions:
        raise _used_up(coupon)
    plans = set(coupon.plans.values_list("pk", flat=True))
    if plan_id is None or (plans and plan_id not in plans):
        raise CouponNotForPlan(f"coupon_code: {coupon.code} is not for this plan.")
    if coupon.kind == Coupon.Kind.AMOUNT and _amount_of(coupon, currency) is None:
        raise CouponNotInCurrency(f"coupon_code: {coupon.code} is not valid in {currency}.")
    return coupon


@transaction.atomic(savepoint=False)
def redeem(
    *,
    code: str,
    user: User,
    subscription: Subscription,
    plan_id: UUID | None,
    currency: str,
    invoice: Invoice | None = None,
    now: datetime,
) -> CouponRedemption:
    """
    Redeem a coupon for a subscription; the caller inserts what is returned.

    The count is moved by a guarded UPDATE, whose lock makes who comes at the same moment wait: of
    eight after the last one, one gets it.

    :param invoice: the checkout's: the redemption is held until that is paid
    :raises DomainError: what ``find`` refuses
    :raises CouponUsedBefore: if the customer has redeemed it as often as one may
    """
    coupon = find(code=code, plan_id=plan_id, currency=currency, now=now)
    free = Q(max_redemptions=None) | Q(redeemed__lt=F("max_redemptions"))
    if not Coupon.objects.filter(free, pk=coupon.pk).update(redeemed=F("redeemed") + 1):
        raise _used_up(coupon)
    own = CouponRedemption.objects.filter(coupon=coupon, user=user).exclude(status=Status.RELEASED)
    if own.count() >= coupon.max_per_customer:
        raise CouponUsedBefore(f"coupon_code: {coupon.code} was used by you before.")
    return CouponRedemption(
        id=uuid7(),
        coupon=coupon,
        user=user,
        subscription=subscription,
        invoice=invoice,
        status=Status.HELD if invoice else Status.ACTIVE,
        name=coupon.name,
        percent=coupon.percent,
        amount=_amount_of(coupon, currency),
        currency=currency,
        periods_left={Coupon.Duration.ONCE: 1, Coupon.Duration.PERIODS: coupon.periods}.get(
            Coupon.Duration(coupon.duration)
        ),
        created_at=now,
    )


def of(*, subscription_id: UUID) -> CouponRedemption | None:
    """What is on a subscription, held or active; None where nothing is."""
    return of_all(subscription_ids=[subscription_id]).get(subscription_id)


def of_all(*, subscription_ids: Sequence[UUID]) -> dict[UUID, CouponRedemption]:
    """``of`` for many, in one statement."""
    standing = CouponRedemption.objects.filter(
        Q(periods_left=None) | Q(periods_left__gt=0),
        subscription__in=subscription_ids,
        status__in=STANDING,
    )
    return {redemption.subscription_id: redemption for redemption in standing}


def of_next(*, subscription_id: UUID, taken_back: Sequence[UUID]) -> CouponRedemption | None:
    """
    What lessens what a subscription is invoiced for next, once these unpaid invoices of its are
    taken back: their periods come back with them (``give_periods_back``).
    """
    standing = of(subscription_id=subscription_id)
    if standing:
        return standing if standing.status == Status.ACTIVE else None
    for invoice in _lessened(invoice_ids=taken_back):
        redemption = on_invoice(invoice=invoice)
        if redemption and redemption.periods_left == 0:
            return redemption
    return None


def last_lessened(*, item_ids: Sequence[UUID], user_id: UUID) -> dict[UUID, Invoice]:
    """
    The newest paid invoice on which a coupon has lessened a subscription, or an add-on, of a
    customer's, by its id; those that never were are not there.
    """
    lines = InvoiceLineItem.objects.filter(
        user=user_id,
        type=InvoiceLineItem.Type.DISCOUNT,
        item_id__in=item_ids,
        invoice__status__in=(Invoice.Status.PAID, Invoice.Status.REFUNDED),
    )
    newest = lines.select_related("invoice").order_by("item_id", "-invoice_id")
    return {line.item_id: line.invoice for line in newest.distinct("item_id")}


def on_invoice(*, invoice: Invoice) -> CouponRedemption | None:
    """
    What the discounts of an invoice are of, used up or taken off since or not: one at a time, so
    the newest that was there.
    """
    there = CouponRedemption.objects.filter(
        Q(invoice=invoice) | Q(pk__lt=invoice.pk), subscription=invoice.subscription_id
    )
    return there.exclude(status=Status.RELEASED).order_by("-pk").first()


def discounts(*, redemption: CouponRedemption, amounts: Sequence[Money]) -> list[Money]:
    """
    Return what is taken off each of these amounts, none of which is negative.

    A percentage is rounded once, of their sum; either kind is spread over them in proportion, what
    is left over by that going to the largest remainders: so the sum is exact, and no amount is
    lessened by more than itself.
    """
    total = Money.sum(amounts, redemption.currency)
    if redemption.percent is not None:
        off = Money.rounded(total.amount * redemption.percent / PERCENT, redemption.currency)
    else:
        assert redemption.amount is not None  # noqa: S101 - a named constraint holds it
        off = Money(min(redemption.amount, total.amount), redemption.currency)
    return off.spread(amounts)


def terms_of(redemption: CouponRedemption) -> dict[str, Any]:
    """
    For an event: how much less, and for how many of the periods to come; None means all of them.
    """
    return {
        "percent": None if redemption.percent is None else str(redemption.percent),
        "amount": None if redemption.amount is None else str(redemption.amount),
        "periods": redemption.periods_left,
    }


def use_period(redemption: CouponRedemption) -> None:
    """One period less, in memory. Held until its checkout is paid, it stays so."""
    if redemption.periods_left is None:
        return
    redemption.periods_left -= 1
    if not redemption.periods_left and redemption.status == Status.ACTIVE:
        redemption.status = Status.USED_UP


def use_next(*, subscription_id: UUID) -> None:
    """A period less of what is on a subscription. The caller holds it."""
    redemption = CouponRedemption.objects.get(subscription=subscription_id, status=Status.ACTIVE)
    use_period(redemption)
    redemption.save(update_fields=["periods_left", "status"])


def activate(*, invoice: Invoice) -> None:
    """Its checkout is paid: what was held lessens what follows, if a period of it is left."""
    held = CouponRedemption.objects.filter(invoice=invoice, status=Status.HELD)
    held.update(
        status=Case(When(periods_left=0, then=Value(Status.USED_UP)), default=Value(Status.ACTIVE))
    )


def release(*, invoice_ids: Sequence[UUID]) -> None:
    """The checkouts are given up: what was redeemed there counts no more."""
    held = CouponRedemption.objects.filter(invoice__in=invoice_ids, status=Status.HELD)
    for coupon_id, count in (
        held.values_list("coupon").annotate(count=Count("pk")).order_by("coupon")
    ):
        Coupon.objects.filter(pk=coupon_id).update(redeemed=F("redeemed") - count)
    held.update(status=Status.RELEASED)


def give_periods_back(*, invoice_ids: Sequence[UUID]) -> None:
    """
    Renewals and changes that were lessened are cancelled: the period was not used.

    The caller holds their subscriptions.
    """
    for invoice in _lessened(invoice_ids=invoice_ids):
        redemption = on_invoice(invoice=invoice)
        if redemption is None or redemption.periods_left is None:
            continue
        standing = CouponRedemption.objects.filter(
            subscription=invoice.subscription_id, status__in=STANDING
        )
        if standing.exclude(pk=redemption.pk).exists():
            continue  # one at a time: another one is on it by now
        if redemption.periods_left == 0:  # else it goes on, or was taken off
            redemption.status = Status.ACTIVE
        redemption.periods_left += 1
        redemption.save(update_fields=["periods_left", "status"])


def _lessened(*, invoice_ids: Sequence[UUID]) -> QuerySet[Invoice]:
    """Those of them that used a period: not checkouts, whose coupon is held until they are paid."""
    return Invoice.objects.filter(
        pk__in=invoice_ids,
        reason__in=(Invoice.Reason.RENEWAL, Invoice.Reason.CHANGE),
        line_items__type=InvoiceLineItem.Type.DISCOUNT,
    ).distinct()


def _amount_of(coupon: Coupon, currency: str) -> Decimal | None:
    if coupon.kind != Coupon.Kind.AMOUNT:
        return None
    return coupon.amounts.filter(currency=currency).values_list("amount", flat=True).first()


def _used_up(coupon: Coupon) -> CouponUsedUp:
    return CouponUsedUp(f"coupon_code: {coupon.code} has been used up.")
