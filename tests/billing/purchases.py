"""Purchases for tests, made by the services that make the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.apps import apps
from django.db.models import Model

from accounts.models import User
from billing.models import Event, Invoice, Payment, Subscription
from billing.services import checkout, payments
from billing.services.checkout import Checkout
from billing.services.selection import Order
from catalog.models import AddOn, Plan, TokenBundle
from catalog.money import Money


def check_out(
    user: User,
    *,
    plan: Plan | None = None,
    bundles: Sequence[TokenBundle] = (),
    add_ons: Sequence[AddOn] = (),
    currency: str | None = None,
    now: datetime,
) -> Checkout:
    order = Order(
        plan_id=plan.id if plan else None,
        token_bundle_ids=tuple(bundle.id for bundle in bundles),
        add_on_ids=tuple(add_on.id for add_on in add_ons),
        currency=currency,
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


def rows_of_billing() -> dict[str, int]:
    """How many rows each table of billing has, those of its history too."""
    models: list[type[Model]] = list(apps.get_app_config("billing").get_models())
    return {model.__name__: model._default_manager.count() for model in models}


def events_named(name: str) -> list[Event]:
    return list(Event.objects.filter(name=name).order_by("id"))
