"""What the accountant does to many invoices at once."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from billing.admin.bulk import Bulk, BulkForm
from billing.admin.invoice_steps import (
    MARK_PAID,
    REFUND,
    SEND,
    VOID,
    ReceivedForm,
    RefundForm,
    reference_field,
)
from billing.models import Invoice

MOST_TYPED = 200  # invoices with something to type in for each


class RefundManyForm(BulkForm, RefundForm):
    """One reference for all: of the file of transfers that sends the money back."""


class PaidManyForm(BulkForm, ReceivedForm):
    """Each invoice has a payment of its own, so a reference of its own: ``each-<id>``."""

    def values_for(self, row: Invoice) -> dict[str, Any]:
        typed = self.data.get(f"each-{row.pk}", "")
        if not typed.strip():
            raise ValidationError("Left as it is: it has no payment reference.")
        reference = reference_field("").clean(typed)
        return super().values_for(row) | {"reference": reference}


BULKS = (
    Bulk(
        MARK_PAID,
        label="Mark paid",
        question="Each invoice gets a payment of its total, under a reference of its own. One"
        " without a reference is left as it is.",
        form=PaidManyForm,
        most=MOST_TYPED,
        each="Payment reference",
    ),
    Bulk(
        SEND,
        label="Send again",
        question="Each invoice is mailed to its customer, with its PDF.",
        form=BulkForm,
    ),
    Bulk(
        REFUND,
        label="Refund",
        question="All that came in for each invoice goes back, and what it paid for ends. The money"
        " itself is sent back by you, or by the provider, under this reference.",
        form=RefundManyForm,
    ),
    Bulk(
        VOID,
        label="Void",
        question="These invoices are owed no more, and what waits for their payment is given up."
        " Their numbers stay.",
        form=BulkForm,
    ),
)
