"""What support wants to know of a customer before they have finished their first sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.timezone import template_localtime

from accounts.models import User
from billing.admin import changes, timeline
from billing.admin.changes import Change
from billing.admin.columns import money, periods_left, status_label
from billing.admin.finding import describe
from billing.admin.links import Links, address
from billing.admin.timeline import Moment
from billing.models import (
    AddOnSubscription,
    CouponRedemption,
    CreditAccount,
    Event,
    Invoice,
    Payment,
    Subscription,
    TestClock,
    TokenAccount,
)
from billing.models.subscription import SubscriptionStatus
from billing.services import coupons
from catalog.models import BillingPeriod

ROWS = 5  # of invoices and of payments; the lists have the rest
MOMENTS = 15  # events on a page of the timeline
_BEGINNINGS = ("checkout.requested", "invoice.sending")  # told by what came of them
_LOOKED_THROUGH = 20  # changes of the account, for the one of its status


@dataclass(frozen=True, slots=True)
class Using:
    """A subscription or an add-on."""

    link: SafeString
    status: SafeString
    price: str
    until: str
    coupon: str


@dataclass(frozen=True, slots=True)
class Owed:
    """What is on the customer's account in one currency."""

    amount: str
    address: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An invoice or a payment."""

    link: SafeString
    amount: str
    status: SafeString
    at: datetime


@dataclass(frozen=True, slots=True)
class Timeline:
    moments: list[Moment]
    newer: int
    older: int


@dataclass(frozen=True, slots=True)
class Glance:
    """None where the reader may not see it, as opposed to empty: there is none."""

    called: str
    status: SafeString
    status_change: Change | None
    subscriptions: list[Using] | None
    add_ons: list[Using] | None
    balance: str | None
    balance_address: str
    credit: list[Owed] | None
    clock: TestClock | None
    invoices: list[Listed] | None
    invoices_address: str
    payments: list[Listed] | None
    payments_address: str
    timeline: Timeline | None


def at(user: User, *, links: Links, now: datetime, page: int) -> Glance:
    """Read everything: as many statements for a customer of years as for a new one."""
    account = None
    if links.may_open(TokenAccount):
        account = TokenAccount.objects.filter(pk=user.pk).first()
    return Glance(
        called=describe(getattr(user, "billing_details", None)),
        status=status_label(user),
        status_change=_status_change(user),
        subscriptions=_in_use(Subscription, user, links, now),
        add_ons=_in_use(AddOnSubscription, user, links, now),
        balance=_balance(account) if links.may_open(TokenAccount) else None,
        balance_address=(
            reverse("admin:billing_tokenaccount_change", args=[user.pk]) if account else ""
        ),
        credit=_credit(user, links),
        clock=TestClock.objects.filter(user=user).first(),
        invoices=_invoices(user, links),
        invoices_address=_list_of(Invoice, user),
        payments=_payments(user, links),
        payments_address=_list_of(Payment, user),
        timeline=_timeline(user, links, page),
    )


def _status_change(user: User) -> Change | None:
    """Who made an account what it is, and why, where it is not simply open."""
    if user.status == User.Status.ACTIVE:
        return None
    for change in changes.of_row(user, _LOOKED_THROUGH):
        if any(field.label == "Status" for field in change.fields):
            return change
    return None


def _in_use(model: Any, user: User, links: Links, now: datetime) -> list[Using] | None:
    """What runs, what is waiting for its payment, the latest first."""
    if not links.may_open(model):
        return None
    own = model.objects.filter(user=user)
    rows = own.running(now) | own.filter(Q(status=SubscriptionStatus.PENDING))
    shown = list(rows.order_by("-id")[:ROWS])
    on_them = {}
    if model is Subscription:
        on_them = coupons.of_all(subscription_ids=[row.pk for row in shown])
    return [
        Using(
            link=links.to(row, row.name),
            status=status_label(row),
            price=_price(row),
            until=_until(row),
            coupon=_coupon(on_them.get(row.pk)),
        )
        for row in shown
    ]


def _coupon(redemption: CouponRedemption | None) -> str:
    return f"{redemption.name}, {periods_left(redemption)}" if redemption else ""


def _price(row: Any) -> str:
    period = BillingPeriod(row.billing_period).label.lower()
    seats = f"{row.quantity} × " if row.quantity > 1 else ""
    return f"{seats}{money(row.amount, row.currency)} {period}"


def _until(row: Any) -> str:
    """As one says it on the telephone."""
    end = date_format(template_localtime(row.expires_at)) if row.expires_at else ""
    match row.status:
        case SubscriptionStatus.PENDING:
            return "waits for its payment"
        case SubscriptionStatus.PAUSED:
            since = getattr(row, "paused_at", None)  # an add-on pauses with its subscription
            return f"paused since {date_format(template_localtime(since))}" if since else "paused"
        case SubscriptionStatus.CANCELLED:
            return f"ends on {end}"
        case SubscriptionStatus.TRIALING:
            return f"on trial until {end}"
    if getattr(row, "past_due_since", None):
        since = date_format(template_localtime(row.past_due_since))
        access = getattr(row, "grace_until", None)
        until = f", access until {date_format(template_localtime(access))}" if access else ""
        return f"past due since {since}{until}"
    return f"until {end}" if end else "without an end"


def _balance(account: TokenAccount | None) -> str:
    return f"{account.balance:,}" if account else "0"


def _credit(user: User, links: Links) -> list[Owed] | None:
    """By currency; also where nothing is left, as there is something to tell of."""
    if not links.may_open(CreditAccount):
        return None
    accounts = CreditAccount.objects.filter(user=user).order_by("currency")
    return [
        Owed(amount=money(account.balance, account.currency), address=address(account))
        for account in accounts
    ]


def _invoices(user: User, links: Links) -> list[Listed] | None:
    if not links.may_open(Invoice):
        return None
    return [
        Listed(
            link=links.to(invoice, invoice.number),
            amount=invoice.total.for_people(),
            status=status_label(invoice),
            at=invoice.invoiced_at,
        )
        for invoice in Invoice.objects.filter(user=user).order_by("-id")[:ROWS]
    ]


def _payments(user: User, links: Links) -> list[Listed] | None:
    if not links.may_open(Payment):
        return None
    return [
        Listed(
            link=links.to(payment, payment.reference),
            amount=payment.money.for_people(),
            status=status_label(payment),
            at=payment.received_at,
        )
        for payment in Payment.objects.filter(user=user).order_by("-id")[:ROWS]
    ]


def _timeline(user: User, links: Links, page: int) -> Timeline | None:
    if not links.may_open(Event):
        return None
    told = Event.objects.filter(user=user).exclude(name__in=_BEGINNINGS).order_by("-id")
    start = (page - 1) * MOMENTS
    events = list(told[start : start + MOMENTS + 1])
    return Timeline(
        moments=timeline.tell(events[:MOMENTS], links),
        newer=page - 1,
        older=page + 1 if len(events) > MOMENTS else 0,
    )


def _list_of(model: Any, user: User) -> str:
    address = reverse(f"admin:billing_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode({'user__id__exact': str(user.pk)})}"
