"""Who owes, who paid, who may use."""

from billing.models.change import SubscriptionChange
from billing.models.clock import TestClock
from billing.models.coupon import Coupon, CouponAmount, CouponRedemption
from billing.models.credit import CreditAccount, CreditEntry
from billing.models.event import Event
from billing.models.idempotency import IdempotencyRecord
from billing.models.invoice import Invoice, InvoiceLineItem, InvoiceSeries
from billing.models.mail import Mail
from billing.models.payment import Payment, PaymentAttempt
from billing.models.subscription import AddOnSubscription, Subscription, TokenBundlePurchase
from billing.models.token import TokenAccount, TokenTransaction

__all__ = [
    "AddOnSubscription",
    "Coupon",
    "CouponAmount",
    "CouponRedemption",
    "CreditAccount",
    "CreditEntry",
    "Event",
    "IdempotencyRecord",
    "Invoice",
    "InvoiceLineItem",
    "InvoiceSeries",
    "Mail",
    "Payment",
    "PaymentAttempt",
    "Subscription",
    "SubscriptionChange",
    "TestClock",
    "TokenAccount",
    "TokenBundlePurchase",
    "TokenTransaction",
]
