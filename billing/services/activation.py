"""What a paid invoice makes live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    InvoiceLineItem,
    Payment,
    Subscription,
    TokenBundlePurchase,
)
from billing.models.columns import amount_column
from billing.models.subscription import SubscriptionStatus
from billing.services import (
    changed,
    coupons,
    ended_at_once,
    events,
    notices,
    renewed,
    terms,
    tokens,
    trials,
)
from config import rows
from config.errors import DomainError

Line = InvoiceLineItem.Type
PurchaseStatus = TokenBundlePurchase.Status
PAID = ("status", "paid_at", "payment_method", "payment_ref", "next_attempt_at")
BEGUN = ("started_at", "expires_at", "anchor_at", "period_start", "period_value")


class SubscriptionNotActive(DomainError):
    code = "subscription_not_active"


@transaction.atomic
def settle_free(*, invoice: Invoice, now: datetime) -> None:
    """
    Pay an invoice of zero: nothing is owed, so everything on it is live at once.

    The caller has locked the customer's row, for the same reason as for ``settle``.

    :raises SubscriptionNotActive: if the subscription that add-ons were to join has just ended
    """
    if not is_possible(invoice=invoice, now=now):
        raise SubscriptionNotActive("The subscription that the add-ons were to join has ended.")
    settle(invoice=invoice, method="none", reference="", now=now)


@transaction.atomic(savepoint=False)
def settle(
    *,
    invoice: Invoice,
    method: str,
    reference: str,
    before: Sequence[Event] = (),
    now: datetime,
) -> None:
    """
    Mark the invoice paid and make everything on it live.

    The caller has locked the invoice and then the customer's row: of two invoices paid at once,
    the later one sees the subscription of the earlier one, and replaces it.

    :param before: events of the caller's, recorded by the same statement as those of this
    """
    if invoice.subscription_id:
        now = not_before_what_stands(invoice, now)
    invoice.status = Invoice.Status.PAID
    invoice.paid_at = now
    invoice.payment_method = method
    invoice.payment_ref = reference
    invoice.next_attempt_at = None
    invoice.save(update_fields=PAID)
    happened = [*before, _event("invoice.paid", invoice, invoice.id, now)]
    if invoice.reason == Invoice.Reason.RENEWAL:
        happened += renewed.extend(invoice=invoice, now=now)
    elif invoice.reason == Invoice.Reason.CHANGE:
        happened += changed.apply(invoice=invoice, now=now)
    else:
        happened += _activate_subscription(invoice, now)
        coupons.activate(invoice=invoice)
        happened += _complete_purchases(invoice, now)
        happened += _activate_add_ons(invoice, now)
    events.record(*happened)
    notices.receipts(invoices=[invoice], now=now)


@transaction.atomic(savepoint=False)
def settle_renewals(
    *,
    invoices: Sequence[Invoice],
    subscriptions: Sequence[Subscription],
    payments: Sequence[Payment],
    now: datetime,
) -> None:
    """
    ``settle`` of many renewals, in the same few statements.

    The caller has locked the invoices, their customers and their subscriptions, and has found
    each of them possible.
    """
    for invoice, payment in zip(invoices, payments, strict=True):
        invoice.status = Invoice.Status.PAID
        invoice.paid_at = now
        invoice.payment_method = payment.method
        invoice.payment_ref = payment.reference
        invoice.next_attempt_at = None
    rows.update(*invoices, fields=PAID)
    happened = [_event("invoice.paid", invoice, invoice.id, now) for invoice in invoices]
    happened += renewed.extend_all(invoices=invoices, subscriptions=subscriptions, now=now)
    events.record(*happened)
    notices.receipts(invoices=invoices, now=now)


def is_possible(*, invoice: Invoice, now: datetime) -> bool:
    """
    Whether what the invoice is for can still be made live: its own subscription must be waiting,
    the one that add-ons were to join must not have ended meanwhile, one that is renewed or changed
    must still be what it was then.
    """
    if invoice.subscription_id is None:
        return True
    subscription = Subscription.objects.get(pk=invoice.subscription_id)
    if invoice.reason == Invoice.Reason.RENEWAL:
        return renewed.is_possible(subscription=subscription)
    if invoice.reason == Invoice.Reason.CHANGE:
        return changed.is_possible(invoice=invoice, subscription=subscription, now=now)
    if invoice.plan_id:
        return subscription.status == SubscriptionStatus.PENDING
    return subscription.is_running_at(now)


def end_subscriptions(*, subscription_ids: list[UUID], reason: str, now: datetime) -> None:
    """
    End at once, with the add-ons and with what was still to be paid for them: nobody is asked for a
    period of what is over. The caller holds the customer.
    """
    ended_at_once.end_add_ons(subscription_ids=subscription_ids, reason=reason, now=now)
    Subscription.objects.filter(pk__in=subscription_ids).update(
        paused_at=None, past_due_since=None, **ended_at_once.columns(reason, now)
    )
    changed.withdraw_of_ended(subscription_ids=subscription_ids, now=now)


def _activate_subscription(invoice: Invoice, now: datetime) -> list[Event]:
    pending = Subscription.objects.filter(invoices=invoice, status=SubscriptionStatus.PENDING)
    had_trial = Subscription.objects.with_trial_of(OuterRef("plan")).filter(user=OuterRef("user"))
    subscription = pending.annotate(paid=_paid(invoice), had_trial=Exists(had_trial)).first()
    if subscription is None:
        return []
    happened = _supersede(subscription, now)
    if subscription.trial_days and not subscription.had_trial:
        trials.begin(subscription, now=now)
    elif subscription.trial_days and not subscription.is_trial_paid:
        trials.forgo(subscription, now=now)
    else:
        subscription.status = SubscriptionStatus.ACTIVE
        terms.begin(subscription, at=now)
    subscription.period_value = subscription.paid
    subscription.save(update_fields=["status", "trial_ends_at", *BEGUN])
    ends = subscription.trial_ends_at
    trial = {"trial_ends_at": ends.isoformat()} if ends else {}
    return [*happened, _event("subscription.activated", invoice, subscription.id, now, **trial)]


def _paid(invoice: Invoice, *types: str) -> Coalesce:
    """What the lines of an item come to on its invoice, by default with its discounts."""
    lines = InvoiceLineItem.objects.filter(
        invoice=invoice,
        item_id=OuterRef("pk"),
        type__in=types or (Line.SUBSCRIPTION, Line.ADD_ON, Line.DISCOUNT),
    )
    total = lines.order_by().values("item_id").annotate(total=Sum("amount")).values("total")
    return Coalesce(Subquery(total), Value(0), output_field=amount_column())


def _supersede(new: Subscription, now: datetime) -> list[Event]:
    """End the subscription that the new one replaces, and its add-ons with it."""
    of_user = Subscription.objects.filter(user_id=new.user_id).exclude(pk=new.pk)
    replaced = list((of_user.live() | of_user.running(now)).values_list("pk", flat=True))
    if not replaced:
        return []
    end_subscriptions(subscription_ids=replaced, reason="superseded", now=now)
    return [
        Event(
            name="subscription.cancelled",
            user_id=new.user_id,
            subject_id=pk,
            payload={"reason": "superseded", "superseded_by": str(new.pk)},
            created_at=now,
        )
        for pk in replaced
    ]


def not_before_what_stands(invoice: Invoice, now: datetime) -> datetime:
    """
    Whoever waited for the lock may have read the clock before what was done meanwhile: nothing may
    end before it began, nor an add-on after its subscription.
    """
    stands = Subscription.objects.live().filter(user_id=invoice.user_id)
    begun = stands.aggregate(own=Max("started_at"), add_ons=Max("add_ons__started_at"))
    return max([now, *(moment for moment in begun.values() if moment)])


def _complete_purchases(invoice: Invoice, now: datetime) -> list[Event]:
    pending = list(
        TokenBundlePurchase.objects.filter(invoice=invoice, status=PurchaseStatus.PENDING).order_by(
            "id"
        )
    )
    if not pending:
        return []
    tokens.credit_or_end(
        user_id=invoice.user_id,
        movements=[
            tokens.Movement(purchase.token_amount, str(purchase.pk), purchase.name)
            for purchase in pending
        ],
        now=now,
    )
    TokenBundlePurchase.objects.filter(pk__in=[purchase.pk for purchase in pending]).update(
        status=PurchaseStatus.COMPLETED, tokens_credited=True, completed_at=now
    )
    credited = sum(purchase.token_amount for purchase in pending)
    return [_event("tokens.credited", invoice, invoice.id, now, tokens=credited)]


def _activate_add_ons(invoice: Invoice, now: datetime) -> list[Event]:
    """Each has its subscription's status, and the period that its line has paid for."""
    pending = list(
        AddOnSubscription.objects.filter(invoice=invoice, status=SubscriptionStatus.PENDING)
        .annotate(paid=_paid(invoice), listed=_paid(invoice, Line.ADD_ON))
        .select_related("subscription")
        .order_by("id")
    )
    for add_on in pending:
        subscription = add_on.subscription
        is_in_trial = add_on.amount > 0 and add_on.listed == 0
        stands = subscription.status in (SubscriptionStatus.PAUSED, SubscriptionStatus.TRIALING)
        add_on.status = subscription.status if stands else SubscriptionStatus.ACTIVE
        trials.begin_add_on(add_on, is_free=is_in_trial, with_plan=bool(invoice.plan_id), now=now)
        add_on.period_value = add_on.paid
        add_on.expires_at = terms.earlier(add_on.paid_until, subscription.would_end_at(now))
    rows.update(*pending, fields=["status", "paid_until", *BEGUN])
    return [_event("add_on.activated", invoice, add_on.pk, now) for add_on in pending]


def _event(
    name: str, invoice: Invoice, subject_id: UUID, now: datetime, **payload: object
) -> Event:
    return Event(
        name=name,
        user_id=invoice.user_id,
        subject_id=subject_id,
        payload={"invoice_id": str(invoice.id), **payload},
        created_at=now,
    )
