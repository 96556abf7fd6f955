"""What the migrations make of rows that were there before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from billing.models import Invoice
from billing.services import subscriptions
from tests.billing.purchases import check_out
from tests.factories import PlanFactory, UserFactory

BEFORE = "0003_roles"
LAST = "0006_moments_are_kept"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def migrate(name: str) -> None:
    MigrationExecutor(connection).migrate([("billing", name)])


def execute(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.mark.django_db(transaction=True)
class TestMomentsOfCancellation:
    """There was no such column when these invoices were cancelled."""

    @pytest.fixture(autouse=True)
    def _migrated_again(self):
        yield
        migrate(LAST)

    def cancelled(self) -> Invoice:
        made = check_out(UserFactory(), plan=PlanFactory(), now=NOON)
        subscriptions.cancel(subscription=made.subscription, now=NOON)
        return made.invoice

    def test_are_those_of_the_history(self):
        invoice, pending = self.cancelled(), check_out(UserFactory(), plan=PlanFactory(), now=NOON)
        (change,) = invoice.history.all()

        migrate(BEFORE)
        migrate(LAST)

        invoice.refresh_from_db()
        pending.invoice.refresh_from_db()
        assert (invoice.status, invoice.cancelled_at) == ("cancelled", change.pgh_created_at)
        assert (pending.invoice.status, pending.invoice.cancelled_at) == ("pending", None)

    def test_without_a_history_are_those_of_the_invoice(self):
        invoice = self.cancelled()
        migrate(BEFORE)
        execute("TRUNCATE billing_invoicehistory")

        migrate(LAST)

        invoice.refresh_from_db()
        assert invoice.cancelled_at == NOON
