from django.urls import path

from billing.api.changes import ChangeViewSet
from billing.api.checkout import CheckoutViewSet
from billing.api.documents import InvoicePdf, StaffInvoicePdf
from billing.api.invoices import InvoiceViewSet
from billing.api.personal_data import PersonalData
from billing.api.staff_analytics import AnalyticsDashboard
from billing.api.staff_invoices import StaffInvoiceViewSet
from billing.api.staff_subscriptions import StaffSubscriptionViewSet
from billing.api.subscription_items import AddOnViewSet, CouponViewSet
from billing.api.subscriptions import SubscriptionViewSet
from billing.api.tokens import TokenViewSet
from billing.api.webhooks import PaymentWebhook

urlpatterns = [
    path("user/export", PersonalData.as_view()),
    path("user/checkout", CheckoutViewSet.as_view({"post": "create"})),
    path("user/subscriptions", SubscriptionViewSet.as_view({"get": "list"})),
    path("user/subscriptions/active", SubscriptionViewSet.as_view({"get": "active"})),
    path("user/subscriptions/<str:pk>/cancel", SubscriptionViewSet.as_view({"post": "cancel"})),
    path("user/subscriptions/<str:pk>/uncancel", SubscriptionViewSet.as_view({"post": "uncancel"})),
    *(
        path(f"user/subscriptions/<str:pk>/{action}", ChangeViewSet.as_view({"post": action}))
        for action in ("upgrade", "downgrade", "quantity")
    ),
    path("user/subscriptions/<str:pk>/proration", ChangeViewSet.as_view({"get": "proration"})),
    path("user/subscriptions/<str:pk>/addons", AddOnViewSet.as_view({"get": "list"})),
    *(
        path(
            f"user/subscriptions/<str:pk>/addons/<str:add_on_pk>/{action}",
            AddOnViewSet.as_view({"post": action}),
        )
        for action in ("cancel", "uncancel")
    ),
    path(
        "user/subscriptions/<str:pk>/coupon",
        CouponViewSet.as_view({"get": "retrieve", "post": "create", "delete": "destroy"}),
    ),
    path("user/credit", ChangeViewSet.as_view({"get": "credit"})),
    path("user/subscriptions/<str:pk>/pause", SubscriptionViewSet.as_view({"post": "pause"})),
    path("user/subscriptions/<str:pk>/resume", SubscriptionViewSet.as_view({"post": "resume"})),
    path("user/invoices", InvoiceViewSet.as_view({"get": "list"})),
    path("user/invoices/<str:pk>", InvoiceViewSet.as_view({"get": "retrieve"})),
    path("user/invoices/<str:pk>/pdf", InvoicePdf.as_view()),
    path("user/invoices/<str:pk>/pay", InvoiceViewSet.as_view({"post": "pay"})),
    path("user/tokens/balance", TokenViewSet.as_view({"get": "balance"})),
    path("user/tokens/transactions", TokenViewSet.as_view({"get": "transactions"})),
    path("webhooks/payment", PaymentWebhook.as_view()),
    path(
        "admin/subscriptions",
        StaffSubscriptionViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path("admin/subscriptions/<str:pk>", StaffSubscriptionViewSet.as_view({"get": "retrieve"})),
    *(
        path(
            f"admin/subscriptions/<str:pk>/{action}",
            StaffSubscriptionViewSet.as_view({"post": action}),
        )
        for action in ("activate", "cancel", "change", "extend", "refund")
    ),
    path("admin/invoices", StaffInvoiceViewSet.as_view({"get": "list"})),
    path("admin/invoices/<str:pk>", StaffInvoiceViewSet.as_view({"get": "retrieve"})),
    path("admin/invoices/<str:pk>/mark-paid", StaffInvoiceViewSet.as_view({"post": "mark_paid"})),
    path("admin/invoices/<str:pk>/void", StaffInvoiceViewSet.as_view({"post": "void"})),
    path("admin/invoices/<str:pk>/refund", StaffInvoiceViewSet.as_view({"post": "refund"})),
    path("admin/invoices/<str:pk>/pdf", StaffInvoicePdf.as_view()),
    path("admin/analytics/dashboard", AnalyticsDashboard.as_view()),
]
