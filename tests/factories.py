"""Rows for tests, as plain as they can be. Shared: add to the end."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import factory
from django.contrib.auth.models import Permission

from accounts.models import User
from billing.models import Subscription
from catalog.models import AddOn, Plan, Price, TokenBundle

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # before any "now" of a test


# --- Catalogue ---


class PriceFactory(factory.django.DjangoModelFactory):
    """A price of 29.00 USD since long ago; say of what: ``plan``, ``bundle`` or ``add_on``."""

    class Meta:
        model = Price

    currency = "USD"
    amount = Decimal("29.00")
    valid_from = LONG_AGO
    created_at = factory.SelfAttribute("valid_from")


class ItemFactory(factory.django.DjangoModelFactory):
    """
    Something for sale at ``prices={"USD": "29.00", "EUR": "27.00"}``, since long ago.

    ``prices={}``: without any; ``prices={"USD": ("29.00", "10.00")}``: with a setup fee.
    """

    class Meta:
        abstract = True
        skip_postgeneration_save = True

    @factory.post_generation
    def prices(self, create, extracted, **kwargs):
        column = {Plan: "plan", TokenBundle: "bundle", AddOn: "add_on"}[type(self)]
        amounts = {"USD": "29.00"} if extracted is None else extracted
        for currency, amount in amounts.items():
            amount, fee = amount if isinstance(amount, tuple) else (amount, "0")
            PriceFactory(
                **{column: self},
                currency=currency,
                amount=Decimal(amount),
                setup_fee=Decimal(fee),
            )


class PlanFactory(ItemFactory):
    class Meta:
        model = Plan

    name = factory.Sequence(lambda n: f"Plan {n}")
    slug = factory.Sequence(lambda n: f"plan-{n}")


class TokenBundleFactory(ItemFactory):
    class Meta:
        model = TokenBundle

    name = factory.Sequence(lambda n: f"Bundle {n}")
    token_amount = 500


class AddOnFactory(ItemFactory):
    """``plans=[…]`` binds it to these."""

    class Meta:
        model = AddOn

    name = factory.Sequence(lambda n: f"Add-on {n}")
    slug = factory.Sequence(lambda n: f"add-on-{n}")

    @factory.post_generation
    def plans(self, create, extracted, **kwargs):
        self.plans.set(extracted or [])


# --- People ---


class UserFactory(factory.django.DjangoModelFactory):
    """A customer who can sign in with "a long password"."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"user-{n}@example.com")
    password = factory.django.Password("a long password")


class StaffFactory(UserFactory):
    """A member of staff with ``permissions=["billing.take_payment"]``, and no others."""

    class Meta:
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"staff-{n}@example.com")
    is_staff = True

    @factory.post_generation
    def permissions(self, create, extracted, **kwargs):
        for name in extracted or []:
            app, codename = name.split(".")
            self.user_permissions.add(
                Permission.objects.get(content_type__app_label=app, codename=codename)
            )


# --- Billing ---


class SubscriptionFactory(factory.django.DjangoModelFactory):
    """A pending subscription to ``plan``, at the first of its prices."""

    class Meta:
        model = Subscription

    user = factory.SubFactory(UserFactory)
    plan = factory.SubFactory(PlanFactory)
    price = factory.LazyAttribute(lambda subscription: subscription.plan.prices.first())
    name = factory.SelfAttribute("plan.name")
    amount = factory.SelfAttribute("price.amount")
    currency = factory.SelfAttribute("price.currency")
    billing_period = factory.SelfAttribute("plan.billing_period")
