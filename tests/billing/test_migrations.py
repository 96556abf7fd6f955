"""
What the migrations make of rows that were there before.

Going all the way back and coming again takes a quarter of a minute, so it is done once for all:
each class has its rows, of its time, from the one journey.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from billing.models import AddOnSubscription, Invoice, Subscription
from billing.services import subscriptions
from tests.billing.purchases import check_out
from tests.billing.test_roles import CATALOGUE, FINANCE, SUPPORT, permissions_of
from tests.factories import AddOnFactory, PlanFactory, SubscriptionFactory, UserFactory

# One worker makes the journey for all of them.
pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("migrations")]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# The migration asks the database for the time.
PAST = datetime(2026, 4, 1, 12, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def migrate(name: str) -> None:
    MigrationExecutor(connection).migrate([("billing", name)])


def migrate_to_the_last() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("billing"))


def execute(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


class EarlierRows:
    """
    A monthly plan and add-on, an add-on that is paid for once, and what customers had of them.

    The rows are written by hand: today's models have columns that there were not then.
    """

    def catalogue(self) -> dict[str, str]:
        plan, add_on = PlanFactory(name="Pro"), AddOnFactory(name="Support")
        once = AddOnFactory(name="Import", billing_period="one_time")
        return {
            "plan": str(plan.pk),
            "plan_price": str(plan.prices.get().pk),
            "add_on": str(add_on.pk),
            "add_on_price": str(add_on.prices.get().pk),
            "once": str(once.pk),
            "once_price": str(once.prices.get().pk),
        }

    def subscription(
        self,
        ids: dict[str, str],
        *,
        status: str = "active",
        started_at: datetime | None = NOON,
        expires_at: datetime | None = None,
        cancelled_at: datetime | None = None,
    ) -> uuid.UUID:
        pk = uuid.uuid4()
        execute(
            """
            INSERT INTO billing_subscription
                   (id, user_id, status, plan_id, price_id, name, amount, currency, billing_period,
                    started_at, expires_at, cancelled_at, cancel_reason, paused_at, created_at)
            VALUES (%s, %s, %s, %s, %s, 'Pro', 29, 'USD', 'monthly', %s, %s, %s, '', %s, %s)
            """,
            *(pk, UserFactory().pk, status, ids["plan"], ids["plan_price"], started_at, expires_at),
            *(cancelled_at, NOON if status == "paused" else None, NOON),
        )
        return pk

    def add_on(
        self,
        ids: dict[str, str],
        subscription: uuid.UUID,
        *,
        billing_period: str = "monthly",
        expires_at: datetime | None,
    ) -> uuid.UUID:
        pk, invoice = uuid.uuid4(), uuid.uuid4()
        kind = "once" if billing_period == "one_time" else "add_on"
        execute(
            """
            INSERT INTO billing_invoice
                   (id, number, user_id, subscription_id, buyer, currency, subtotal, tax_amount,
                    total_amount, status, payment_method, payment_ref, invoiced_at, paid_at)
            SELECT %s, %s, user_id, id, '{}', 'USD', 0, 0, 0, 'paid', 'none', '', %s, %s
              FROM billing_subscription WHERE id = %s
            """,
            *(invoice, f"INV-{invoice.hex[:8]}", NOON, NOON, subscription),
        )
        execute(
            """
            INSERT INTO billing_addonsubscription
                   (id, user_id, status, add_on_id, price_id, name, amount, currency,
                    billing_period, started_at, expires_at, cancel_reason, created_at,
                    subscription_id, invoice_id)
            SELECT %s, user_id, 'active', %s, %s, 'Support', 5, 'USD', %s, %s, %s, '', %s, id, %s
              FROM billing_subscription WHERE id = %s
            """,
            *(pk, ids[kind], ids[f"{kind}_price"], billing_period, NOON, expires_at, NOON),
            *(invoice, subscription),
        )
        return pk


@dataclass(slots=True)
class Journey:
    """There and back, with what was put down on the way."""

    rows: dict[str, uuid.UUID] = field(default_factory=dict)
    change: Any = None
    left: set[str] = field(default_factory=set)
    customer: User | None = None

    def make(self) -> None:
        self._set_out()
        migrate("0002_initial")
        self._before_there_were_roles()
        migrate("0003_roles")
        execute(
            "DELETE FROM billing_invoicehistory WHERE pgh_obj_id = %s", self.rows["without history"]
        )
        migrate("0006_moments_are_kept")
        self._before_anything_renewed()
        migrate_to_the_last()

    def _set_out(self) -> None:
        """With what is to outlive going back as well as coming again."""
        with_history, without = _cancelled(), _cancelled()
        (self.change,) = with_history.history.all()
        pending = check_out(UserFactory(), plan=PlanFactory(), now=NOON).invoice
        kept = SubscriptionFactory(started_at=NOON, expires_at=FAR)
        self.rows |= {
            "with history": with_history.pk,
            "without history": without.pk,
            "pending invoice": pending.pk,
            "kept": kept.pk,
        }

    def _before_there_were_roles(self) -> None:
        """A group that has the name of a role, and of the permissions only the one it has."""
        self.left = set(Group.objects.values_list("name", flat=True))
        Permission.objects.all().delete()
        theirs = Group.objects.create(name="Support")
        plan = ContentType.objects.get(app_label="catalog", model="plan")
        theirs.permissions.create(codename="view_plan", name="Can view plan", content_type=plan)
        self.customer = UserFactory()
        self.customer.groups.add(theirs)

    def _before_anything_renewed(self) -> None:
        earlier = EarlierRows()
        ids = earlier.catalogue()
        runs = earlier.subscription(ids, expires_at=FAR)
        over = earlier.subscription(ids, expires_at=PAST)
        self.rows |= {
            "runs": runs,
            "monthly": earlier.add_on(ids, runs, expires_at=FAR),
            "once": earlier.add_on(ids, runs, billing_period="one_time", expires_at=FAR),
            "over": over,
            "with it": earlier.add_on(ids, over, expires_at=PAST),
            "pending": earlier.subscription(ids, status="pending", started_at=None),
            "paused": earlier.subscription(ids, status="paused", expires_at=PAST),
            "ended": earlier.subscription(
                ids, status="cancelled", expires_at=PAST, cancelled_at=NOON
            ),
            "endless": earlier.subscription(ids, expires_at=None),
        }


def _cancelled() -> Invoice:
    made = check_out(UserFactory(), plan=PlanFactory(), now=NOON)
    subscriptions.cancel(subscription=made.subscription, now=NOON)
    return made.invoice


@pytest.fixture(scope="module")
def journey(django_db_setup: None, django_db_blocker: Any) -> Iterator[Journey]:
    journey = Journey()
    with django_db_blocker.unblock():
        try:
            journey.make()
        finally:
            migrate_to_the_last()
    yield journey
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture
def made(journey: Journey) -> dict[str, uuid.UUID]:
    return journey.rows


class TestRoles:
    def test_are_taken_away_on_the_way_back(self, journey):
        assert journey.left == set()

    def test_are_made_again_with_permissions_that_were_not_there(self, journey):
        assert permissions_of(Group.objects.get(name="Catalogue")) == CATALOGUE
        assert permissions_of(Group.objects.get(name="Finance")) == FINANCE

    def test_leave_a_group_of_that_name_what_it_had(self, journey):
        theirs = Group.objects.get(name="Support")

        assert permissions_of(theirs) == {*SUPPORT, "catalog.view_plan"}
        assert list(journey.customer.groups.all()) == [theirs]


class TestMomentsOfCancellation:
    """There was no such column when these invoices were cancelled."""

    def test_are_those_of_the_history(self, journey, made):
        invoice = Invoice.objects.get(pk=made["with history"])

        assert (invoice.status, invoice.cancelled_at) == (
            "cancelled",
            journey.change.pgh_created_at,
        )

    def test_without_a_history_are_those_of_the_invoice(self, made):
        invoice = Invoice.objects.get(pk=made["without history"])

        assert (invoice.status, invoice.cancelled_at) == ("cancelled", NOON)

    def test_are_none_of_what_was_not_cancelled(self, made):
        invoice = Invoice.objects.get(pk=made["pending invoice"])

        assert (invoice.status, invoice.cancelled_at) == ("pending", None)


class TestPeriodsOfWhatRuns:
    """Nothing renewed by itself until then: what is over has expired, what runs has its period."""

    def test_go_back_and_come_again(self, made):
        assert Subscription.objects.get(pk=made["kept"]).anchor_at == NOON

    def test_of_what_runs_begin_where_it_started(self, made):
        subscription = Subscription.objects.get(pk=made["runs"])
        assert (subscription.status, subscription.expires_at) == ("active", FAR)
        assert (subscription.anchor_at, subscription.period_start) == (NOON, NOON)
        assert (subscription.period_value, subscription.quantity) == (Decimal("29.000"), 1)
        assert (subscription.setup_fee, subscription.trial_days) == (Decimal(0), 0)
        add_on = AddOnSubscription.objects.get(pk=made["monthly"])
        assert (add_on.status, add_on.expires_at, add_on.paid_until) == ("active", FAR, FAR)
        assert (add_on.anchor_at, add_on.period_start) == (NOON, NOON)
        assert (add_on.period_value, add_on.quantity) == (Decimal("5.000"), 1)

    def test_of_an_add_on_that_was_paid_for_once_never_end(self, made):
        add_on = AddOnSubscription.objects.get(pk=made["once"])
        assert (add_on.status, add_on.expires_at, add_on.paid_until) == ("active", FAR, None)

    def test_that_are_over_leave_an_expired_one(self, made):
        subscription = Subscription.objects.get(pk=made["over"])
        assert (subscription.status, subscription.expires_at) == ("expired", PAST)
        assert subscription.cancel_reason == ""
        assert subscription.period_value == Decimal("29.000")
        assert AddOnSubscription.objects.get(pk=made["with it"]).status == "expired"

    def test_are_none_of_what_never_started(self, made):
        subscription = Subscription.objects.get(pk=made["pending"])
        assert (subscription.status, subscription.anchor_at) == ("pending", None)
        assert (subscription.period_start, subscription.period_value) == (None, Decimal(0))

    def test_leave_what_is_paused_cancelled_or_never_ends_as_it_was(self, made):
        names = ("paused", "ended", "endless")
        found = [Subscription.objects.get(pk=made[name]).status for name in names]
        assert found == ["paused", "cancelled", "active"]
        assert Subscription.objects.get(pk=made["paused"]).anchor_at == NOON
