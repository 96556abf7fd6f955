"""Who owes, who paid, who may use."""

from billing.models.event import Event
from billing.models.idempotency import IdempotencyRecord
from billing.models.invoice import Invoice, InvoiceLineItem, InvoiceSeries
from billing.models.payment import Payment
from billing.models.subscription import AddOnSubscription, Subscription, TokenBundlePurchase
from billing.models.token import TokenAccount, TokenTransaction

__all__ = [
    "AddOnSubscription",
    "Event",
    "IdempotencyRecord",
    "Invoice",
    "InvoiceLineItem",
    "InvoiceSeries",
    "Payment",
    "Subscription",
    "TokenAccount",
    "TokenBundlePurchase",
    "TokenTransaction",
]
