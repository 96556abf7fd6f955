from __future__ import annotations

from datetime import UTC, datetime

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from billing.models import (
    AddOnSubscription,
    Coupon,
    CouponRedemption,
    CreditAccount,
    Event,
    Invoice,
    Mail,
    Payment,
    Subscription,
    TokenAccount,
    TokenBundlePurchase,
)
from billing.services import coupon_steps, customer_credit
from catalog.money import Money
from tests.billing.purchases import check_out, pay
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def rows(roles) -> dict[type[Model], Model]:
    """One of everything that has pages in the admin: a customer's paid checkout."""
    customer = UserFactory(email="ann@example.com")
    plan, bundle, add_on = PlanFactory(), TokenBundleFactory(), AddOnFactory()
    made = check_out(customer, plan=plan, bundles=[bundle], add_ons=[add_on], now=NOW)
    pay(made.invoice, now=NOW)
    assert made.subscription
    coupon = Coupon.objects.create(code="HALF", name="Half", percent=50)
    coupon_steps.put_on(subscription=made.subscription, code="HALF", now=NOW)
    customer_credit.add(
        user_id=customer.pk,
        money=Money.parse("5.00", "USD"),
        kind=customer_credit.Type.CANCELLATION,
        reference=made.subscription.pk,
        now=NOW,
    )
    found = [model.objects.first() for model in (AddOnSubscription, Event, Payment, TokenAccount)]
    found += [model.objects.first() for model in (TokenBundlePurchase, Subscription, Invoice, Mail)]
    found += [customer, plan, bundle, add_on, Group.objects.first()]
    found += [coupon, CouponRedemption.objects.first(), CreditAccount.objects.first()]
    found.append(TOTPDevice.objects.create(user=StaffFactory(), name="phone"))
    found.append(AccessAttempt.objects.create(username="x", failures_since_start=1))
    return {type(row): row for row in found}


@pytest.fixture
def browsers(roles) -> dict[str, Client]:
    """One of each kind of visitor, by the name of the table's column."""
    visitors = {"stranger": Client(), "customer": _browser(UserFactory())}
    for name, group in roles.items():
        member = StaffFactory()
        member.groups.add(group)
        visitors[name] = _browser(member)
    visitors["superuser"] = _browser(StaffFactory(is_superuser=True))
    return visitors


def _browser(user) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(user, BACKEND)
    return client
