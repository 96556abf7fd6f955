"""What a caller names and is not asked for changes nothing, and shows nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.models import BillingDetails, User
from billing.models import Invoice, Subscription, TokenAccount
from tests.api.routes import every_route
from tests.factories import PlanFactory, StaffFactory, TokenBundleFactory, UserFactory

pytestmark = pytest.mark.django_db

MOMENT = "2031-01-01T00:00:00Z"
# Columns that are decided here, by the names that they have inside and in answers.
OWN = {
    "id": "019aa000-0000-7000-8000-000000000001",
    "pk": "019aa000-0000-7000-8000-000000000001",
    "user": "019aa000-0000-7000-8000-000000000002",
    "user_id": "019aa000-0000-7000-8000-000000000002",
    "customer_id": "019aa000-0000-7000-8000-000000000002",
    "is_staff": True,
    "is_superuser": True,
    "is_admin": True,
    "role": "admin",
    "groups": [1],
    "user_permissions": [1],
    "erased_at": MOMENT,
    "last_login": MOMENT,
    "created_at": MOMENT,
    "paid_at": MOMENT,
    "invoiced_at": MOMENT,
    "expires_at": MOMENT,
    "started_at": MOMENT,
    "trial_ends_at": MOMENT,
    "amount": "0.01",
    "price": "0.01",
    "price_id": "019aa000-0000-7000-8000-000000000003",
    "unit_price": "0.01",
    "setup_fee": "0",
    "subtotal": "0.01",
    "tax_amount": "-5",
    "total": "0.01",
    "total_amount": "0.01",
    "invoice_number": "INV-1",
    "number": "INV-1",
    "balance": 1_000_000,
    "token_amount": 1_000_000,
    "tokens_credited": 1_000_000,
    "period_value": "99999",
    "payment_method": "gift",
    "now": MOMENT,
}
STATUS = {"status": "paid"}
QUERY = {
    "ordering": "user__password",
    "order_by": "-user__password",
    "sort": "-user__password",
    "user": "1",
    "user_id": "019aa000-0000-7000-8000-000000000002",
    "user__email": "somebody@example.com",
    "user__password__startswith": "argon2",
    "id__in": "1,2",
    "fields": "*",
    "expand": "user,user.password",
    "include": "password",
    "embed": "user",
}


class TestBodies:
    def test_of_a_registration_make_no_staff(self, api):
        body = {"email": "eve@example.com", "password": "a long password"}

        answer = api.post("/api/v1/auth/register", body | OWN | {"status": "deleted"})

        assert answer.status_code == 200
        eve = User.objects.get(email="eve@example.com")
        assert str(eve.pk) == answer.json()["user_id"] != OWN["id"]
        assert [eve.is_staff, eve.is_superuser, eve.groups.exists()] == [False] * 3
        assert (eve.status, eve.erased_at) == (User.Status.ACTIVE, None)

    def test_of_details_write_nobody_elses(self, customer, signed_in):
        other = UserFactory(email="other@example.com")
        body = {"first_name": "Ann", "user": str(other.pk), "user_id": str(other.pk)}

        answer = signed_in(customer).put("/api/v1/user/details", OWN | body)

        assert answer.status_code == 200
        assert [row.user_id for row in BillingDetails.objects.all()] == [customer.pk]
        customer.refresh_from_db()
        assert [customer.is_staff, customer.is_superuser] == [False] * 2

    def test_of_a_checkout_set_no_price_and_no_state(self, clock, customer, signed_in):
        plan = PlanFactory(prices={"USD": "29.00"})
        bundle = TokenBundleFactory(token_amount=100, prices={"USD": "10.00"})
        body = {"plan_id": str(plan.pk), "token_bundle_ids": [str(bundle.pk)]}

        answer = signed_in(customer).post("/api/v1/user/checkout", OWN | STATUS | body)

        assert answer.status_code == 201
        invoice, subscription = Invoice.objects.get(), Subscription.objects.get()
        assert (str(invoice.total), invoice.status, invoice.user) == ("39.00", "pending", customer)
        assert invoice.invoiced_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert (subscription.status, subscription.expires_at) == ("pending", None)
        assert not TokenAccount.objects.exists()

    def test_of_staff_make_no_staff_either(self, signed_in):
        support = StaffFactory(permissions=["accounts.add_user", "accounts.change_user"])
        client = signed_in(support)

        opened = client.post(
            "/api/v1/admin/users", OWN | {"email": "eve@example.com", "status": "deleted"}
        )
        changed = client.put(f"/api/v1/admin/users/{opened.json()['id']}", OWN)

        assert (opened.status_code, changed.status_code) == (201, 200)
        eve = User.objects.get(email="eve@example.com")
        assert [eve.is_staff, eve.is_superuser, eve.groups.exists()] == [False] * 3
        assert (eve.status, eve.erased_at) == (User.Status.ACTIVE, None)


class TestQueries:
    def test_show_nobody_more_than_without_them(self, clock, customer, signed_in):
        plan = PlanFactory()
        signed_in(customer).post("/api/v1/user/checkout", {"plan_id": str(plan.pk)})
        root = signed_in(StaffFactory(is_superuser=True))
        UserFactory(email="somebody@example.com")
        differing = []
        for route in every_route():
            if "get" not in route.methods or "<" in route.template:
                continue
            for client in (signed_in(customer), root):
                plain = _body(client.get(route.address))
                for name, value in QUERY.items():
                    if name in _filters(route.template):
                        continue
                    asked = client.get(route.address, {name: value})
                    if asked.status_code != 400 and _body(asked) != plain:
                        differing.append((route.template, name))

        assert differing == []

    def test_no_answer_has_a_password(self, customer, signed_in):
        hashed = customer.password
        assert "$" in hashed
        for client in (signed_in(customer), signed_in(StaffFactory(is_superuser=True))):
            for route in every_route():
                if "get" in route.methods and "<" not in route.template:
                    assert hashed not in client.get(route.address).content.decode()


def _filters(template: str) -> set[str]:
    """What the lists of staff do offer of these."""
    return {"user_id", "user"} if "/admin/" in template else set()


def _body(answer: Any) -> Any:
    return answer.content if answer.status_code < 300 else answer.status_code
