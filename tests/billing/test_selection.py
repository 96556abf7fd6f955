from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.services import selection, subscriptions
from billing.services.selection import Order
from tests.billing.purchases import subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOWHERE = UUID("019b0000-0000-7000-8000-000000000000")


@pytest.mark.django_db
class TestRead:
    def test_is_plan_then_bundles_then_add_ons_in_the_order_given(self, customer):
        plan = PlanFactory(name="Pro")
        bundles = [TokenBundleFactory(name=name) for name in ("B", "A")]
        add_ons = [AddOnFactory(name=name) for name in ("Y", "X")]
        order = Order(
            plan_id=plan.id,
            token_bundle_ids=(bundles[0].id, bundles[1].id, bundles[0].id),
            add_on_ids=(add_ons[0].id, add_ons[1].id),
        )

        chosen = selection.read(user=customer, order=order, now=NOON)

        assert [offer.name for offer in chosen.offers] == ["Pro", "B", "A", "B", "Y", "X"]
        assert chosen.currency == "USD"
        assert chosen.live_subscription is None

    @pytest.mark.parametrize("count", [1, 25])
    def test_is_one_statement_however_many_items_there_are(
        self, customer, django_assert_num_queries, count
    ):
        order = Order(
            plan_id=PlanFactory().id,
            token_bundle_ids=tuple(TokenBundleFactory().id for _ in range(count)),
            add_on_ids=tuple(AddOnFactory(plans=[]).id for _ in range(count)),
        )

        with django_assert_num_queries(1):
            selection.read(user=customer, order=order, now=NOON)

    def test_a_plan_beside_add_ons_does_not_ask_for_the_live_subscription(self, customer):
        """Whoever changes plans buys the add-ons anew, with the new plan."""
        subscribe(customer, plan=PlanFactory(), now=NOON)
        order = Order(plan_id=PlanFactory().id, add_on_ids=(AddOnFactory().id,))

        chosen = selection.read(user=customer, order=order, now=NOON)

        assert chosen.live_subscription is None

    def test_a_paused_subscription_is_live_however_long_the_pause(self, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.pause(subscription=live, now=NOON + timedelta(days=10))
        order = Order(add_on_ids=(AddOnFactory().id,))

        chosen = selection.read(user=customer, order=order, now=NOON + timedelta(days=100))

        assert chosen.live_subscription == live

    def test_a_cancelled_subscription_is_not_live_though_it_runs_on(self, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        subscriptions.cancel(subscription=live, now=NOON)
        order = Order(add_on_ids=(AddOnFactory().id,))

        with pytest.raises(selection.NoActiveSubscription):
            selection.read(user=customer, order=order, now=NOON)

    def test_a_subscription_is_live_to_the_moment_that_it_ends(self, customer):
        live = subscribe(customer, plan=PlanFactory(), now=NOON)
        order = Order(add_on_ids=(AddOnFactory().id,))

        chosen = selection.read(
            user=customer, order=order, now=live.expires_at - timedelta(microseconds=1)
        )
        assert chosen.live_subscription == live

        with pytest.raises(selection.NoActiveSubscription):
            selection.read(user=customer, order=order, now=live.expires_at)

    def test_a_subscription_that_never_ends_is_live(self, customer):
        live = subscribe(customer, plan=PlanFactory(billing_period="one_time"), now=NOON)
        order = Order(add_on_ids=(AddOnFactory().id,))

        chosen = selection.read(user=customer, order=order, now=NOON + timedelta(days=10_000))

        assert chosen.live_subscription == live

    def test_the_number_of_items_is_looked_at_before_the_database_is(
        self, customer, django_assert_num_queries
    ):
        order = Order(token_bundle_ids=(NOWHERE,) * 51)

        with django_assert_num_queries(0), pytest.raises(selection.TooManyItems):
            selection.read(user=customer, order=order, now=NOON)


class TestOrder:
    def test_as_json_is_what_was_asked_for(self):
        order = Order(plan_id=NOWHERE, add_on_ids=(NOWHERE,), currency="USD")

        assert order.as_json() == {
            "plan_id": "019b0000-0000-7000-8000-000000000000",
            "token_bundle_ids": [],
            "add_on_ids": ["019b0000-0000-7000-8000-000000000000"],
            "currency": "USD",
        }
