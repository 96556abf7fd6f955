"""Pages of the admin as tests open and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import Invoice, Payment
from billing.services import payments
from catalog.money import Money
from tests.billing.purchases import check_out, pay

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def browser_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def list_of(model) -> str:
    return reverse(f"admin:billing_{model._meta.model_name}_changelist")


def page_of(row) -> str:
    return reverse(f"admin:billing_{row._meta.model_name}_change", args=[row.pk])


def buy(customer, catalogue, *, currency="USD", now=NOW) -> Invoice:
    """A plan, a bundle and an add-on, paid."""
    invoice = check_out(customer, **catalogue, currency=currency, now=now).invoice
    pay(invoice, now=now)
    return invoice


def keep_unmatched(*, reference: str, invoice_reference: str, amount: str) -> Payment:
    notice = payments.Notice(
        provider="bank",
        reference=reference,
        invoice_reference=invoice_reference,
        money=Money.parse(amount, "USD"),
        method="bank_transfer",
    )
    with pytest.raises(payments.PaymentUnmatched):
        payments.capture(notice=notice, now=NOW)
    return Payment.objects.get(reference=reference)


def listed(response) -> list:
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def text_of(response) -> str:
    """What a person reads on the page, without the side bar."""
    assert response.status_code == 200
    body = response.content.decode().split('id="main"')[-1]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())
