"""What the accountant does to an invoice: each ends in the same service as the API's call."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from billing.admin.columns import METHODS
from billing.admin.filters import day_field
from billing.admin.renewal_steps import took
from billing.admin.steps import ReasonForm, Step
from billing.models import Invoice
from billing.services import invoices, mails, payments, refunds, retries
from billing.services.analytics import spans


def reference_field(help_text: str, **options: Any) -> forms.CharField:
    return forms.CharField(
        max_length=255,
        help_text=help_text,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        **options,
    )


class ReceivedForm(ReasonForm):
    """How and when money came in."""

    method = forms.ChoiceField(choices=list(METHODS.items()), widget=UnfoldAdminSelectWidget)
    received_on = day_field("Received on")
    field_order = ("method", "received_on", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["received_on"].initial = spans.today(now=timezone.now())

    def clean_received_on(self) -> date:
        day = self.cleaned_data["received_on"]
        if day > spans.today(now=timezone.now()):
            raise ValidationError("This day is still to come.")
        return day


class PaidForm(ReceivedForm):
    reference = reference_field("Of the payment, as on the statement of account.")
    field_order = ["reference", "method", "received_on", "reason"]


class RefundForm(ReasonForm):
    reference = reference_field("Of the transfer, or the refund at the provider.")
    field_order = ["reference", "reason"]


def mark_paid(
    invoice: Invoice,
    *,
    by: User,
    now: datetime,
    reference: str,
    method: str,
    received_on: date,
    reason: str,
) -> str:
    payments.mark_paid(
        invoice=invoice,
        reference=reference,
        method=method,
        received_at=_moment(received_on, invoice, now),
        by=by,
        reason=reason,
        now=now,
    )
    return f"Invoice {invoice} is paid."


def take_payment(invoice: Invoice, *, by: User, now: datetime, reason: str) -> str:
    return took(retries.take_payment(invoice=invoice, by=by, reason=reason, now=now))


def void(invoice: Invoice, *, by: User, now: datetime, reason: str) -> str:
    invoices.void(invoice=invoice, by=by, reason=reason, now=now)
    return f"Invoice {invoice} is void."


def refund(invoice: Invoice, *, by: User, now: datetime, reference: str, reason: str) -> str:
    refunds.refund(invoice=invoice, reference=reference, by=by, reason=reason, now=now)
    used = refunds.tokens_used(invoice=invoice)
    kept = f" {used:,} of its tokens had been used and are not taken back." if used else ""
    return f"Invoice {invoice} is refunded.{kept}"


def send(invoice: Invoice, *, by: User, now: datetime, reason: str) -> str:
    mails.send_invoice(invoice=invoice, by=by, now=now)
    # No row of it changes, so the admin's log keeps why.
    LogEntry.objects.log_actions(
        by.pk, [invoice], CHANGE, f"Sent again: {reason}", single_object=True
    )
    return f"Invoice {invoice} is on its way to {invoice.user}."


def _moment(received_on: date, invoice: Invoice, now: datetime) -> datetime:
    """The middle of what a day leaves open: never before the invoice, never in the future."""
    if received_on == spans.today(now=now):
        return now
    begins = spans.midnight(day=received_on)
    if received_on == spans.today(now=invoice.invoiced_at):
        return max(begins, invoice.invoiced_at)
    return begins


def _is_payable(invoice: Invoice) -> bool:
    return invoice.is_payable


MARK_PAID = Step(
    name="mark-paid",
    label="Mark paid",
    icon="payments",
    permission="billing.take_payment",
    question=lambda invoice: (
        f"{invoice.total.for_people()} came in for invoice {invoice}. What it is for becomes live"
        " at once."
    ),
    form=PaidForm,
    run=mark_paid,
    fits=_is_payable,
    looks="primary",
)
SEND = Step(
    name="send",
    label="Send again",
    icon="forward_to_inbox",
    permission="billing.send_invoice",
    question=lambda invoice: f"Invoice {invoice} is mailed to {invoice.user}, with its PDF.",
    run=send,
)
TAKE = Step(
    name="take-payment",
    label="Try payment now",
    icon="credit_card",
    permission="billing.retry_parked",
    question=lambda invoice: (
        f"The provider is asked for {invoice.total.for_people()} once more, now. The days of the"
        " other tries stay."
    ),
    run=take_payment,
    fits=retries.can_be_taken,
)
REFUND = Step(
    name="refund",
    label="Refund",
    icon="undo",
    permission="billing.refund_invoice",
    question=lambda invoice: (
        f"All of {invoice.total.for_people()} goes back to {invoice.user}, and what invoice"
        f" {invoice} paid for ends. The money itself is sent back by you, or by the provider."
    ),
    form=RefundForm,
    run=refund,
    fits=lambda invoice: invoice.status == Invoice.Status.PAID and invoice.total_amount > 0,
    looks="danger",
)
VOID = Step(
    name="void",
    label="Void",
    icon="block",
    permission="billing.void_invoice",
    question=lambda invoice: (
        f"Invoice {invoice} over {invoice.total.for_people()} is owed no more, and what waits for"
        " its payment is given up. Its number stays."
    ),
    run=void,
    fits=_is_payable,
    looks="danger",
)
STEPS = (MARK_PAID, TAKE, SEND, REFUND, VOID)
