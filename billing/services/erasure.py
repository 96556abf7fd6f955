"""Erasing a customer: what tax law wants kept is kept, and the rest is forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import pgtrigger
from django.db import transaction

from accounts.models import BillingDetails, User
from accounts.services import customers
from accounts.services import erasure as accounts_erasure
from accounts.services.erasure import Words
from billing.models import (
    AddOnSubscription,
    Event,
    IdempotencyRecord,
    Invoice,
    Mail,
    Payment,
    Subscription,
    TestClock,
    TokenBundlePurchase,
)
from billing.services import events
from config import history
from config.errors import DomainError

# Whatever staff changed with a reason; the rows themselves stay.
WITH_HISTORY = (Subscription, AddOnSubscription, TokenBundlePurchase, Invoice, Payment)


class CustomerNotSettled(DomainError):
    """Something is still to be done that needs to know who they are."""

    code = "customer_not_settled"
    http_status = 409


class AlreadyErased(DomainError):
    code = "customer_already_erased"
    http_status = 409


class StaffNotErased(DomainError):
    code = "staff_not_erased"
    http_status = 409


@transaction.atomic
def erase(*, user: User, by: User, reason: str, now: datetime) -> User:
    """
    Forget who a customer was.

    Invoices with their buyer, their lines, payments, the two ledgers and what was bought stay as
    they are (docs/personal-data.md); account, details, sessions, mails, log-ins and the history of
    all these do not. The e-mail is free again, and nobody comes in by the old account any more.

    :raises OutOfReach: if the account is one's own, or staff's and one is no superuser
    :raises StaffNotErased: if it is a superuser who tries that
    :raises AlreadyErased: if nothing is left to forget
    :raises CustomerNotSettled: if a subscription is live, an invoice is unpaid, a payment is
        unmatched, or a mail is under way
    """
    locked = User.objects.lock_out(user.pk)  # from what a checkout would insert, too
    if refusal := customers.refusal_to_change(user=locked, by=by):
        raise customers.OutOfReach(f"{locked}: {refusal}")
    if locked.is_employed:
        raise StaffNotErased("Take their rights first: what they did is kept with their name.")
    if locked.erased_at is not None:
        raise AlreadyErased("This customer is erased already.")
    if left := unsettled(user=locked):
        raise CustomerNotSettled(f"First settle: {', '.join(left)}.", user_id=str(locked.pk))
    words = accounts_erasure.words_of(user=locked)
    told = accounts_erasure.redact(reason, words=words)
    with history.noted(by=by.pk, reason=told):
        _forget_billing(locked, words)
        accounts_erasure.forget(user=locked, words=words, now=now)
        accounts_erasure.redact_reasons(contexts=_contexts(locked), words=words)
    events.record(
        Event(
            name="customer.erased",
            user_id=locked.pk,
            subject_id=locked.pk,
            payload={"by": str(by.pk), "reason": told},
            created_at=now,
        )
    )
    return locked


def unsettled(*, user: User) -> list[str]:
    """What stands in the way of an erasure, in words; nothing where there is nothing."""
    open_invoices = Invoice.objects.filter(
        user=user, status__in=[Invoice.Status.PENDING, Invoice.Status.FAILED]
    )
    unmatched = Payment.objects.filter(user=user, status=Payment.Status.UNMATCHED)
    sending = Mail.objects.filter(user=user, status=Mail.Status.SENDING)
    found = [f"subscription {row}" for row in Subscription.objects.filter(user=user).live()]
    found += [f"unpaid invoice {row}" for row in open_invoices]
    found += [f"unmatched payment {row}" for row in unmatched]
    found += ["a mail that is being sent" for _row in sending[:1]]
    return found


def _forget_billing(user: User, words: Words) -> None:
    IdempotencyRecord.objects.filter(user=user).delete()
    TestClock.objects.filter(user=user).delete()
    # The two triggers stand against everybody else, and against mistakes of ours.
    with pgtrigger.ignore("billing.Mail:mail_is_kept", "billing.Event:event_is_kept"):
        Mail.objects.filter(user=user).delete()
        accounts_erasure.redact_rows(
            rows=Event.objects.filter(user=user), fields=["payload"], words=words
        )


def _contexts(user: User) -> set[UUID]:
    """Of all that was ever changed of theirs, and by whom and why is kept."""
    found: set[Any] = set()
    for model in (User, BillingDetails):
        found |= _context_ids(model, pgh_obj=user.pk)
    for row_model in WITH_HISTORY:
        found |= _context_ids(row_model, user_id=user.pk)
    return found


def _context_ids(model: Any, **of: Any) -> set[UUID]:
    rows = model.history.rel.related_model.objects.filter(pgh_context__isnull=False, **of)
    return set(rows.values_list("pgh_context", flat=True))
