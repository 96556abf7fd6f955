"""The invoice of the next period: plan and add-ons, at the prices the subscriber holds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from billing.models import (
    AddOnSubscription,
    CouponRedemption,
    Event,
    Invoice,
    InvoiceLineItem,
    Subscription,
    SubscriptionChange,
)
from billing.models.subscription import SubscriptionStatus
from billing.services import activation, coupons, events, issuing, periods, terms
from billing.services.issuing import Bill, Draft
from billing.services.renewals.whose import is_run
from catalog.money import Money
from config.connections import is_away
from config.errors import DomainError

logger = logging.getLogger(__name__)

Status = SubscriptionStatus
Line = InvoiceLineItem.Type
RENEWING = (Status.TRIALING, Status.ACTIVE)
OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)
REASON_LENGTH = 255


@dataclass(slots=True)
class Renewed:
    """
    What one batch did.

    :param overtaken: claimed, and found to be done by another run meanwhile: there may be more
    """

    invoiced: int = 0
    parked: int = 0
    overtaken: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.invoiced or self.parked or self.overtaken)


def invoice_due(*, now: datetime, limit: int, user_id: UUID | None = None) -> Renewed:
    """
    Write the next invoice of up to ``limit`` subscriptions that come to the end of what is paid.

    Each is claimed without waiting: what somebody else holds is left for the next round. All of a
    batch are one transaction; where one of them fails, each is tried alone, and the bad one is
    parked with its reason.
    """
    for due in (_by_end(now), _by_add_on(now)):
        done = _invoice_some(due.filter(is_run(user_id)), now, limit)
        if not done.is_empty:
            return done
    return Renewed()


def unpark(*, subscription: Subscription) -> None:
    """Let the next run try it again. The caller notes who wants it, and why."""
    Subscription.objects.filter(pk=subscription.pk).update(parked_at=None, parked_reason="")


def _by_end(now: datetime) -> QuerySet[Subscription]:
    is_over = Q(expires_at__lte=now)
    due = renewable().filter(is_over | ~_is_changing("pk"), expires_at__lte=_horizon(now))
    return due.order_by("expires_at", "pk")


def _by_add_on(now: datetime) -> QuerySet[Subscription]:
    """Those of which only an add-on is due: it has a period of its own."""
    before = Q(subscription__expires_at=None) | Q(paid_until__lt=F("subscription__expires_at"))
    is_over = Q(paid_until__lte=now)
    due = AddOnSubscription.objects.filter(
        before,
        is_over | ~_is_changing("subscription"),
        status__in=RENEWING,
        paid_until__lte=_horizon(now),
    )
    return renewable().filter(pk__in=due.values("subscription")).order_by("pk")


def _is_changing(subscription: str) -> Exists:
    """What waits to be paid may make another plan of it: it is not invoiced ahead meanwhile."""
    waiting = SubscriptionChange.Status.PENDING
    return Exists(
        SubscriptionChange.objects.filter(subscription=OuterRef(subscription), status=waiting)
    )


def renewable() -> QuerySet[Subscription]:
    """Whoever owes for a renewal gets no further one."""
    unpaid = Invoice.objects.filter(
        subscription=OuterRef("pk"), reason=Invoice.Reason.RENEWAL, status__in=OPEN
    )
    return Subscription.objects.filter(~Exists(unpaid), status__in=RENEWING, parked_at=None)


def _horizon(now: datetime) -> datetime:
    return now + timedelta(days=settings.BILLING_INVOICE_DAYS_BEFORE)


def _invoice_some(due: QuerySet[Subscription], now: datetime, limit: int) -> Renewed:
    claimed: list[UUID] = []
    try:
        with transaction.atomic():
            claimed = _claim(due, limit)
            if not claimed:
                return Renewed()
            return _invoice_claimed(due, claimed, now)
    except Exception as failure:
        if is_away(failure):
            raise  # nothing is wrong with any of them
        # Whatever it is, the others must go on.
        if len(claimed) <= 1:
            return _park(claimed, failure, now)
    # One of them is bad: which one?
    done = Renewed()
    for pk in claimed:
        alone = _invoice_some(due.filter(pk=pk), now, 1)
        done.invoiced += alone.invoiced
        done.parked += alone.parked
    return done


def _claim(due: QuerySet[Subscription], limit: int) -> list[UUID]:
    locked = due.select_for_update(skip_locked=True, no_key=True, of=("self", "user"))
    return [row.pk for row in locked.select_related("user")[:limit]]


def _invoice_claimed(
    due: QuerySet[Subscription], claimed: Sequence[UUID], now: datetime
) -> Renewed:
    """
    Read them again: what another run had done between the look and the lock is seen only now.
    """
    rows = due.filter(pk__in=claimed).select_related(
        "user__billing_details", "pending_plan", "pending_price"
    )
    still_due = list(rows)
    due_now = bills(still_due, now=now)
    redemptions = coupons.of_all(subscription_ids=claimed)
    for bill in due_now:
        redemption = redemptions.get(bill.subscription.pk)
        if redemption and lessen(bill, redemption):
            coupons.use_period(redemption)
            redemption.save(update_fields=["periods_left", "status"])
    invoices = issuing.issue_all(bills=due_now, now=now)
    events.record(*(_issued(invoice, now) for invoice in invoices))
    for invoice in invoices:
        if invoice.total_amount == 0:
            activation.settle_free(invoice=invoice, now=now)
    return Renewed(invoiced=len(invoices), overtaken=len(claimed) - len(still_due))


def bills(subscriptions: Sequence[Subscription], *, now: datetime) -> list[Bill]:
    """The next bill of each, without its coupon. One statement for all of them."""
    add_ons = _add_ons_of(subscriptions)
    return [_bill(each, add_ons.get(each.pk, []), now) for each in subscriptions]


def lessen(bill: Bill, redemption: CouponRedemption) -> bool:
    """
    Take off plan and add-ons what the coupon does, a line for each of them.

    :return: whether it was good for anything
    """
    lessened = [
        draft
        for draft in bill.drafts
        if draft.type in (Line.SUBSCRIPTION, Line.ADD_ON) and draft.amount.amount
    ]
    if not lessened or redemption.status != CouponRedemption.Status.ACTIVE:
        return False
    amounts = [draft.amount for draft in lessened]
    zero = Money.zero(redemption.currency)
    for draft, off in zip(
        lessened, coupons.discounts(redemption=redemption, amounts=amounts), strict=True
    ):
        if off.amount:
            bill.drafts.append(Draft(Line.DISCOUNT, draft.item_id, redemption.name, zero - off))
    return True


def _add_ons_of(subscriptions: Sequence[Subscription]) -> dict[UUID, list[AddOnSubscription]]:
    found: dict[UUID, list[AddOnSubscription]] = {}
    add_ons = AddOnSubscription.objects.filter(
        subscription__in=subscriptions, status__in=RENEWING, paid_until__isnull=False
    )
    for add_on in add_ons.order_by("created_at", "pk"):
        found.setdefault(add_on.subscription_id, []).append(add_on)
    return found


def _bill(subscription: Subscription, add_ons: Sequence[AddOnSubscription], now: datetime) -> Bill:
    """Everything of it that is paid to the same moment is on one invoice."""
    ends = [subscription.expires_at, *(add_on.paid_until for add_on in add_ons)]
    begins = min(end for end in ends if end is not None)
    drafts: list[Draft] = []
    with_plan: tuple[str, datetime | None] | None = None
    if subscription.expires_at == begins:
        plan = subscription.pending_plan or subscription
        own_end = _end_of_plan(subscription, begins)
        drafts.append(_plan_draft(subscription, (begins, own_end)))
        with_plan = plan.billing_period, own_end
    for add_on in add_ons:
        if add_on.paid_until != begins:
            continue
        if with_plan and with_plan[0] == add_on.billing_period:
            end = with_plan[1]
        else:
            end = terms.next_end(add_on, after=begins)
        drafts.append(_add_on_draft(add_on, (begins, end)))
    if with_plan and subscription.setup_fee:
        drafts.append(_fee_draft(subscription))
    return Bill(
        subscription=subscription,
        reason=Invoice.Reason.RENEWAL,
        drafts=drafts,
        plan_id=subscription.pending_plan_id,
        period_start=begins,
        next_attempt_at=max(begins, now),
        expires_at=now + timedelta(days=settings.BILLING_CHECKOUT_DAYS),
    )


def _end_of_plan(subscription: Subscription, begins: datetime) -> datetime | None:
    plan = subscription.pending_plan
    if plan and plan.billing_period != subscription.billing_period:
        return periods.end(anchor=begins, billing_period=plan.billing_period)
    return terms.next_end(subscription, after=begins)


def _plan_draft(subscription: Subscription, period: tuple[datetime, datetime | None]) -> Draft:
    plan, price = subscription.pending_plan, subscription.pending_price
    return Draft(
        type=Line.SUBSCRIPTION,
        item_id=subscription.pk,
        description=plan.name if plan else subscription.name,
        unit_price=Money(price.amount if price else subscription.amount, subscription.currency),
        quantity=subscription.pending_quantity or subscription.quantity,
        period=period,
    )


def _add_on_draft(add_on: AddOnSubscription, period: tuple[datetime, datetime | None]) -> Draft:
    return Draft(
        type=Line.ADD_ON,
        item_id=add_on.pk,
        description=add_on.name,
        unit_price=Money(add_on.amount, add_on.currency),
        quantity=add_on.quantity,
        period=period,
    )


def _fee_draft(subscription: Subscription) -> Draft:
    return Draft(
        type=Line.SETUP_FEE,
        item_id=subscription.pk,
        description=f"Setup of {subscription.name}",
        unit_price=Money(subscription.setup_fee, subscription.currency),
    )


def _issued(invoice: Invoice, now: datetime) -> Event:
    assert invoice.period_start  # noqa: S101 - it is a renewal
    return Event(
        name="invoice.issued",
        user_id=invoice.user_id,
        subject_id=invoice.pk,
        payload={
            "number": invoice.number,
            "reason": invoice.reason,
            "subscription_id": str(invoice.subscription_id),
            "period_start": invoice.period_start.isoformat(),
            "total_amount": str(invoice.total),
            "currency": invoice.currency,
        },
        created_at=now,
    )


def _park(claimed: Sequence[UUID], failure: Exception, now: datetime) -> Renewed:
    """Leave it alone until a person has mended it; the others go on."""
    if not claimed:
        raise failure
    if isinstance(failure, DomainError):
        reason = f"{failure.code}: {failure.message}"
        logger.warning("The renewal of %s is parked: %s", claimed[0], reason)
    else:
        reason = f"unexpected: {type(failure).__name__}"
        logger.error("The renewal of %s is parked.", claimed[0], exc_info=failure)
    with transaction.atomic():
        subscription = Subscription.objects.lock(claimed[0])
        subscription.parked_at = now
        subscription.parked_reason = reason[:REASON_LENGTH]
        subscription.save(update_fields=["parked_at", "parked_reason"])
        events.record(
            Event(
                name="subscription.parked",
                user_id=subscription.user_id,
                subject_id=subscription.pk,
                payload={"reason": subscription.parked_reason},
                created_at=now,
            )
        )
    return Renewed(parked=1)
