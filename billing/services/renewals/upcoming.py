"""What the next runs of the billing will invoice, as it stands now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from billing.models import AddOnSubscription, Subscription
from billing.services import coupons
from billing.services.issuing import Bill, Draft
from billing.services.renewals import invoicing
from billing.services.renewals.whose import is_run
from catalog.money import Money


@dataclass(frozen=True, slots=True)
class Upcoming:
    """
    One invoice to come.

    :param due_at: when its period begins
    :param total: as it would be now, before what is on the customer's account
    """

    subscription: Subscription
    due_at: datetime
    items: tuple[str, ...]
    total: Money


def due(*, now: datetime, days: int, user_id: UUID | None = None) -> QuerySet[Subscription]:
    """
    Those of which something comes to its end within so many days, or has already.

    :param user_id: of a customer whose clock is turned; None: of everybody else
    """
    until = now + timedelta(days=days)
    add_ons = AddOnSubscription.objects.filter(
        Q(subscription__expires_at=None) | Q(paid_until__lt=F("subscription__expires_at")),
        subscription=OuterRef("pk"),
        status__in=invoicing.RENEWING,
        paid_until__lte=until,
    )
    renewable = invoicing.renewable().filter(is_run(user_id))
    return renewable.filter(Q(expires_at__lte=until) | Exists(add_ons))


def of(subscriptions: Sequence[Subscription], *, now: datetime) -> list[Upcoming]:
    """
    The next invoice of each, by the function that will write it. Two statements for all of them.

    :param subscriptions: with ``pending_plan`` and ``pending_price`` at hand
    """
    bills = invoicing.bills(subscriptions, now=now)
    redemptions = coupons.of_all(subscription_ids=[row.pk for row in subscriptions])
    for bill in bills:
        if redemption := redemptions.get(bill.subscription.pk):
            invoicing.lessen(bill, redemption)
    return [_of(bill) for bill in bills]


def _item(draft: Draft) -> str:
    many = draft.quantity > 1
    return f"{draft.description} × {draft.quantity}" if many else draft.description


def _of(bill: Bill) -> Upcoming:
    assert bill.period_start  # noqa: S101 - it is a renewal
    currency = bill.subscription.currency
    return Upcoming(
        subscription=bill.subscription,
        due_at=bill.period_start,
        # A coupon has a line for each item that it lessens: here it is named once.
        items=tuple(dict.fromkeys(_item(draft) for draft in bill.drafts)),
        total=Money.sum((draft.amount for draft in bill.drafts), currency),
    )
