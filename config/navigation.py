"""The admin's side bar: by what people come to do, each seeing what they may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.module_loading import import_string


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


def _may_view(*models: str) -> Callable[[HttpRequest], bool]:
    return lambda request: any(request.user.has_perm(f"billing.view_{name}") for name in models)


def _to_resolve(request: HttpRequest) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "title": "To resolve",
        "icon": "rule",
        "link": reverse_lazy("inbox"),
        "permission": _may_view("payment", "subscription", "mail"),
    }
    waiting = import_string("billing.admin.inbox.count")(request)
    return entry | {"badge": f"{waiting:,}", "badge_variant": "danger"} if waiting else entry


def _upcoming() -> dict[str, Any]:
    return {
        "title": "Upcoming invoices",
        "icon": "event_upcoming",
        "link": reverse_lazy("upcoming-invoices"),
        "permission": _may_view("subscription"),
    }


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


def side_bar(request: HttpRequest) -> list[dict[str, Any]]:
    """All entries; each carries its own question whether it may be seen."""
    return [
        {
            "title": "Billing",
            "items": [
                _dashboard(),
                _page("Invoices", "receipt_long", "billing.invoice"),
                _upcoming(),
                _page("Payments", "payments", "billing.payment"),
                _to_resolve(request),
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
                _page("On account", "savings", "billing.creditaccount"),
                _page("Mails", "mail", "billing.mail"),
                _page("Events", "history", "billing.event"),
            ],
        },
        {
            "title": "Catalogue",
            "items": [
                _page("Plans", "sell", "catalog.plan"),
                _page("Token bundles", "inventory_2", "catalog.tokenbundle"),
                _page("Add-ons", "add_box", "catalog.addon"),
                _page("Coupons", "local_offer", "billing.coupon"),
                _page("Redemptions", "confirmation_number", "billing.couponredemption"),
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
