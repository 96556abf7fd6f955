"""Who an invoice is made out to."""

from __future__ import annotations

from typing import Any

from accounts.models import BillingDetails, User

DETAILS = [
    field.attname
    for field in BillingDetails._meta.concrete_fields
    if not field.primary_key and field.attname != "phone"
]


def snapshot(*, user: User) -> dict[str, Any]:
    """The buyer as they are known now; kept on the invoice, whatever they change later."""
    details = getattr(user, "billing_details", None)
    return {"email": user.email} | {
        name: getattr(details, name) if details else "" for name in DETAILS
    }
