"""Taking hold of a subscription with all that waits for it, in the order of docs/locking.md."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from billing.models import Invoice, Subscription

OPEN = (Invoice.Status.PENDING, Invoice.Status.FAILED)


class _OneMore(Exception):
    """An invoice was issued between the look and the lock."""


def hold(subscription: Subscription) -> Subscription:
    """
    Lock its unpaid invoices, its customer, and itself, and read it again.

    Not to wait for an invoice while it holds the customer, as a payment waits the other way round:
    if one was issued meanwhile, it lets go and begins anew. The caller has a transaction open.
    """
    while True:
        waiting = unpaid_invoices(subscription)
        try:
            with transaction.atomic():  # a savepoint: to roll back to it lets the locks go
                for pk in waiting:
                    Invoice.objects.lock(pk)
                User.objects.lock(subscription.user_id)
                locked = Subscription.objects.lock(subscription.pk)
                if not set(unpaid_invoices(locked)) <= set(waiting):
                    raise _OneMore
                return locked
        except _OneMore:
            continue


def unpaid_invoices(subscription: Subscription) -> list[UUID]:
    """
    Of its own checkout, its renewal and its change. A checkout's invoice without a plan is of
    add-ons that join it, which wait for nobody.
    """
    of_joining = Q(reason=Invoice.Reason.CHECKOUT, plan=None)
    invoices = Invoice.objects.filter(subscription=subscription, status__in=OPEN)
    return list(invoices.exclude(of_joining).order_by("pk").values_list("pk", flat=True))
