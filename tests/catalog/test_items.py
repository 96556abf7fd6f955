import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.models import Subscription
from catalog.models import AddOn, Plan, Price, TokenBundle
from catalog.services import items
from tests.factories import AddOnFactory, PlanFactory, SubscriptionFactory, TokenBundleFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)

EVERY_KIND = pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])


@pytest.mark.django_db
class TestActivate:
    @EVERY_KIND
    def test_puts_the_item_on_sale(self, factory):
        item = factory(is_active=False)

        items.activate(item=item)

        assert list(type(item).objects.on_sale()) == [item]

    @EVERY_KIND
    def test_refuses_what_is_archived(self, factory):
        item = factory(is_active=False, archived_at=NOW)

        with pytest.raises(items.ItemArchived) as refusal:
            items.activate(item=item)

        assert refusal.value.code == "item_archived"
        item.refresh_from_db()
        assert (item.is_active, item.archived_at) == (False, NOW)

    def test_looks_at_the_row_and_not_at_what_the_caller_read(self):
        plan = PlanFactory()
        stale = Plan.objects.get(pk=plan.pk)
        items.archive(item=plan, now=NOW)

        with pytest.raises(items.ItemArchived):
            items.activate(item=stale)


@pytest.mark.django_db
class TestDeactivate:
    @EVERY_KIND
    def test_takes_the_item_off_sale(self, factory):
        item = factory()

        items.deactivate(item=item)

        assert not type(item).objects.on_sale().exists()

    def test_changes_nothing_else(self):
        plan = PlanFactory(name="Pro")
        stale = Plan.objects.get(pk=plan.pk)
        Plan.objects.update(name="Pro 2")

        items.deactivate(item=stale)

        assert Plan.objects.get().name == "Pro 2"


@pytest.mark.django_db
class TestArchive:
    @EVERY_KIND
    def test_takes_the_item_off_sale_for_good(self, factory):
        item = factory()

        archived = items.archive(item=item, now=NOW)

        assert (archived.is_active, archived.archived_at) == (False, NOW)
        assert not type(item).objects.on_sale().exists()

    def test_keeps_the_date_the_second_time(self):
        plan = PlanFactory()
        items.archive(item=plan, now=NOW)

        items.archive(item=plan, now=LATER)

        assert Plan.objects.get().archived_at == NOW

    def test_the_database_knows_nothing_archived_on_sale(self):
        with (
            pytest.raises(IntegrityError, match="plan_archived_is_not_on_sale"),
            transaction.atomic(),
        ):
            PlanFactory(is_active=True, archived_at=NOW)


@pytest.mark.django_db
class TestRestore:
    @EVERY_KIND
    def test_lets_the_item_be_activated_again(self, factory):
        item = factory(is_active=False, archived_at=NOW)

        restored = items.restore(item=item)

        assert (restored.is_active, restored.archived_at) == (False, None)
        assert items.activate(item=item).is_active

    def test_leaves_what_is_not_archived_on_sale(self):
        plan = PlanFactory()

        items.restore(item=plan)

        assert Plan.objects.get().is_active


@pytest.mark.django_db
class TestDelete:
    @EVERY_KIND
    def test_removes_what_nobody_bought_with_its_prices(self, factory):
        item = factory()

        items.delete(item=item)

        assert not type(item).objects.exists()
        assert not Price.objects.exists()

    def test_refuses_a_plan_that_was_sold(self):
        plan = PlanFactory()
        SubscriptionFactory(plan=plan)

        with pytest.raises(items.ItemInUse, match="it was sold") as refusal:
            items.delete(item=plan)

        assert refusal.value.code == "item_in_use"
        assert Plan.objects.filter(pk=plan.pk).exists()
        assert plan.prices.count() == 1

    def test_refuses_a_plan_that_an_add_on_is_bound_to(self):
        plan = PlanFactory()
        add_on = AddOnFactory(name="Priority support", plans=[plan])

        with pytest.raises(items.ItemInUse, match="Priority support"):
            items.delete(item=plan)

        assert list(add_on.plans.all()) == [plan]

    def test_lets_an_add_on_go_that_is_bound_to_a_plan(self):
        plan = PlanFactory()

        items.delete(item=AddOnFactory(plans=[plan]))

        assert not AddOn.objects.exists()
        assert list(Plan.objects.all()) == [plan]


@pytest.mark.django_db(transaction=True)
class TestLock:
    @pytest.mark.parametrize(
        "change",
        [
            lambda item: items.activate(item=item),
            lambda item: items.deactivate(item=item),
            lambda item: items.archive(item=item, now=NOW),
            lambda item: items.restore(item=item),
            lambda item: items.delete(item=item),
        ],
        ids=["activate", "deactivate", "archive", "restore", "delete"],
    )
    def test_waits_for_whoever_holds_the_item(self, change, held_by_another):
        bundle = TokenBundleFactory()

        with (
            held_by_another(bundle),
            CaptureQueriesContext(connection) as sent,
            pytest.raises(OperationalError, match="lock timeout"),
        ):
            change(bundle)

        # It waits before it looks at the row, not only when it writes.
        statements = [query["sql"] for query in sent.captured_queries]
        assert not any(sql.startswith(("UPDATE", "DELETE")) for sql in statements)
        assert TokenBundle.objects.get().is_active


@pytest.mark.django_db(transaction=True)
class TestDeleteMeanwhile:
    def test_refuses_what_is_sold_after_it_looked(self):
        plan = PlanFactory()

        with ThreadPoolExecutor(1) as other:
            with transaction.atomic():
                _keep_from_being_deleted(plan)
                deletion = other.submit(_in_its_own_connection, items.delete, item=plan)
                _wait_until_somebody_waits_for_a_lock()
                SubscriptionFactory(plan=plan)

            with pytest.raises(items.ItemInUse):
                deletion.result(timeout=10)

        assert Subscription.objects.get().plan == plan


def _keep_from_being_deleted(plan: Plan) -> None:
    """As the database does for a row that another one comes to refer to; others may lock it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM catalog_plan WHERE id = %s FOR KEY SHARE", [plan.pk])


def _in_its_own_connection(function, **arguments):
    try:
        return function(**arguments)
    finally:
        connection.close()


def _wait_until_somebody_waits_for_a_lock() -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else it shows the first look again
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone():
                return
        time.sleep(0.02)
    pytest.fail("Nobody waits for a lock.")
