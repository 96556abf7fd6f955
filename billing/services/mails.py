"""Invoices that staff send by mail, at once. What is sent by itself is in ``outbox``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

from accounts.models import User
from billing.models import Event, Invoice
from billing.services import envelopes, events
from billing.services.documents.contents import day_for_people
from billing.services.envelopes import Delivery
from config.errors import DomainError


class MailNotSent(DomainError):
    code = "mail_not_sent"
    http_status = 503


def send_invoice(*, invoice: Invoice, by: User | None, now: datetime) -> None:
    """
    Mail the invoice, with its PDF, to the buyer; to the account's e-mail where they gave none.

    The intent is committed before the mail server is called, and what became of it after: a
    crash between the two leaves ``invoice.sending`` alone, which says that nobody knows. Not to
    be called inside a transaction.

    :param by: the member of staff who asked for it
    :raises MailNotSent: if the address is none, or the mail server refuses or cannot be reached;
        an event ``invoice.not_sent`` says why
    :raises DocumentNotPrinted: if there is no PDF now; nothing is sent then
    """
    address = invoice.buyer.get("email") or invoice.user.email
    message = _message(invoice, address)
    told: dict[str, Any] = {"by": str(by.pk) if by else None, "to": address}
    _record("invoice.sending", invoice, told, now)
    with Delivery() as delivery:
        reason = delivery.hand_over(message).failure
    if reason:
        _record("invoice.not_sent", invoice, told | {"reason": reason}, now)
        raise MailNotSent(
            f"The invoice {invoice.number} was not sent to {address}: {reason}.",
            invoice_id=str(invoice.pk),
        )
    _record("invoice.sent", invoice, told, now)


def _message(invoice: Invoice, address: str) -> EmailMultiAlternatives:
    context = {
        "invoice": invoice,
        "name": invoice.buyer.get("first_name", ""),
        "total": invoice.total.for_people(),
        "due": day_for_people(invoice.expires_at) if invoice.expires_at else "",
        "seller": settings.BILLING_SELLER_NAME,
        "is_cancelled": invoice.status == Invoice.Status.CANCELLED,
        "is_refunded": invoice.status == Invoice.Status.REFUNDED,
    }
    return envelopes.pack(
        subject=f"Invoice {invoice.number} from {settings.BILLING_SELLER_NAME}",
        text=render_to_string("billing/mail/invoice.txt", context),
        html=render_to_string("billing/mail/invoice.html", context),
        to=address,
        invoice=invoice,
    )


@transaction.atomic(durable=True)
def _record(name: str, invoice: Invoice, told: dict[str, Any], now: datetime) -> None:
    events.record(
        Event(
            name=name,
            user_id=invoice.user_id,
            subject_id=invoice.pk,
            payload={"number": invoice.number} | told,
            created_at=now,
        )
    )
