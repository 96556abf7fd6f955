"""Visitors of the admin, and something that they can look at."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.billing.admin_pages import browser_of
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)


@pytest.fixture
def finance(roles) -> Client:
    staff = StaffFactory(email="finance@example.com")
    staff.groups.add(roles["Finance"])
    return browser_of(staff)


@pytest.fixture
def superuser(db) -> Client:
    return browser_of(UserFactory(email="root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def catalogue(db) -> dict:
    return {
        "plan": PlanFactory(name="Pro", prices={"USD": "29.00", "JPY": "2900"}),
        "bundles": [TokenBundleFactory(name="Small", prices={"USD": "5.00", "JPY": "500"})],
        "add_ons": [AddOnFactory(name="Hotline", prices={"USD": "15.00", "JPY": "1500"})],
    }
