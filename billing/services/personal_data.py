"""All that is kept of a customer, as they may ask for it (GDPR, Art. 15 and 20)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from axes.models import AccessAttempt
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from accounts.models import BillingDetails, Session, User
from billing.models import (
    AddOnSubscription,
    CouponRedemption,
    CreditAccount,
    CreditEntry,
    Event,
    IdempotencyRecord,
    Invoice,
    InvoiceLineItem,
    Mail,
    Payment,
    PaymentAttempt,
    Subscription,
    SubscriptionChange,
    TokenAccount,
    TokenBundlePurchase,
    TokenTransaction,
)

VERSION = 1
# Proofs of who somebody is, and what is of no use without our program.
SECRET = {"password", "token_id", "fingerprint", "body"}
# Where the rows of a customer are, and by which column they are theirs.
SECTIONS: dict[str, tuple[type[models.Model], str]] = {
    "billing_details": (BillingDetails, "user"),
    "sessions": (Session, "user"),
    "subscriptions": (Subscription, "user"),
    "add_on_subscriptions": (AddOnSubscription, "user"),
    "token_bundle_purchases": (TokenBundlePurchase, "user"),
    "subscription_changes": (SubscriptionChange, "user"),
    "coupon_redemptions": (CouponRedemption, "user"),
    "invoices": (Invoice, "user"),
    "invoice_line_items": (InvoiceLineItem, "user"),
    "payments": (Payment, "user"),
    "payment_attempts": (PaymentAttempt, "user"),
    "token_account": (TokenAccount, "user"),
    "token_transactions": (TokenTransaction, "account"),
    "credit_accounts": (CreditAccount, "user"),
    "credit_entries": (CreditEntry, "account__user"),
    "mails": (Mail, "user"),
    "idempotency_keys": (IdempotencyRecord, "user"),
    "events": (Event, "user"),
}
WITH_HISTORY = (User, BillingDetails, Subscription, AddOnSubscription, TokenBundlePurchase) + (
    Invoice,
    Payment,
)
# The colleague who did something is a person as well.
OF_OTHERS = {"by"}


def collect(*, user: User, now: datetime) -> dict[str, Any]:
    """
    Return everything about a customer, as what JSON is made of.

    Amounts are texts, moments are ISO 8601 in UTC. Of the staff there is no name and no id.
    """
    found: dict[str, Any] = {
        "version": VERSION,
        "exported_at": now,
        "account": _row(user),
    }
    for name, (model, column) in SECTIONS.items():
        found[name] = _rows(model._default_manager.filter(**{column: user.pk}).order_by("pk"))
    found["failed_log_ins"] = _rows(AccessAttempt.objects.filter(username__iexact=user.email))
    found["history"] = {model.__name__: _past(model, user) for model in WITH_HISTORY}
    return json.loads(json.dumps(found, cls=DjangoJSONEncoder))


def _past(model: type[models.Model], user: User) -> list[dict[str, Any]]:
    of = {"pgh_obj": user.pk} if model in (User, BillingDetails) else {"user_id": user.pk}
    past = model.history.rel.related_model.objects  # type: ignore[attr-defined]
    return _rows(past.filter(**of).order_by("pgh_id"))


def _rows(rows: Iterable[models.Model]) -> list[dict[str, Any]]:
    return [_row(row) for row in rows]


def _row(row: models.Model) -> dict[str, Any]:
    return {
        field.attname: _shown(getattr(row, field.attname))
        for field in row._meta.concrete_fields
        if field.attname not in SECRET and not field.attname.startswith("pgh_context")
    }


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: part for name, part in value.items() if name not in OF_OTHERS}
    return value
