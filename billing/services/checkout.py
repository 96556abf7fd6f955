"""The checkout: one call makes everything that was chosen, pending, and the invoice for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Model
from psycopg2.errors import ForeignKeyViolation

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    CouponRedemption,
    Event,
    Invoice,
    InvoiceLineItem,
    Subscription,
    TokenBundlePurchase,
)
from billing.services import (
    activation,
    buyers,
    checkout_lines,
    coupons,
    events,
    idempotency,
    numbers,
    selection,
    trials,
)
from billing.services.offers import Offer
from billing.services.selection import Order, Selection
from catalog.models import Plan
from catalog.money import Money
from config import rows
from config.errors import DomainError
from config.locking import retried

logger = logging.getLogger(__name__)

ITEM_IS_GONE = "An item was taken out of the catalogue meanwhile."


class ItemWithdrawn(DomainError):
    code = "item_withdrawn"
    http_status = 409


@dataclass(slots=True)
class Checkout:
    """What one checkout made. ``subscription`` is None where no plan was chosen."""

    invoice: Invoice
    subscription: Subscription | None = None
    purchases: list[TokenBundlePurchase] = field(default_factory=list)
    add_ons: list[AddOnSubscription] = field(default_factory=list)
    lines: list[InvoiceLineItem] = field(default_factory=list)
    redemption: CouponRedemption | None = None
    # As it was redeemed: the lines of the checkout itself use a period of it.
    coupon_terms: dict[str, Any] = field(default_factory=dict)

    @property
    def items(self) -> list[Model]:
        """What the lines pay for."""
        subscription = [self.subscription] if self.subscription else []
        return [*subscription, *self.purchases, *self.add_ons]

    @property
    def is_paid(self) -> bool:
        return self.invoice.status == Invoice.Status.PAID


def is_of_missing_item(failure: Exception) -> bool:
    """Foreign keys are checked at the commit: staff may delete an unsold item until then."""
    return isinstance(failure, IntegrityError) and isinstance(
        failure.__cause__, ForeignKeyViolation
    )


def place(
    *,
    user: User,
    order: Order,
    answer: Callable[[Checkout], idempotency.Answer],
    key: idempotency.Key | None = None,
    now: datetime,
) -> idempotency.Answer:
    """
    Check out, or give the first answer again where the key was used before.

    All or nothing: on a refusal no row is left but the ``checkout.failed`` event, and the key is
    free again.

    :param answer: what to tell the client, in the bytes that a repeat gets too; called inside the
        transaction, because they are kept with what they tell of
    """
    try:
        return _place(user, order, answer, key, now)
    except Exception as failure:
        if key and idempotency.is_conflict(failure):
            return _first_answer(key)
        if is_of_missing_item(failure):
            failure = ItemWithdrawn(ITEM_IS_GONE)
        if not isinstance(failure, idempotency.IdempotencyRefusal):
            _record_failure(failure, user=user, order=order, now=now)
        raise failure


@retried
@transaction.atomic
def _place(
    user: User,
    order: Order,
    answer: Callable[[Checkout], idempotency.Answer],
    key: idempotency.Key | None,
    now: datetime,
) -> idempotency.Answer:
    answers: list[idempotency.Answer] = []

    def kept(made: Checkout) -> list[Model]:
        answers.append(answer(made))
        return [idempotency.record(key=key, answer=answers[0], now=now)] if key else []

    if key and (before := idempotency.claim(key=key)):
        return before
    create(user=user, order=order, beside=kept, now=now)
    return answers[0]


@transaction.atomic(savepoint=False)
def create(
    *,
    user: User,
    order: Order,
    beside: Callable[[Checkout], Sequence[Model]] | None = None,
    now: datetime,
) -> Checkout:
    """
    Make subscription, purchases, add-on subscriptions, invoice and lines, all pending.

    However many there are, they are one statement. They are written before the invoice, whose own
    trigger compares its subtotal with the sum of its lines, and the number is taken as late as can
    be: its series is held to the commit. A total of zero is paid at once.

    :param beside: what else to write when all is known that there is to tell, called last
    :raises DomainError: what ``selection.read`` refuses
    """
    chosen = selection.read(user=user, order=order, now=now)
    is_held = bool(chosen.trial or chosen.has_credit or order.coupon_code is not None)
    if is_held:
        User.objects.lock(user.pk)  # before coupon, credit and series: see docs/locking.md
        chosen = _with_trial_still_to_be_had(user, chosen)
    checkout = Checkout(invoice=_invoice(user=user, chosen=chosen, now=now))
    _add_subscription(checkout, chosen, now)
    _add_purchases(checkout, chosen, now)
    _add_add_ons(checkout, chosen, now)
    if order.coupon_code is not None:
        _redeem(checkout, order.coupon_code, user, now)
    _add_lines(checkout, chosen, now)
    happened = _events(checkout, chosen, order, now)
    redeemed = [checkout.redemption] if checkout.redemption else []
    rows.insert(*checkout.items, *checkout.lines, *redeemed, *happened)
    events.announce(*happened)
    is_free = checkout.invoice.total_amount == 0
    if is_free and not is_held:
        User.objects.lock(user.pk)
    checkout.invoice.number = numbers.take(now=now)
    if is_free:
        rows.insert(checkout.invoice)
        activation.settle_free(invoice=checkout.invoice, now=now)
        _reload(checkout)
    told = beside(checkout) if beside else ()
    rows.insert(*([] if is_free else [checkout.invoice]), *told)
    return checkout


def _with_trial_still_to_be_had(user: User, chosen: Selection) -> Selection:
    """Of two checkouts at once the second sees here, behind the lock, what the first has begun."""
    if chosen.trial and chosen.plan and trials.was_had(user_id=user.pk, plan_id=chosen.plan.id):
        return chosen.without_trial()
    return chosen


def _invoice(*, user: User, chosen: Selection, now: datetime) -> Invoice:
    """Without its amounts: they are the sum of the lines."""
    return Invoice(
        user=user,
        plan_id=chosen.plan.id if chosen.plan else None,
        subscription=chosen.live_subscription,
        buyer=buyers.snapshot(user=user),
        currency=chosen.currency,
        tax_amount=Money.zero(chosen.currency).amount,
        invoiced_at=now,
        expires_at=now + timedelta(days=settings.BILLING_CHECKOUT_DAYS),
    )


def _add_subscription(checkout: Checkout, chosen: Selection, now: datetime) -> None:
    if chosen.plan is None:
        return
    checkout.subscription = Subscription(
        # What an answer shows of the plan is known: it need not be read again.
        plan=Plan(id=chosen.plan.id, name=chosen.plan.name, slug=chosen.plan.slug),
        billing_period=chosen.plan.billing_period,
        quantity=chosen.quantity_of(chosen.plan),
        setup_fee=checkout_lines.fees_to_come(chosen).amount,
        trial_days=chosen.trial.days if chosen.trial else 0,
        is_trial_paid=bool(chosen.trial and chosen.trial.is_paid),
        **_as_sold(checkout, chosen.plan, now),
    )
    checkout.invoice.subscription = checkout.subscription


def _add_purchases(checkout: Checkout, chosen: Selection, now: datetime) -> None:
    checkout.purchases = [
        TokenBundlePurchase(
            bundle_id=offer.id,
            invoice=checkout.invoice,
            token_amount=offer.token_amount,
            **_as_sold(checkout, offer, now),
        )
        for offer in chosen.bundles
    ]


def _add_add_ons(checkout: Checkout, chosen: Selection, now: datetime) -> None:
    checkout.add_ons = [
        AddOnSubscription(
            add_on_id=offer.id,
            invoice=checkout.invoice,
            subscription=checkout.invoice.subscription,
            billing_period=offer.billing_period,
            quantity=chosen.quantity_of(offer),
            **_as_sold(checkout, offer, now),
        )
        for offer in chosen.add_ons
    ]


def _redeem(checkout: Checkout, code: str, user: User, now: datetime) -> None:
    """It is for the plan that is bought: what joins a subscription takes that one's."""
    subscription, plan_id = checkout.subscription, checkout.invoice.plan_id
    if subscription is None:
        raise coupons.CouponNotForPlan("coupon_code: A coupon is for a plan, and none is chosen.")
    checkout.redemption = coupons.redeem(
        code=code,
        user=user,
        subscription=subscription,
        plan_id=plan_id,
        currency=checkout.invoice.currency,
        invoice=checkout.invoice,
        now=now,
    )
    checkout.coupon_terms = coupons.terms_of(checkout.redemption)


