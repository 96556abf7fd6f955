import pytest
from django.test import Client

from tests.accounts.browsers import client_of
from tests.factories import StaffFactory

SUPPORT = ["accounts.view_user", "accounts.add_user", "accounts.change_user"] + [
    "accounts.add_billingdetails",
    "accounts.change_billingdetails",
    "accounts.view_billingdetails",
]


@pytest.fixture
def superuser() -> Client:
    return client_of(StaffFactory(is_superuser=True, email="super@example.com"))


@pytest.fixture
def support() -> Client:
    """May see, add and change users, and is no superuser."""
    return client_of(StaffFactory(permissions=SUPPORT, email="support@example.com"))


@pytest.fixture
def viewer() -> Client:
    return client_of(StaffFactory(permissions=["accounts.view_user"], email="viewer@example.com"))
