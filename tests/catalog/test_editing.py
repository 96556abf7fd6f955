"""New items and edited ones, of which several are made at the same moment."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import IntegrityError

from catalog.models import AddOn, Plan, Price, TokenBundle
from catalog.money import Money
from catalog.services import editing, prices
from catalog.services.items import ItemArchived
from tests.factories import AddOnFactory, PlanFactory
from tests.threads import overtaken

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 4, 1, 12, tzinfo=UTC)
NOBODY = UUID("019aa000-0000-7000-8000-000000000000")


def make(kind=Plan, price="29.00", now=NOW, plan_ids=(), **values):
    values = {"name": "Pro"} | values
    return editing.create(
        kind=kind,
        values=values,
        price=Money.parse(price, "USD"),
        plan_ids=plan_ids,
        now=now,
    )


@pytest.mark.django_db
class TestCreate:
    def test_gives_the_item_its_first_price_from_now_on(self):
        plan = make()

        price = plan.prices.get()
        assert (str(price.money), price.currency) == ("29.00", "USD")
        assert (price.valid_from, price.valid_until, plan.created_at) == (NOW, None, NOW)

    def test_takes_a_slug_as_it_is(self):
        assert make(slug="special").slug == "special"

    def test_makes_a_slug_of_the_name_where_there_is_none(self):
        assert [make().slug, make(slug="").slug] == ["pro", "pro-2"]

    def test_gives_a_bundle_none(self):
        bundle = make(TokenBundle, token_amount=500)

        assert TokenBundle.objects.get() == bundle

    def test_refuses_a_slug_that_is_taken(self):
        PlanFactory(slug="pro", prices={})

        with pytest.raises(editing.SlugTaken, match="slug") as refusal:
            make(slug="pro")

        assert refusal.value.code == "slug_taken"
        assert (Plan.objects.count(), Price.objects.count()) == (1, 0)

    def test_refuses_a_plan_the_slug_that_is_an_address(self):
        with pytest.raises(editing.SlugTaken):
            make(slug="addons")

        assert not Plan.objects.exists()

    def test_lets_an_add_on_have_the_slug_of_a_plan(self):
        PlanFactory(slug="pro")

        assert make(AddOn).slug == "pro"

    def test_refuses_a_negative_price_and_makes_nothing(self):
        with pytest.raises(prices.NegativePrice):
            make(price="-1")

        assert not Plan.objects.exists()

    def test_refuses_plans_that_are_not_there_and_makes_nothing(self):
        plan = PlanFactory()

        with pytest.raises(editing.UnknownPlans) as refusal:
            make(AddOn, plan_ids=[plan.pk, NOBODY])

        assert refusal.value.code == "unknown_plans"
        assert not AddOn.objects.exists()

    def test_does_not_call_another_fault_a_taken_slug(self):
        with pytest.raises(IntegrityError, match="bundle_has_tokens"):
            make(TokenBundle, token_amount=0)


@pytest.mark.django_db
class TestFreeSlug:
    @pytest.mark.parametrize(
        ("taken", "free"),
        [
            ([], "pro"),
            (["pro"], "pro-2"),
            (["pro", "pro-2"], "pro-3"),
            (["pro", "pro-3"], "pro-2"),
            (["pro-2"], "pro"),
            (["pro", "pro-max", "pro-99999999999"], "pro-2"),
        ],
    )
    def test_is_the_first_that_nobody_has(self, taken, free):
        for slug in taken:
            PlanFactory(slug=slug)

        assert editing.free_slug(kind=Plan, name="Pro") == free

    def test_leaves_room_for_the_number(self):
        first = make(name="x" * 100)
        second = make(name="x" * 100)

        assert (first.slug, second.slug) == ("x" * 90, "x" * 90 + "-2")

    def test_of_a_name_without_letters_is_the_kind(self):
        assert editing.free_slug(kind=AddOn, name="漢字") == "addon"


@pytest.mark.django_db
class TestEdit:
    def test_replaces_what_is_named_and_no_more(self):
        plan = PlanFactory(name="Pro", description="Good")

        editing.edit(item=plan, values={"name": "Max"}, now=NOW)

        plan.refresh_from_db()
        assert (plan.name, plan.description) == ("Max", "Good")

    def test_ends_the_old_price_and_never_rewrites_it(self):
        plan = make()

        editing.edit(item=plan, values={}, price=Money.parse("39", "USD"), now=LATER)

        rows = Price.objects.order_by("valid_from")
        assert [(str(row.money), row.valid_from, row.valid_until) for row in rows] == [
            ("29.00", NOW, LATER),
            ("39.00", LATER, None),
        ]

    def test_leaves_the_price_in_another_currency(self):
        plan = make()

        editing.edit(item=plan, values={}, price=Money.parse("27", "EUR"), now=LATER)

        assert sorted(str(row) for row in plan.prices.current(LATER)) == sorted(
            [Money.parse("29", "USD").for_people(), Money.parse("27", "EUR").for_people()]
        )

    def test_refuses_to_sell_what_is_archived(self):
        plan = PlanFactory(is_active=False, archived_at=NOW, name="Pro")

        with pytest.raises(ItemArchived):
            editing.edit(item=plan, values={"is_active": True, "name": "New"}, now=LATER)

        plan.refresh_from_db()
        assert (plan.is_active, plan.name) == (False, "Pro")

    def test_refuses_a_taken_slug_and_changes_nothing(self):
        PlanFactory(slug="pro")
        plan = PlanFactory(slug="max", name="Max", prices={})

        with pytest.raises(editing.SlugTaken):
            editing.edit(
                item=plan,
                values={"slug": "pro", "name": "New"},
                price=Money.parse("1", "USD"),
                now=NOW,
            )

        plan.refresh_from_db()
        assert (plan.slug, plan.name, plan.prices.count()) == ("max", "Max", 0)

    def test_keeps_its_own_slug(self):
        plan = PlanFactory(slug="pro")

        assert editing.edit(item=plan, values={"slug": "pro"}, now=NOW).slug == "pro"

    def test_refuses_unknown_plans_and_changes_nothing(self):
        plan = PlanFactory()
        add_on = AddOnFactory(name="Old", plans=[plan])

        with pytest.raises(editing.UnknownPlans):
            editing.edit(item=add_on, values={"name": "New"}, plan_ids=[NOBODY], now=NOW)

        add_on.refresh_from_db()
        assert (add_on.name, list(add_on.plans.all())) == ("Old", [plan])


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_a_made_slug_that_was_taken_meanwhile_gets_the_next_number(self):
        made = overtaken(make, by=lambda: PlanFactory(slug="pro", prices={}))

        assert made.slug == "pro-2"
        assert Price.objects.count() == 1

    def test_a_named_slug_that_was_taken_meanwhile_is_refused(self):
        with pytest.raises(editing.SlugTaken):
            overtaken(lambda: make(slug="pro"), by=lambda: PlanFactory(slug="pro"))

        assert Plan.objects.count() == 1

    def test_two_edits_of_one_item_both_hold(self):
        plan = PlanFactory(name="Pro", description="Good")

        overtaken(
            lambda: editing.edit(item=plan, values={"name": "Max"}, now=NOW),
            by=lambda: editing.edit(item=plan, values={"description": "Better"}, now=NOW),
        )

        plan.refresh_from_db()
        assert (plan.name, plan.description) == ("Max", "Better")

    def test_an_add_on_that_is_made_waits_for_a_plan_that_is_being_deleted(self):
        plan = PlanFactory()
        pk = plan.pk  # of an instance that is deleted it is None

        with pytest.raises(editing.UnknownPlans):
            overtaken(lambda: make(AddOn, plan_ids=[pk]), by=plan.delete)

        assert not AddOn.objects.exists()

    def test_an_add_on_that_is_edited_waits_for_a_plan_that_is_being_deleted(self):
        plan, add_on = PlanFactory(), AddOnFactory(name="Old")
        pk = plan.pk

        with pytest.raises(editing.UnknownPlans):
            overtaken(
                lambda: editing.edit(item=add_on, values={"name": "New"}, plan_ids=[pk], now=NOW),
                by=plan.delete,
            )

        add_on.refresh_from_db()
        assert (add_on.name, add_on.plans.count()) == ("Old", 0)
