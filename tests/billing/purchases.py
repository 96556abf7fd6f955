"""Purchases for tests, made by the services that make the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.apps import apps
from django.db import transaction
from django.db.models import Model

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    InvoiceLineItem,
    Payment,
    Subscription,
)
from billing.services import checkout, issuing, payments, terms
from billing.services.checkout import Checkout
from billing.services.issuing import Draft
from billing.services.selection import Order
from catalog.models import AddOn, Plan, TokenBundle
from catalog.money import Money

Line = InvoiceLineItem.Type


def check_out(
    user: User,
    *,
    plan: Plan | None = None,
    bundles: Sequence[TokenBundle] = (),
    add_ons: Sequence[AddOn] = (),
    currency: str | None = None,
    quantity: int = 1,
    add_on_quantities: Sequence[int] = (),
    now: datetime,
) -> Checkout:
    """:param add_on_quantities: of the first add-ons, in their order; of the others one"""
    order = Order(
        plan_id=plan.id if plan else None,
        token_bundle_ids=tuple(bundle.id for bundle in bundles),
        add_on_ids=tuple(add_on.id for add_on in add_ons),
        currency=currency,
        quantity=quantity,
        add_on_quantities={
            add_on.id: count for add_on, count in zip(add_ons, add_on_quantities, strict=False)
        },
    )
    return checkout.create(user=user, order=order, now=now)


def pay(invoice: Invoice, *, reference: str | None = None, now: datetime) -> payments.Receipt:
    notice = payments.Notice(
        provider="bank",
        reference=reference or f"paid-{invoice.id}",
        invoice_reference=str(invoice.id),
        money=invoice.total,
        method="bank_transfer",
    )
    return payments.capture(notice=notice, now=now)


def unmatched(invoice: Invoice, *, reference: str, amount: str | None = None) -> Payment:
    """Money of this invoice's amount and currency whose payer named no invoice of ours."""
    notice = payments.Notice(
        provider="bank",
        reference=reference,
        invoice_reference="unknown",
        money=Money.parse(amount, invoice.currency) if amount else invoice.total,
        method="bank_transfer",
    )
    try:
        payments.capture(notice=notice, now=invoice.invoiced_at)
    except payments.InvoiceNotFound as kept:
        return Payment.objects.get(pk=kept.context["payment_id"])
    raise AssertionError("It was matched.")


def subscribe(user: User, *, plan: Plan, now: datetime) -> Subscription:
    """A subscription that was paid for ``now``."""
    made = check_out(user, plan=plan, now=now)
    pay(made.invoice, now=now)
    assert made.subscription
    made.subscription.refresh_from_db()
    return made.subscription


@transaction.atomic
def renew(subscription: Subscription, *add_ons: AddOnSubscription, now: datetime) -> Invoice:
    """The next month of a subscription with these add-ons, or of them alone, still to be paid."""
    subscription.refresh_from_db()
    items = add_ons or (subscription,)
    if subscription.billing_period == items[0].billing_period and subscription not in items:
        items = (subscription, *items)
    period = (now, terms.next_end(items[0], after=now))
    drafts = [
        Draft(
            type=Line.SUBSCRIPTION if item == subscription else Line.ADD_ON,
            item_id=item.pk,
            description=item.name,
            unit_price=Money(item.amount, item.currency),
            quantity=item.quantity,
            period=period,
        )
        for item in items
    ]
    return issuing.issue(
        subscription=subscription,
        reason=Invoice.Reason.RENEWAL,
        drafts=drafts,
        period_start=now,
        now=now,
    )


def rows_of_billing() -> dict[str, int]:
    """How many rows each table of billing has, those of its history too."""
    models: list[type[Model]] = list(apps.get_app_config("billing").get_models())
    return {model.__name__: model._default_manager.count() for model in models}


def events_named(name: str) -> list[Event]:
    return list(Event.objects.filter(name=name).order_by("id"))
