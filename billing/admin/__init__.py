"""What was sold, owed, paid and used, to look at. Money rows are changed by services alone."""

from billing.admin.events import EventAdmin
from billing.admin.invoices import InvoiceAdmin
from billing.admin.payments import PaymentAdmin
from billing.admin.purchases import TokenBundlePurchaseAdmin
from billing.admin.subscriptions import AddOnSubscriptionAdmin, SubscriptionAdmin
from billing.admin.tokens import TokenAccountAdmin

__all__ = [
    "AddOnSubscriptionAdmin",
    "EventAdmin",
    "InvoiceAdmin",
    "PaymentAdmin",
    "SubscriptionAdmin",
    "TokenAccountAdmin",
    "TokenBundlePurchaseAdmin",
]
