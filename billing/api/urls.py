from django.urls import path

from billing.api.checkout import CheckoutViewSet
from billing.api.invoices import InvoiceViewSet
from billing.api.subscriptions import SubscriptionViewSet
from billing.api.tokens import TokenViewSet
from billing.api.webhooks import PaymentWebhook

urlpatterns = [
    path("user/checkout", CheckoutViewSet.as_view({"post": "create"})),
    path("user/subscriptions", SubscriptionViewSet.as_view({"get": "list"})),
    path("user/subscriptions/active", SubscriptionViewSet.as_view({"get": "active"})),
    path("user/subscriptions/<str:pk>/cancel", SubscriptionViewSet.as_view({"post": "cancel"})),
    path("user/subscriptions/<str:pk>/pause", SubscriptionViewSet.as_view({"post": "pause"})),
    path("user/subscriptions/<str:pk>/resume", SubscriptionViewSet.as_view({"post": "resume"})),
    path("user/invoices", InvoiceViewSet.as_view({"get": "list"})),
    path("user/invoices/<str:pk>", InvoiceViewSet.as_view({"get": "retrieve"})),
    path("user/invoices/<str:pk>/pay", InvoiceViewSet.as_view({"post": "pay"})),
    path("user/tokens/balance", TokenViewSet.as_view({"get": "balance"})),
    path("user/tokens/transactions", TokenViewSet.as_view({"get": "transactions"})),
    path("webhooks/payment", PaymentWebhook.as_view()),
]
