"""What the accountant does about money that fits nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminRadioSelectWidget

from accounts.models import User
from billing.admin.columns import channel
from billing.admin.invoice_steps import reference_field
from billing.admin.steps import ReasonForm, Step
from billing.models import Invoice, Payment
from billing.services import payments, refunds

MOST_CANDIDATES = 20


class AssignForm(ReasonForm):
    """One of those that the payment would pay, or any other by its number."""

    invoice = forms.ChoiceField(
        label="Invoices of this amount",
        required=False,
        widget=UnfoldAdminRadioSelectWidget,
    )
    number = forms.CharField(
        label="Or another invoice",
        required=False,
        max_length=40,
        widget=reference_field("").widget,
        help_text="Its number, or its id.",
    )
    field_order = ["invoice", "number", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fitting = payments.candidates(payment=self.row).select_related("user")
        self._candidates = {str(found.pk): found for found in fitting[:MOST_CANDIDATES]}
        choices = [(pk, _described(found, self.row)) for pk, found in self._candidates.items()]
        self.fields["invoice"].choices = choices  # type: ignore[attr-defined]
        if not choices:
            del self.fields["invoice"]
            amount = self.row.money.for_people()
            self.fields["number"].label = "Invoice"
            self.fields["number"].help_text = (
                f"Its number, or its id. No open invoice is over exactly {amount}, and any other is"
                " refused."
            )

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        chosen = self._candidates.get(typed.pop("invoice", ""))
        number = typed.pop("number", "")
        if chosen and number:
            raise ValidationError("Choose an invoice, or write a number: not both.")
        if number:
            chosen = _find(number)
            if chosen is None:
                self.add_error("number", "There is no such invoice.")
        elif chosen is None and not self.errors:
            raise ValidationError("Say which invoice it paid.")
        return typed | {"invoice": chosen}


class SendBackForm(ReasonForm):
    reference = reference_field("Of the transfer, or the refund at the provider.")
    field_order = ["reference", "reason"]


def assign(payment: Payment, *, by: User, now: datetime, invoice: Invoice, reason: str) -> str:
    payments.assign(payment=payment, invoice=invoice, by=by, reason=reason, now=now)
    return f"{payment.money.for_people()} paid invoice {invoice}."


def send_back(payment: Payment, *, by: User, now: datetime, reference: str, reason: str) -> str:
    refunds.refund_payment(payment=payment, reference=reference, by=by, reason=reason, now=now)
    return f"{payment.money.for_people()} went back, with {reference}."


def is_unmatched(payment: Payment) -> bool:
    return payment.status == Payment.Status.UNMATCHED


def _find(text: str) -> Invoice | None:
    text = text.strip()
    try:
        return Invoice.objects.filter(pk=UUID(text)).first()
    except ValueError:
        return Invoice.objects.filter(number=text.upper()).first()


def _named(payment: Payment) -> str:
    """What the payer wrote; where that is the id of an invoice, its number."""
    invoice = _find(payment.invoice_reference)
    return invoice.number if invoice else payment.invoice_reference


def _described(invoice: Invoice, payment: Payment) -> SafeString:
    same = ", the same customer" if invoice.user_id == payment.user_id else ""
    return format_html(
        "{}, {}{}, issued {}",
        invoice.number,
        invoice.user.email,
        same,
        date_format(invoice.invoiced_at, "DATE_FORMAT"),
    )


STEPS = (
    Step(
        name="assign",
        label="Assign to an invoice",
        icon="link",
        permission="billing.take_payment",
        question=lambda payment: (
            f"{payment.money.for_people()} came from {channel(payment.provider)} with the reference"
            f" {payment.reference}, for “{_named(payment)}”. The invoice that it is"
            " assigned to is paid, and what that is for becomes live at once."
        ),
        form=AssignForm,
        run=assign,
        fits=is_unmatched,
        looks="primary",
    ),
    Step(
        name="refund",
        label="Send back",
        icon="undo",
        permission="billing.refund_invoice",
        question=lambda payment: (
            f"{payment.money.for_people()} goes back to whoever paid it. The money itself is sent"
            " by you, or by the provider."
        ),
        form=SendBackForm,
        run=send_back,
        fits=is_unmatched,
        looks="danger",
    ),
)
