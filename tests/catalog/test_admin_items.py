"""The product manager's lists and pages: figures, duplicates, and what cannot be deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.utils import timezone

from billing.services import subscriptions
from catalog.models import AddOn, Plan, TokenBundle
from catalog.services import items, prices
from tests.billing.purchases import check_out, pay, subscribe
from tests.catalog.desk import list_of, page_of, prices_of, signed_in
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    SubscriptionFactory,
    TokenBundleFactory,
    UserFactory,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODELS = ("plan", "tokenbundle", "addon")
ALL = [f"{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in MODELS]


@pytest.fixture
def manager(db):
    return signed_in(*ALL)


def shown(page, item) -> dict[str, str]:
    """What the list says of an item, by column."""
    changelist = page.context["cl"]
    row = next(row for row in changelist.result_list if row.pk == item.pk)
    admin = changelist.model_admin
    own = [name for name in changelist.list_display if hasattr(admin, name)]
    return {name: getattr(admin, name)(row) for name in own}


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
class TestFigures:
    def test_of_a_plan_are_its_live_subscribers_and_their_monthly_value(self, manager):
        plan = PlanFactory(prices={"USD": "29.00", "JPY": "2900"})
        for currency in ("USD", "USD", "JPY"):
            pay(check_out(UserFactory(), plan=plan, currency=currency, now=NOON).invoice, now=NOON)
        gone = subscribe(UserFactory(), plan=plan, now=NOON)
        subscriptions.cancel(subscription=gone, now=NOON)
        check_out(UserFactory(), plan=plan, now=NOON)
        subscribe(UserFactory(), plan=plan, now=datetime(2026, 1, 1, tzinfo=UTC))  # is over

        figures = shown(manager.get(list_of(Plan)), plan)

        assert figures["live_subscribers"] == 3
        assert figures["monthly_value"] == "¥2,900, $58.00"

    @pytest.mark.parametrize(
        ("period", "price", "value"),
        [
            ("weekly", "3.00", "$13.00"),
            ("monthly", "10.00", "$10.00"),
            ("quarterly", "10.00", "$3.33"),
            ("yearly", "100.00", "$8.33"),
            ("one_time", "100.00", "$0.00"),
        ],
    )
    def test_are_of_a_month_whatever_the_period(self, manager, period, price, value):
        plan = PlanFactory(billing_period=period, prices={"USD": price})
        subscribe(UserFactory(), plan=plan, now=NOON)

        assert shown(manager.get(list_of(Plan)), plan)["monthly_value"] == value

    def test_of_an_add_on_are_of_those_who_have_it(self, manager):
        add_on = AddOnFactory(prices={"USD": "5.00"})
        made = check_out(UserFactory(), plan=PlanFactory(), add_ons=[add_on], now=NOON)
        pay(made.invoice, now=NOON)

        figures = shown(manager.get(list_of(AddOn)), add_on)

        assert (figures["live_subscribers"], figures["monthly_value"]) == (1, "$5.00")

    def test_of_a_bundle_are_how_many_were_sold(self, manager):
        bundle = TokenBundleFactory()
        pay(check_out(UserFactory(), bundles=[bundle, bundle], now=NOON).invoice, now=NOON)
        check_out(UserFactory(), bundles=[bundle], now=NOON)

        assert shown(manager.get(list_of(TokenBundle)), bundle)["sold"] == 2

    def test_of_what_nobody_has_are_nothing(self, manager):
        plan = PlanFactory()

        figures = shown(manager.get(list_of(Plan)), plan)

        assert (figures["live_subscribers"], figures["monthly_value"]) == (0, "—")


@pytest.mark.django_db
class TestDeletion:
    def test_of_what_was_sold_offers_to_archive_it(self, manager):
        plan = SubscriptionFactory().plan

        page = manager.get(page_of(plan).replace("change", "delete"))
        archived = manager.post(page_of(plan).replace("change", "archive"))

        assert "it was sold" in page.content.decode()
        assert 'action="../archive/"' in page.content.decode()
        assert archived.status_code == 302
        plan.refresh_from_db()
        assert plan.archived_at is not None
        assert plan.is_active is False

    def test_of_what_is_archived_offers_nothing(self, manager):
        plan = SubscriptionFactory().plan
        items.archive(item=plan, now=timezone.now())

        page = manager.get(page_of(plan).replace("change", "delete")).content.decode()

        assert "It is archived already." in page
        assert 'action="../archive/"' not in page

    def test_of_what_was_never_sold_asks_as_ever(self, manager):
        plan = PlanFactory()

        page = manager.get(page_of(plan).replace("change", "delete")).content.decode()

        assert 'action="../archive/"' not in page
        assert "Are you sure" in page

    def test_offers_nothing_to_who_may_not_change_it(self, db):
        plan = SubscriptionFactory().plan
        client = signed_in("view_plan", "delete_plan")

        page = client.get(page_of(plan).replace("change", "delete")).content.decode()
        archived = client.post(page_of(plan).replace("change", "archive"))

        assert 'action="../archive/"' not in page
        assert archived.status_code == 403
        plan.refresh_from_db()
        assert plan.archived_at is None

    def test_is_not_archived_by_a_mere_visit(self, manager):
        plan = PlanFactory()

        assert manager.get(page_of(plan).replace("change", "archive")).status_code == 405
        plan.refresh_from_db()
        assert plan.archived_at is None


@pytest.mark.django_db
class TestDuplicate:
    def address(self, item):
        return page_of(item).replace("change", "duplicate")

    def test_asks_for_a_name_and_a_slug(self, manager):
        plan = PlanFactory(name="Pro", slug="pro")

        form = manager.get(self.address(plan)).context["form"]

        assert form.initial == {"name": "Pro (copy)", "slug": "pro-2"}

    @pytest.mark.parametrize(
        ("taken", "of", "proposed"),
        [
            (["a", "a-2"], "a-2", "a-3"),
            (["a", "a-2", "a-3"], "a-2", "a-4"),
            (["web-2"], "web-2", "web-2-2"),  # a name that ends so, and no copy
            (["a", "a-02"], "a-02", "a-02-2"),
            (["addons-plan", "addons-plan-2"], "addons-plan-2", "addons-plan-3"),
        ],
    )
    def test_of_a_copy_has_the_next_number(self, manager, taken, of, proposed):
        plans = {slug: PlanFactory(slug=slug) for slug in taken}

        form = manager.get(self.address(plans[of])).context["form"]

        assert form.initial["slug"] == proposed

    def test_has_a_heading(self, manager):
        plan = PlanFactory(name="Pro")

        page = manager.get(self.address(plan)).content.decode()

        assert ">Duplicate “Pro”</h2>" in page

    def test_makes_another_one_off_sale(self, manager):
        bound = PlanFactory()
        add_on = AddOnFactory(
            prices={"USD": "5.00", "JPY": "500"}, config={"seats": 3}, plans=[bound]
        )

        response = manager.post(self.address(add_on), {"name": "Other", "slug": "other"})

        made = AddOn.objects.get(slug="other")
        assert response["Location"] == page_of(made)
        assert (made.name, made.is_active, made.config) == ("Other", False, {"seats": 3})
        assert prices_of(made) == prices_of(add_on)
        assert list(made.plans.all()) == [bound]
        add_on.refresh_from_db()
        assert add_on.is_active

    def test_of_a_bundle_has_no_slug(self, manager):
        bundle = TokenBundleFactory(token_amount=500)

        manager.post(self.address(bundle), {"name": "Other"})

        assert TokenBundle.objects.get(name="Other").token_amount == 500

    @pytest.mark.parametrize(
        ("name", "slug", "error"),
        [
            ("", "other", "required"),
            ("Other", "", "required"),
            ("Other", "pro", "is taken"),
            ("Other", "addons", "an address of the API"),
            ("Other", "no slug", "valid"),
            ("x" * 101, "other", "at most 100"),
        ],
    )
    def test_says_what_is_wrong(self, manager, name, slug, error):
        plan = PlanFactory(slug="pro")

        response = manager.post(self.address(plan), {"name": name, "slug": slug})

        assert response.status_code == 200
        assert error in str(response.context["form"].errors)
        assert Plan.objects.count() == 1

    def test_is_for_who_may_add_one(self, db):
        plan = PlanFactory()
        client = signed_in("view_plan", "change_plan")

        page = client.get(page_of(plan)).content.decode()
        answers = [client.get(self.address(plan)), client.post(self.address(plan), {"name": "x"})]

        assert "duplicate" not in page.lower()
        assert [answer.status_code for answer in answers] == [403, 403]
        assert Plan.objects.count() == 1

    def test_has_a_button(self, manager):
        plan = PlanFactory()

        assert self.address(plan) in manager.get(page_of(plan)).content.decode()

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_the_item(self, held_by_another):
        plan = PlanFactory()

        with held_by_another(plan), pytest.raises(OperationalError, match="lock timeout"):
            items.duplicate(item=plan, name="Other", slug="other", now=timezone.now())

    def test_under_a_slug_that_was_taken_meanwhile_is_refused(self):
        plan = PlanFactory(slug="pro")

        with pytest.raises(items.SlugTaken):
            items.duplicate(item=plan, name="Other", slug="pro", now=timezone.now())

        assert Plan.objects.count() == 1


@pytest.mark.django_db
class TestPreview:
    def address(self, item):
        return page_of(item).replace("change", "preview")

    def test_shows_the_answer_of_the_public_api(self, manager, api):
        plan = PlanFactory(slug="pro", features={"seats": 5}, prices={"USD": "29.00"})
        public = api.get("/api/v1/tarif-plans/pro").json()

        page = manager.get(self.address(plan))

        assert json.loads(page.context["answer"]) == public
        assert page.context["absent"] == ""

    def test_shows_a_card(self, manager):
        bundle = TokenBundleFactory(name="Starter", token_amount=1500, prices={"USD": "5.00"})

        card = manager.get(self.address(bundle)).context["card"]

        assert card == {
            "name": "Starter",
            "description": bundle.description,
            "prices": ["$5.00"],
            "period": "once",
            "features": ["1,500 tokens"],
            "notes": [],
        }

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"trial_days": 14}, "14 days to try it, for nothing."),
            ({"trial_days": 1, "is_trial_paid": True}, "1 day to try it, paid in advance."),
            ({"prices": {"USD": ("29.00", "10.00")}}, "$10.00 for the setup, once."),
        ],
    )
    def test_says_what_it_costs_at_first(self, manager, columns, said):
        assert manager.get(self.address(PlanFactory(**columns))).context["card"]["notes"] == [said]

    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ({"is_active": False}, "It is off sale."),
            ({"is_active": False, "archived_at": NOON}, "It is archived."),
            ({"prices": {}}, "It has no price."),
        ],
    )
    def test_says_why_nobody_sees_it(self, manager, state, said):
        add_on = AddOnFactory(**state)

        assert said in manager.get(self.address(add_on)).content.decode()

    def test_takes_what_was_typed_for_text(self, manager):
        plan = PlanFactory(name="<b>Pro</b>", features=["<script>alert(1)</script>"])

        page = manager.get(self.address(plan)).content.decode()

        assert "<script>alert(1)" not in page
        assert "<b>Pro" not in page

    def test_is_for_who_may_look(self, db):
        plan = PlanFactory()

        assert signed_in("view_addon").get(self.address(plan)).status_code == 403
        assert signed_in("view_plan").get(self.address(plan)).status_code == 200


@pytest.mark.django_db
class TestSoldIn:
    @pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])
    def test_finds_what_has_a_price_in_the_currency_now(self, manager, factory):
        yen = factory(prices={"USD": "5.00", "JPY": "500"})
        dollar = factory(prices={"USD": "5.00"})
        was_yen = factory(prices={"USD": "5.00", "JPY": "500"})
        prices.withdraw_price(item=was_yen, currency="JPY", now=timezone.now())

        page = manager.get(list_of(type(yen)), {"currency": "JPY"})
        every = manager.get(list_of(type(yen)), {"currency": "USD"})

        assert list(page.context["cl"].result_list) == [yen]
        assert set(every.context["cl"].result_list) == {yen, dollar, was_yen}

    def test_of_no_currency_finds_nothing(self, manager):
        PlanFactory()

        page = manager.get(list_of(Plan), {"currency": "x' OR 1"})

        assert list(page.context["cl"].result_list) == []