def _add_lines(checkout: Checkout, chosen: Selection, now: datetime) -> None:
    """What everything costs, less the coupon and the customer's credit."""
    invoice = checkout.invoice
    ids = [item.pk for item in checkout.items]
    lines = checkout_lines.of_items(chosen=chosen, ids=ids)
    if checkout.redemption:
        lines += checkout_lines.less_coupon(redemption=checkout.redemption, lines=lines)
    if chosen.has_credit:
        lines += checkout_lines.less_credit(invoice=invoice, lines=lines, now=now)
    for position, line in enumerate(lines, start=1):
        line.invoice = invoice
        line.user_id = invoice.user_id
        line.position = position
    checkout.lines = lines
    total = checkout_lines.total(lines, invoice.currency)
    invoice.subtotal = invoice.total_amount = total.amount


def _as_sold(checkout: Checkout, offer: Offer, now: datetime) -> dict[str, Any]:
    """What is copied from the catalogue: a later edit changes no open checkout."""
    return {
        "user_id": checkout.invoice.user_id,
        "price_id": offer.price_id,
        "name": offer.name,
        "amount": offer.amount,
        "currency": offer.currency,
        "created_at": now,
    }


def _reload(checkout: Checkout) -> None:
    """Show what paying at once has made of it."""
    ids = [purchase.pk for purchase in checkout.purchases]
    checkout.purchases = list(TokenBundlePurchase.objects.filter(pk__in=ids).order_by("pk"))
    ids = [add_on.pk for add_on in checkout.add_ons]
    checkout.add_ons = list(AddOnSubscription.objects.filter(pk__in=ids).order_by("pk"))
    if checkout.subscription:
        checkout.subscription.refresh_from_db(
            fields=["status", "started_at", "expires_at", "trial_ends_at"]
        )


