from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from pghistory.models import MiddlewareEvents

from accounts.models import User
from accounts.services import customers, details
from billing.models import TestClock
from billing.services import personal_data
from tests.billing.admin_pages import browser_of, buy
from tests.factories import StaffFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Rows that refer to a customer and say nothing about one: each with its reason.
NOT_EXPORTED = {
    TestClock,  # development only
    *apps.get_app_config("otp_static").get_models(),  # how staff sign in
    *apps.get_app_config("otp_totp").get_models(),
    MiddlewareEvents,  # a view over the history
    LogEntry,  # what staff did: of a customer there is none
}


@pytest.fixture
def lived(db, customer, catalogue) -> User:
    details.update(user=customer, first_name="Ada", city="Berlin")
    buy(customer, catalogue, now=NOW)
    staff = StaffFactory(is_superuser=True)
    customers.suspend(user=customer, by=staff, reason="They asked.", now=NOW)
    customers.activate(user=customer, by=staff, reason="They asked.", now=NOW)
    return User.objects.get(pk=customer.pk)


class TestCollect:
    def test_has_all_that_refers_to_a_customer(self):
        own = {model for model, _column in personal_data.SECTIONS.values()}
        referring = {
            relation.related_model
            for relation in User._meta.related_objects
            if not relation.many_to_many and "History" not in relation.related_model.__name__
        }

        assert referring - own - NOT_EXPORTED == set()

    def test_has_the_rows_as_they_are(self, lived):
        found = personal_data.collect(user=lived, now=NOW)

        assert found["account"]["email"] == "customer@example.com"
        assert found["billing_details"][0]["city"] == "Berlin"
        assert found["invoices"][0]["total_amount"] == "49.000"
        assert found["invoices"][0]["buyer"]["first_name"] == "Ada"
        assert len(found["invoice_line_items"]) == 3
        assert found["payments"][0]["amount"] == "49.000"
        assert found["token_transactions"][0]["amount"] == 500
        assert found["mails"][0]["to"] == "customer@example.com"
        assert [row["status"] for row in found["history"]["User"]] == ["active", "suspended"]

    def test_has_no_proofs_and_no_staff(self, lived):
        staff = User.objects.get(is_staff=True)
        found = json.dumps(personal_data.collect(user=lived, now=NOW))

        for secret in (lived.password, "token_id", str(staff.pk), staff.email):
            assert secret not in found

    def test_has_nothing_of_anybody_else(self, lived, catalogue):
        other = User.objects.create_user("other@example.com")
        buy(other, catalogue, now=NOW)

        found = json.dumps(personal_data.collect(user=lived, now=NOW))

        assert "other@example.com" not in found
        assert str(other.pk) not in found


class TestApi:
    def test_gives_ones_own(self, lived, signed_in):
        answer = signed_in(lived).get("/api/v1/user/export")

        assert answer.status_code == 200
        assert answer["Content-Disposition"] == 'attachment; filename="personal-data.json"'
        assert answer["Cache-Control"] == "private, no-store"
        body = answer.json()
        assert body["account"]["id"] == str(lived.pk)
        assert body["invoices"][0]["total_amount"] == "49.000"

    def test_asks_to_sign_in(self, db, api):
        assert api.get("/api/v1/user/export").status_code == 401


class TestCommand:
    def test_prints_it(self, lived):
        out = StringIO()

        call_command("export_customer", "Customer@Example.com", stdout=out)

        assert json.loads(out.getvalue())["account"]["id"] == str(lived.pk)

    def test_names_who_is_not_there(self, db):
        with pytest.raises(CommandError, match=r"no customer nobody@example\.com"):
            call_command("export_customer", "nobody@example.com")


class TestPage:
    def test_is_a_file_and_leaves_a_note(self, lived):
        staff = StaffFactory(permissions=["accounts.view_user", "accounts.export_user"])

        answer = browser_of(staff).get(f"/admin/accounts/user/{lived.pk}/export/")

        assert answer.status_code == 200
        assert answer.json()["account"]["email"] == "customer@example.com"
        assert LogEntry.objects.get(user=staff).object_id == str(lived.pk)

    def test_is_refused_without_the_permission(self, lived):
        staff = StaffFactory(permissions=["accounts.view_user", "accounts.change_user"])

        answer = browser_of(staff).get(f"/admin/accounts/user/{lived.pk}/export/")

        assert answer.status_code == 403
        assert not LogEntry.objects.filter(user=staff).exists()

    def test_of_staff_is_for_superusers(self, db):
        staff = StaffFactory(permissions=["accounts.view_user", "accounts.export_user"])
        other = StaffFactory()

        assert browser_of(staff).get(f"/admin/accounts/user/{other.pk}/export/").status_code == 403
