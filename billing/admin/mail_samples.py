"""What each mail looks like, with invented values: for whoever changes the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import Language
from billing.models import Mail
from billing.services import letters
from billing.services.letters import Letter

Kind = Mail.Kind
NAME = "Ada"
_INVOICE = {
    "invoice_id": "01900000-0000-7000-8000-000000000000",
    "number": "INV-20260301-01-000001",
    "total": {"amount": "29.00", "currency": "EUR"},
}
_FAILED = _INVOICE | {
    "plan": "Pro",
    "next_attempt_at": "2026-03-04T12:00:00+00:00",
    "ends_at": "2026-03-17T12:00:00+00:00",
}
_TRIAL = {
    "plan": "Pro",
    "ends_at": "2026-03-15T12:00:00+00:00",
    "period": "monthly",
    "total": {"amount": "29.00", "currency": "EUR"},
    "is_discounted": False,
}
_RENEWAL = {
    "plan": "Pro",
    "renews_at": "2026-03-15T12:00:00+00:00",
    "period": "yearly",
    "total": {"amount": "290.00", "currency": "EUR"},
    "is_discounted": False,
}
_CANCELLED = {
    "plan": "Pro",
    "ends_at": "2026-03-31T12:00:00+00:00",
    "is_over": False,
    "is_unpaid": False,
}


@dataclass(frozen=True, slots=True)
class Sample:
    title: str
    kind: str
    context: Mapping[str, Any]


SAMPLES = {
    "receipt": Sample("Receipt", Kind.RECEIPT, _INVOICE | {"paid_at": "2026-03-01T12:00:00+00:00"}),
    "payment-failed": Sample("Payment failed", Kind.PAYMENT_FAILED, _FAILED),
    "payment-failed-last": Sample(
        "Payment failed for the last time",
        Kind.PAYMENT_FAILED,
        _FAILED | {"next_attempt_at": ""},
    ),
    "trial-ending": Sample("Trial ending", Kind.TRIAL_ENDING, _TRIAL),
    "trial-ending-fee": Sample(
        "Trial ending, with a set-up fee and a discount",
        Kind.TRIAL_ENDING,
        _TRIAL | {"setup_fee": {"amount": "10.00", "currency": "EUR"}, "is_discounted": True},
    ),
    "renewal-coming": Sample("Renewal coming", Kind.RENEWAL_COMING, _RENEWAL),
    "cancelled": Sample("Subscription cancelled", Kind.CANCELLED, _CANCELLED),
    "ended": Sample("Subscription ended", Kind.CANCELLED, _CANCELLED | {"is_over": True}),
    "ended-unpaid": Sample(
        "Subscription ended, unpaid",
        Kind.CANCELLED,
        _CANCELLED | {"is_over": True, "is_unpaid": True},
    ),
}


class SampleForm(forms.Form):
    """Which one, and in which language; the first where nothing was chosen."""

    sample = forms.ChoiceField(
        label="Mail",
        choices=[(name, sample.title) for name, sample in SAMPLES.items()],
        widget=UnfoldAdminSelectWidget,
    )
    language = forms.ChoiceField(choices=Language.choices, widget=UnfoldAdminSelectWidget)


def chosen(query: Mapping[str, str]) -> SampleForm:
    """The form as it was sent; what is missing or unknown is the first."""
    first = {"sample": next(iter(SAMPLES)), "language": str(Language.ENGLISH)}
    form = SampleForm({name: query.get(name, value) for name, value in first.items()})
    return form if form.is_valid() else chosen({})


def write(form: SampleForm) -> Letter:
    """
    :param form: a valid one
    :raises LetterNotWritten: if the template is broken
    """
    sample = SAMPLES[form.cleaned_data["sample"]]
    return letters.write(
        kind=sample.kind,
        language=form.cleaned_data["language"],
        context=sample.context,
        name=NAME,
    )
