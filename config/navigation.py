"""The admin's side bar: by what people come to do, each seeing what they may."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy


def _page(title: str, icon: str, model: str, **options: Any) -> dict[str, Any]:
    """
    One entry, seen by whoever may view the model.

    :param icon: a name of Material Symbols, https://fonts.google.com/icons
    :param model: ``app.model``, in lower case
    """
    app, name = model.split(".")

    def is_allowed(request: HttpRequest) -> bool:
        user = request.user
        return user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}")

    link = reverse_lazy(f"admin:{app}_{name}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": is_allowed} | options


def _is_list_of_unmatched(request: HttpRequest) -> bool:
    return _is_in_payments(request) and request.GET.get("status__exact") == "unmatched"


def _is_list_of_other_payments(request: HttpRequest) -> bool:
    return _is_in_payments(request) and not _is_list_of_unmatched(request)


def _is_in_payments(request: HttpRequest) -> bool:
    return request.path.startswith(str(reverse_lazy("admin:billing_payment_changelist")))


def _unmatched_payments() -> dict[str, Any]:
    entry = _page("To resolve", "rule", "billing.payment", active=_is_list_of_unmatched)
    return entry | {"link": f"{entry['link']}?status__exact=unmatched"}


def _is_dashboard(request: HttpRequest) -> bool:
    return request.path == str(reverse_lazy("admin:index"))


def _dashboard() -> dict[str, Any]:
    return {
        "title": "Dashboard",
        "icon": "monitoring",
        "link": reverse_lazy("admin:index"),
        "permission": lambda request: request.user.has_perm("billing.view_dashboard"),
        "active": _is_dashboard,
    }


def _month_report() -> dict[str, Any]:
    return {
        "title": "Month report",
        "icon": "summarize",
        "link": reverse_lazy("month-report"),
        "permission": lambda request: request.user.has_perm("billing.view_report"),
    }


def side_bar(_request: HttpRequest) -> list[dict[str, Any]]:
    """All entries; each carries its own question whether it may be seen."""
    return [
        {
            "title": "Billing",
            "items": [
                _dashboard(),
                _page("Invoices", "receipt_long", "billing.invoice"),
                _page("Payments", "payments", "billing.payment", active=_is_list_of_other_payments),
                _unmatched_payments(),
                _page("Subscriptions", "autorenew", "billing.subscription"),
                _page("Add-on subscriptions", "extension", "billing.addonsubscription"),
                _page("Token purchases", "shopping_cart", "billing.tokenbundlepurchase"),
                _month_report(),
            ],
        },
        {
            "title": "Customers",
            "items": [
                _page("Accounts", "group", "accounts.user"),
                _page("Token balances", "toll", "billing.tokenaccount"),
                _page("Events", "history", "billing.event"),
            ],
        },
        {
            "title": "Catalogue",
            "items": [
                _page("Plans", "sell", "catalog.plan"),
                _page("Token bundles", "inventory_2", "catalog.tokenbundle"),
                _page("Add-ons", "add_box", "catalog.addon"),
            ],
        },
        {
            "title": "Staff",
            "items": [
                _page("Roles", "admin_panel_settings", "auth.group"),
                _page("Second factors", "phonelink_lock", "otp_totp.totpdevice"),
                _page("Failed sign-ins", "gpp_bad", "axes.accessattempt"),
            ],
        },
    ]