def _events(checkout: Checkout, chosen: Selection, order: Order, now: datetime) -> list[Event]:
    invoice = checkout.invoice
    requested = Event(
        name="checkout.requested",
        user_id=invoice.user_id,
        payload=order.as_json(),
        created_at=now,
    )
    completed = Event(
        name="checkout.completed",
        user_id=invoice.user_id,
        subject_id=invoice.id,
        payload={
            "total_amount": str(invoice.total),
            "currency": invoice.currency,
            **_terms(checkout, chosen),
        },
        created_at=now,
    )
    return [requested, completed]


def _terms(checkout: Checkout, chosen: Selection) -> dict[str, Any]:
    """What was agreed on, so that every amount that follows can be reckoned from the events."""
    subscription_id = checkout.invoice.subscription_id
    told: dict[str, Any] = {
        "subscription_id": str(subscription_id) if subscription_id else None,
        "items": [
            {
                "id": str(item.pk),
                "kind": offer.kind,
                "of": str(offer.id),
                "price": str(offer.price),
                "quantity": chosen.quantity_of(offer),
                "setup_fee": str(Money(offer.setup_fee or Decimal(0), offer.currency)),
                "billing_period": offer.billing_period,
            }
            for offer, item in zip(chosen.offers, checkout.items, strict=True)
        ],
    }
    if chosen.trial:
        told["trial"] = {"days": chosen.trial.days, "is_paid": chosen.trial.is_paid}
    if checkout.coupon_terms:
        told["coupon"] = checkout.coupon_terms
    return told


@transaction.atomic
def _first_answer(key: idempotency.Key) -> idempotency.Answer:
    """What the request that was first with this key got."""
    before = idempotency.claim(key=key)
    assert before  # noqa: S101 - the unique constraint has just said that it is there
    return before


def _record_failure(failure: Exception, *, user: User, order: Order, now: datetime) -> None:
    """Written after the rollback, in a transaction of its own."""
    refusal = failure if isinstance(failure, DomainError) else None
    event = Event(
        name="checkout.failed",
        user_id=user.id,
        payload={
            "code": refusal.code if refusal else "server_error",
            "error": refusal.message if refusal else "",
            "order": order.as_json(),
        },
        created_at=now,
    )
    try:
        with transaction.atomic():
            events.record(event)
    except DatabaseError:
        # Nothing more can be done without a database; the failure itself is still raised.
        logger.exception("A failed checkout could not be recorded")
