"""Those who take money for us: how a payment is started, and how one is asked for a renewal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from billing.models import Invoice, PaymentAttempt, TestClock
from billing.services import payments
from config.errors import DomainError

SANDBOX = "sandbox"
NOBODY = "none"  # the provider of who pays by bank transfer
FAILS_AT_FIRST = 2  # times, of a customer who fails twice


class NoPaymentProvider(DomainError):
    code = "no_payment_provider"
    http_status = 503


class InvoiceNotPayable(DomainError):
    code = "invoice_not_payable"


@dataclass(frozen=True, slots=True)
class Charge:
    """
    A provider's answer.

    :param reference: its own id of the payment, where it took the money
    :param failure: why it did not, in words for people
    """

    reference: str = ""
    failure: str = ""

    @property
    def is_paid(self) -> bool:
        return not self.failure


def configured() -> str:
    """The provider that new attempts are made with."""
    return settings.BILLING_PAYMENT_PROVIDER or NOBODY


def start_payment(*, invoice: Invoice, now: datetime) -> payments.Receipt:
    """
    Start the payment of an invoice with the configured provider.

    :raises InvoiceNotPayable: if it is paid, cancelled or refunded; nothing is asked of anybody
    :raises NoPaymentProvider: if none is configured
    """
    if not invoice.is_payable:
        raise InvoiceNotPayable(
            f"The invoice {invoice.number} is {invoice.get_status_display().lower()} already.",
            status=invoice.status,
        )
    if settings.BILLING_PAYMENT_PROVIDER != SANDBOX:
        raise NoPaymentProvider("No payment provider is configured; pay by bank transfer.")
    return _pay_in_sandbox(invoice, now)


def charge(*, attempt: PaymentAttempt) -> Charge:
    """
    Ask the attempt's provider for the total of its invoice, without the customer.

    Never inside a transaction. The attempt's id is the key under which a provider does it once: a
    second call for the same attempt gives the first one's answer.
    """
    if attempt.provider == SANDBOX:
        return _charge_in_sandbox(attempt)
    return Charge(failure="No payment has arrived.")


def _pay_in_sandbox(invoice: Invoice, now: datetime) -> payments.Receipt:
    """Take the whole total at once. One reference per invoice: two calls at once pay it once."""
    notice = payments.Notice(
        provider=SANDBOX,
        reference=f"sandbox-{invoice.id}",
        invoice_reference=str(invoice.id),
        money=invoice.total,
        method=SANDBOX,
    )
    return payments.capture(notice=notice, now=now)


def _charge_in_sandbox(attempt: PaymentAttempt) -> Charge:
    """Everybody pays, but those whose test clock says otherwise."""
    clock = TestClock.objects.filter(user_id=attempt.user_id).first()
    behaviour = clock.behaviour if clock else TestClock.Behaviour.PAYS
    is_refused = behaviour == TestClock.Behaviour.NEVER_PAYS or (
        behaviour == TestClock.Behaviour.FAILS_TWICE and attempt.number <= FAILS_AT_FIRST
    )
    if is_refused:
        return Charge(failure="The card was declined.")
    return Charge(reference=f"sandbox-{attempt.pk}")
