"""What was sold, owed, paid and used, to look at. Money rows are changed by services alone."""

from billing.admin import (
    catalogue_history,  # noqa: F401 - registers the catalogue's pages anew
    dashboard,
)
from billing.admin.coupons import CouponAdmin, CouponRedemptionAdmin
from billing.admin.credit import CreditAccountAdmin
from billing.admin.customers import CustomerAdmin
from billing.admin.events import EventAdmin
from billing.admin.invoices import InvoiceAdmin
from billing.admin.mails import MailAdmin
from billing.admin.payments import PaymentAdmin
from billing.admin.purchases import TokenBundlePurchaseAdmin
from billing.admin.subscriptions import AddOnSubscriptionAdmin, SubscriptionAdmin
from billing.admin.tokens import TokenAccountAdmin

__all__ = [
    "AddOnSubscriptionAdmin",
    "CouponAdmin",
    "CouponRedemptionAdmin",
    "CreditAccountAdmin",
    "CustomerAdmin",
    "EventAdmin",
    "InvoiceAdmin",
    "MailAdmin",
    "PaymentAdmin",
    "SubscriptionAdmin",
    "TokenAccountAdmin",
    "TokenBundlePurchaseAdmin",
    "dashboard",
]
