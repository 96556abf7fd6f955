"""What happened to an invoice and to all that hangs on it, as a timeline on its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from billing.admin import timeline
from billing.admin.links import Links
from billing.admin.timeline import Moment
from billing.models import AddOnSubscription, Event, Invoice, Mail, Payment

MOST = 50  # the latest; the list of events has the rest


@dataclass(frozen=True, slots=True)
class Happened:
    moments: list[Moment]
    is_cut: bool


def to_invoice(invoice: Invoice, *, links: Links) -> Happened | None:
    """Of its subscription, add-ons, payments and tokens too. None where one may not see events."""
    if not links.may_open(Event):
        return None
    subjects: list[Any] = [invoice.pk, invoice.subscription_id]
    for model in (Payment, AddOnSubscription):
        rows = model.objects.filter(invoice=invoice)  # type: ignore[attr-defined]
        subjects += rows.order_by().values_list("pk", flat=True)
    # By the customer, whose events have an index; all of these are theirs.
    return _told(
        Q(user_id=invoice.user_id)
        & (Q(subject_id__in=subjects) | Q(payload__invoice_id=str(invoice.pk))),
        links,
    )


def to_payment(payment: Payment, *, links: Links) -> Happened | None:
    if not links.may_open(Event):
        return None
    # It may have become this customer's later than it came: events of nobody are few.
    whose = Q(user_id=payment.user_id) | Q(user_id=None)
    return _told(whose & Q(subject_id=payment.pk), links)


def to_mail(mail: Mail, *, links: Links) -> Happened | None:
    if not links.may_open(Event):
        return None
    return _told(Q(user_id=mail.user_id, subject_id=mail.pk), links)


def _told(which: Q, links: Links) -> Happened:
    events = list(Event.objects.filter(which).order_by("-id")[: MOST + 1])
    return Happened(timeline.tell(events[:MOST], links), is_cut=len(events) > MOST)
