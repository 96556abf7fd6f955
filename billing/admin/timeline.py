"""What happened, as sentences: events with the rows that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

from accounts.models import User
from billing.admin.links import Links
from billing.models import AddOnSubscription, Event, Invoice, Mail, Payment, Subscription
from billing.services.payments import UNMATCHED
from catalog.money import Money
from config.errors import DomainError

# What each event says. {subject} is the row that it is about, {invoice} the one it was paid with.
_SENTENCES = {
    "add_on.activated": "Add-on {subject} began",
    "add_on.cancelled": "Add-on {subject} cancelled",
    "add_on.uncancelled": "Cancellation of add-on {subject} taken back",
    "checkout.completed": "Ordered with invoice {subject}, {total}",
    "checkout.failed": "An order was refused: {error}",
    "checkout.requested": "An order was sent",
    "coupon.redeemed": "Coupon {coupon} put on the subscription to {subject}",
    "coupon.taken_off": "Coupon {coupon} taken off the subscription to {subject}",
    "customer.erased": "The customer was erased",
    "invoice.cancelled": "Invoice {subject} cancelled, {total}",
    "invoice.expired": "Invoice {subject} given up: it was not paid in time, {total}",
    "invoice.issued": "Invoice {subject} issued for the next period, {total}",
    "invoice.paid": "Invoice {subject} paid{method}, {total}",
    "invoice.not_sent": "Invoice {subject} could not be mailed to {to}",
    "invoice.refunded": "Invoice {subject} refunded, {total}{returned}",
    "invoice.sending": "Invoice {subject} handed to the mail server for {to}",
    "invoice.sent": "Invoice {subject} mailed to {to}",
    "invoice.withdrawn": "Invoice {subject} withdrawn, {total}",
    "invoice.voided": "Invoice {subject} voided, {total}",
    "mail.retried": "Mail to {to} is to be sent again",
    "payment.assigned": "Payment {subject} of {amount} assigned to invoice {invoice}",
    "payment.captured": "Payment {subject} of {amount} received for invoice {invoice}",
    "payment.failed": "Payment of invoice {subject} failed: {failure}",
    "payment.retried": "Payment of invoice {subject} is to be tried again now",
    "payment.refunded": "Payment {subject} of {amount} sent back",
    "payment.unmatched": "Payment {subject} of {amount} fits nothing: {unmatched}",
    "subscription.activated": "Subscription to {subject} began",
    "subscription.cancelled": "Subscription to {subject} {cancelled}",
    "subscription.change_requested": "Subscription to {subject} is to become {changed}",
    "subscription.change_scheduled": "Subscription to {subject} is to become {changed} later",
    "subscription.change_withdrawn": "Subscription to {subject} is not to change any more",
    "subscription.changed": "Subscription to {subject} has become {changed}",
    "subscription.expired": "Subscription to {subject} expired",
    "subscription.extended": "Subscription to {subject} extended by {days} days",
    "subscription.parked": "Renewal of {subject} left alone: {parked}",
    "subscription.paused": "Subscription to {subject} paused",
    "subscription.reactivated": "Subscription to {subject} came back with invoice {invoice}",
    "subscription.renewed": "Subscription to {subject} renewed with invoice {invoice}",
    "subscription.refunded": "Subscription to {subject} refunded",
    "subscription.resumed": "Subscription to {subject} resumed",
    "subscription.started": "Staff ordered a subscription to {subject}",
    "subscription.trial_ended": "Trial of {subject} over: what was paid for begins",
    "subscription.unparked": "Renewal of {subject} is to be tried again",
    "subscription.uncancelled": "Cancellation of the subscription to {subject} taken back",
    "tokens.adjusted": "{tokens} tokens by staff",
    "tokens.credited": "{tokens} tokens credited with invoice {invoice}",
}
_SUBJECTS: dict[str, type] = {
    "add_on": AddOnSubscription,
    "checkout": Invoice,
    "coupon": Subscription,
    "invoice": Invoice,
    "mail": Mail,
    "payment": Payment,
    "subscription": Subscription,
    # A payment that there is not has no row: these are about the invoice.
    "payment.failed": Invoice,
    "payment.retried": Invoice,
}
# Codes that events carry as their reason: the sentence has said it.
_CODES = {
    *UNMATCHED,
    *Invoice.Reason.values,
    *("customer", "not_paid_in_time", "refunded", "staff", "superseded", "unpaid", "voided"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """
    One line of a timeline.

    :param by: the e-mail of the member of staff, where it was one
    """

    at: datetime
    sentence: SafeString
    by: str
    reason: str
    event: Event


def tell(events: Sequence[Event], links: Links) -> list[Moment]:
    """Put events into words: at most one statement per model that they are about."""
    rows = _Rows(events)
    return [
        Moment(
            at=event.created_at,
            sentence=_sentence(event, rows, links),
            by=str(rows.get(User, event.payload.get("by")) or ""),
            reason=_reason(event),
            event=event,
        )
        for event in events
    ]


class _Rows:
    """Everything that the events name, read once."""

    def __init__(self, events: Iterable[Event]) -> None:
        wanted: dict[type, set[UUID]] = {}
        for event in events:
            for model, pk in _named(event):
                wanted.setdefault(model, set()).add(pk)
        self.found: dict[type, dict[UUID, Any]] = {
            # Payments bring their invoices; those that payments alone name are not asked for twice.
            model: (
                model.objects.select_related("invoice") if model is Payment else model.objects  # type: ignore[attr-defined]
            ).in_bulk(pks)
            for model, pks in wanted.items()
        }

    def get(self, model: type | None, pk: Any) -> Any:
        found = self.found.get(model, {}) if model else {}
        return found.get(_uuid(pk))


def _named(event: Event) -> list[tuple[type, UUID]]:
    payload = event.payload
    named = [
        (_kind(event), event.subject_id),
        (Invoice, _uuid(payload.get("invoice_id"))),
        (Subscription, _uuid(payload.get("superseded_by"))),
        (User, _uuid(payload.get("by"))),
    ]
    return [(model, pk) for model, pk in named if model and pk]


def _sentence(event: Event, rows: _Rows, links: Links) -> SafeString:
    row = rows.get(_kind(event), event.subject_id)
    pattern = _SENTENCES.get(event.name)
    if pattern is None:
        words = event.name.replace(".", " ").replace("_", "-")
        return format_html("{} {}", capfirst(words), _link(row, links) if row else "")
    return format_html(pattern, **_parts(event, row, rows, links))


def _parts(event: Event, row: Any, rows: _Rows, links: Links) -> dict[str, Any]:
    payload = event.payload
    invoice = rows.get(Invoice, payload.get("invoice_id")) or getattr(row, "invoice", None)
    total = row.total.for_people() if isinstance(row, Invoice) else ""
    tokens = payload.get("tokens", payload.get("amount", ""))
    return {
        "subject": _link(row, links) if row else mark_safe("—"),
        "invoice": _link(invoice, links) if invoice else mark_safe("—"),
        "total": total,
        "amount": _amount(payload),
        "method": _method(row) if isinstance(row, Invoice) else "",
        "error": payload.get("error") or payload.get("code", ""),
        "unmatched": _unmatched(payload.get("reason", "")),
        "cancelled": _cancelled(payload, rows, links),
        "tokens": f"{tokens:+,}" if isinstance(tokens, int) else tokens,
        "returned": _returned(payload),
        "to": payload.get("to", ""),
        "changed": _changed(payload),
        "days": payload.get("days", ""),
        "coupon": payload.get("coupon", ""),
        "failure": payload.get("failure", ""),
        "parked": payload.get("reason", ""),
    }


def _link(row: Any, links: Links) -> SafeString:
    text = row.reference if isinstance(row, Payment) else getattr(row, "name", "") or str(row)
    return links.to(row, text)


def _method(invoice: Invoice) -> str:
    if invoice.payment_method in ("", "none"):
        return ""
    return f" by {invoice.payment_method.replace('_', ' ')}"


def _amount(payload: dict[str, Any]) -> str:
    try:
        return Money.parse(str(payload["amount"]), payload["currency"]).for_people()
    except (KeyError, DomainError):
        return str(payload.get("amount", ""))


def _unmatched(code: str) -> str:
    refusal = UNMATCHED.get(code)
    return refusal.sentence if refusal else code


def _changed(payload: dict[str, Any]) -> str:
    """What a subscription, or an add-on of it, becomes: by its event, or by the wish for it."""
    after = payload.get("to")
    after = after if isinstance(after, dict) else payload
    name = str(after.get("name") or after.get("plan") or "another plan")
    seats = after.get("quantity")
    return f"{seats} × {name}" if isinstance(seats, int) and seats > 1 else name


def _cancelled(payload: dict[str, Any], rows: _Rows, links: Links) -> SafeString:
    successor = rows.get(Subscription, payload.get("superseded_by"))
    if successor:
        return format_html("replaced by {}", _link(successor, links))
    if payload.get("reason") in ("voided", "refunded"):
        return format_html("ended with its invoice, which was {}", payload["reason"])
    return mark_safe("cancelled")


def _returned(payload: dict[str, Any]) -> str:
    """Of a refund: what became of the tokens that it paid for."""
    taken, used = payload.get("tokens_taken_back"), payload.get("tokens_used_before")
    told = []
    if taken:
        told.append(f"; {taken:,} tokens taken back")
    if used:
        told.append(f"; {used:,} tokens had been used")
    return "".join(told)


def _reason(event: Event) -> str:
    if event.name == "subscription.parked":
        return ""  # the sentence has said it
    reason = event.payload.get("note") or event.payload.get("reason", "")
    return reason if isinstance(reason, str) and reason not in _CODES else ""


def _kind(event: Event) -> type | None:
    """Of the row that it is about."""
    return _SUBJECTS.get(event.name) or _SUBJECTS.get(event.name.split(".")[0])


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text)) if text else None
    except ValueError:
        return None
