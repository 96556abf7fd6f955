from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from catalog.models import AddOn, Plan, Price, TokenBundle
from catalog.money import Money
from catalog.services import prices
from tests.catalog.desk import errors, filled_in, list_of, page_of, prices_of, save, signed_in
from tests.factories import AddOnFactory, PlanFactory, SubscriptionFactory, TokenBundleFactory
from tests.threads import overtaken

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIST = reverse("admin:catalog_plan_changelist")
ADD = reverse("admin:catalog_plan_add")

EVERY_KIND = pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])


@pytest.mark.django_db
class TestAdd:
    def test_makes_a_plan_with_two_prices(self, staff):
        form = filled_in(
            staff.get(ADD),
            prices=[("USD", "29.00"), ("JPY", "2900")],
            name="Pro",
            slug="pro",
            features='["Ten seats"]',
        )

        response = staff.post(ADD, form)

        assert response.status_code == 302
        plan = Plan.objects.get()
        assert (plan.name, plan.slug, plan.features) == ("Pro", "pro", ["Ten seats"])
        assert prices_of(plan) == ["2900 JPY", "29.00 USD"]

    def test_makes_a_bundle(self, staff):
        url = reverse("admin:catalog_tokenbundle_add")
        form = filled_in(
            staff.get(url), prices=[("USD", "5")], name="500 tokens", token_amount="500"
        )

        assert staff.post(url, form).status_code == 302

        assert TokenBundle.objects.get().token_amount == 500
        assert prices_of(TokenBundle.objects.get()) == ["5.00 USD"]

    def test_makes_an_add_on_for_a_plan(self, staff):
        plan = PlanFactory()
        url = reverse("admin:catalog_addon_add")
        form = filled_in(
            staff.get(url), prices=[("USD", "9")], name="Support", slug="support", plans=[plan.pk]
        )

        assert staff.post(url, form).status_code == 302

        assert list(AddOn.objects.get().plans.all()) == [plan]
        assert prices_of(AddOn.objects.get()) == ["9.00 USD"]

    def test_makes_a_plan_that_has_no_price_yet(self, staff):
        form = filled_in(staff.get(ADD), name="Pro", slug="pro")

        assert staff.post(ADD, form).status_code == 302

        assert prices_of(Plan.objects.get()) == []

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([("JPY", "29.50")], "JPY has 0"),
            ([("USD", "29.001")], "USD has 2"),
            ([("USD", "-1.00")], "cannot be negative"),
            ([("USD", "29.00"), ("USD", "30.00")], "USD has more"),
            ([("DEM", "29.00")], "Select a valid choice"),
            ([("", "29.00")], "required"),
            ([("USD", "")], "required"),
            ([("USD", "NaN")], "Enter a number"),
            ([("USD", "1e400")], "no more than"),
            ([("USD", "999999999999999")], "no more than"),
            ([("USD", "29\0")], "Enter a number"),
        ],
    )
    def test_shows_what_is_wrong_with_the_prices(self, staff, rows, message):
        form = filled_in(staff.get(ADD), prices=rows, name="Pro", slug="pro")

        response = staff.post(ADD, form)

        assert message in errors(response)
        assert not Plan.objects.exists()
        assert not Price.objects.exists()

    @pytest.mark.parametrize(
        ("field", "text", "message"),
        [
            ("features", "{", "valid JSON"),
            ("features", '"text"', "an object or a list"),
            ("features", "29", "an object or a list"),
            ("features", "[NaN]", "valid JSON"),
            ("features", "[1e400]", "valid JSON"),
            ("features", "[" + "1" * 5000 + "]", "valid JSON"),
            ("features", '["\\ud800"]', "valid JSON"),
            ("features", '["\\u0000"]', "Null characters"),
            ("features", '{"\\u0000": 1}', "Null characters"),
            ("features", "[" * 21 + "]" * 21, "20 levels"),
            ("features", "[" * 5000 + "]" * 5000, "valid JSON"),
            ("slug", "addons", "choose another"),
            ("slug", "no spaces", "slug"),
            ("slug", "taken", "already exists"),
            ("name", "", "required"),
            ("name", "Pro\0", "Null characters"),
            ("name", "x" * 101, "at most 100"),
            ("sort_order", "9" * 20, "less than or equal"),
            ("default_currency", "DEM", "Select a valid choice"),
            ("billing_period", "daily", "Select a valid choice"),
        ],
    )
    def test_shows_what_is_wrong_with_the_plan(self, staff, field, text, message):
        PlanFactory(slug="taken")
        form = filled_in(staff.get(ADD), **{"name": "Pro", "slug": "pro", field: text})

        response = staff.post(ADD, form)

        assert message in errors(response)
        assert Plan.objects.count() == 1

    @pytest.mark.parametrize("text", ["", "null"])
    def test_takes_no_features_for_none(self, staff, text):
        form = filled_in(staff.get(ADD), name="Pro", slug="pro", features=text)

        response = staff.post(ADD, form)

        if text:
            assert "an object or a list" in errors(response)
        else:
            assert Plan.objects.get().features == []

    @pytest.mark.parametrize("text", ["[]", "29"])
    def test_wants_an_object_for_the_configuration_of_an_add_on(self, staff, text):
        url = reverse("admin:catalog_addon_add")
        form = filled_in(staff.get(url), name="Support", slug="support", config=text)

        assert "must be an object" in errors(staff.post(url, form))

    @pytest.mark.parametrize("amount", ["0", "-1", "", "1.5", "1000000000001", "9" * 30])
    def test_wants_a_bundle_to_have_tokens(self, staff, amount):
        url = reverse("admin:catalog_tokenbundle_add")
        form = filled_in(staff.get(url), name="Tokens", token_amount=amount)

        assert "token_amount" in errors(staff.post(url, form))
        assert not TokenBundle.objects.exists()


@pytest.mark.django_db
class TestPage:
    def test_edits_the_prices_of_now_and_to_come_and_lists_the_others(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        now = timezone.now()
        for amount, moment in (("31.00", None), ("35.00", now + timedelta(days=30))):
            money = Money.parse(amount, "USD")
            prices.set_price(item=plan, money=money, now=now, valid_from=moment)

        page = staff.get(page_of(plan))

        form = filled_in(page)
        assert str(form["prices-0-amount"]) == "31.00"
        assert form["prices-TOTAL_FORMS"] == 2
        text = page.content.decode()
        assert "$29.00" in text
        assert "ended" in text
        assert "taken back" not in text

    def test_refuses_to_put_on_sale_what_is_archived(self, staff):
        plan = PlanFactory(is_active=False, archived_at=NOW)
        form = filled_in(staff.get(page_of(plan)), is_active="on")

        response = save(staff, plan, form)

        assert "restore it" in errors(response)
        assert not Plan.objects.get().is_active

    @pytest.mark.parametrize("path", ["nonsense/change/", "a%00b/change/", "x/delete/"])
    def test_leads_back_to_the_list_from_what_does_not_exist(self, staff, path):
        assert staff.get(LIST + path).status_code == 302

    def test_prices_have_none_of_their_own(self):
        assert not admin.site.is_registered(Price)

    @EVERY_KIND
    @pytest.mark.parametrize("size", [1, 8])
    def test_costs_the_same_whatever_the_number_of_prices(
        self, staff, factory, size, django_assert_num_queries
    ):
        currencies = ["USD", "EUR", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN"]
        item = factory(prices=dict.fromkeys(currencies[:size], "29.00"))
        staff.get(page_of(item))  # Django keeps content types in memory from here on

        with django_assert_num_queries(9 if factory is AddOnFactory else 8):
            staff.get(page_of(item))


@pytest.mark.django_db
class TestList:
    @EVERY_KIND
    def test_shows_prices_in_every_currency(self, staff, factory):
        item = factory(prices={"USD": "29.00", "JPY": "2900"})
        prices.set_price(item=item, money=Money.parse("31.00", "USD"), now=timezone.now())

        text = staff.get(list_of(type(item))).content.decode()

        assert "¥2,900, $31.00" in text
        assert "$29.00" not in text

    @EVERY_KIND
    @pytest.mark.parametrize("size", [1, 12])
    def test_costs_the_same_whatever_the_number_of_rows(
        self, staff, factory, size, django_assert_num_queries
    ):
        items = factory.create_batch(size, prices={"USD": "29.00", "EUR": "27.00"})

        # session, user, two counts, rows, prices; the add-ons' filter asks for the plans.
        with django_assert_num_queries(10 if factory is AddOnFactory else 9):
            page = staff.get(list_of(type(items[0])))

        assert len(page.context["cl"].result_list) == size

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=team", ["Team"]),
            ("q=solo-slug", ["Solo"]),
            ("is_active__exact=0", ["Old"]),
            ("archived_at__isempty=0", ["Old"]),
            ("billing_period__exact=yearly", ["Team"]),
        ],
    )
    def test_is_searched_and_filtered(self, staff, query, found):
        PlanFactory(name="Solo", slug="solo-slug")
        PlanFactory(name="Team", billing_period="yearly")
        PlanFactory(name="Old", is_active=False, archived_at=NOW)

        page = staff.get(f"{LIST}?{query}")

        assert [plan.name for plan in page.context["cl"].result_list] == found

    def test_survives_a_nul_in_the_search(self, staff):
        assert staff.get(LIST, {"q": "\0"}).status_code == 200

    def test_changes_the_order(self, staff):
        plan = PlanFactory(name="Pro")

        response = staff.post(
            LIST,
            {
                "form-TOTAL_FORMS": 1,
                "form-INITIAL_FORMS": 1,
                "form-0-id": plan.pk,
                "form-0-sort_order": 7,
                "_save": "Save",
            },
        )

        assert response.status_code == 302
        assert Plan.objects.get().sort_order == 7

    def act(self, client, action, *items):
        return client.post(
            list_of(type(items[0])),
            {"action": action, "_selected_action": [item.pk for item in items]},
            follow=True,
        )

    @EVERY_KIND
    def test_takes_off_sale_archives_and_restores(self, staff, factory):
        item = factory()

        def state():
            item.refresh_from_db()
            return item.is_active, item.archived_at is not None

        seen = []
        for action in ("deactivate", "activate", "archive", "restore", "activate"):
            self.act(staff, action, item)
            seen.append(state())

        assert seen == [
            (False, False),
            (True, False),
            (False, True),
            (False, False),
            (True, False),
        ]

    def test_says_what_it_refused_and_does_the_rest(self, staff):
        old = PlanFactory(name="Old", is_active=False, archived_at=NOW)
        new = PlanFactory(name="New", is_active=False)

        page = self.act(staff, "activate", old, new)

        messages = [str(message) for message in page.context["messages"]]
        assert messages == [
            "“Old” is archived: restore it before it goes on sale.",
            "1 tariff plan put on sale.",
        ]
        assert list(Plan.objects.on_sale()) == [new]

    def test_deletes_nothing_in_bulk(self, staff):
        plan = PlanFactory()

        self.act(staff, "delete_selected", plan)

        assert list(Plan.objects.all()) == [plan]


@pytest.mark.django_db
class TestDelete:
    def delete(self, client, item):
        url = reverse(f"admin:catalog_{item._meta.model_name}_delete", args=[item.pk])
        return client.post(url, {"post": "yes"}, follow=True)

    @EVERY_KIND
    def test_removes_what_was_never_sold(self, staff, factory):
        item = factory()

        assert self.delete(staff, item).status_code == 200

        assert not type(item).objects.exists()

    def test_shows_who_bought_what_was_sold(self, staff):
        plan = PlanFactory(name="Pro")
        SubscriptionFactory(plan=plan)

        page = self.delete(staff, plan)

        assert "cannot be deleted: it was sold" in page.content.decode()
        assert "Pro (pending)" in page.content.decode()
        assert list(Plan.objects.all()) == [plan]

    def test_refuses_a_plan_that_an_add_on_is_bound_to(self, staff):
        plan = PlanFactory()
        AddOnFactory(name="Priority support", plans=[plan])

        page = self.delete(staff, plan)

        assert "“Priority support” is bound to it" in page.content.decode()
        assert list(Plan.objects.all()) == [plan]


@pytest.mark.django_db
class TestViewer:
    @EVERY_KIND
    def test_looks(self, viewer, factory):
        item = factory(prices={"USD": "29.00"})

        assert viewer.get(list_of(type(item))).status_code == 200
        page = viewer.get(page_of(item))
        assert page.status_code == 200
        assert "29.00" in page.content.decode()

    def test_changes_neither_plan_nor_price(self, viewer):
        plan = PlanFactory(name="Pro", prices={"USD": "29.00"})
        sent = {
            "name": "Other",
            "prices-TOTAL_FORMS": 2,
            "prices-INITIAL_FORMS": 1,
            "prices-0-id": plan.prices.get().pk,
            "prices-0-amount": "1.00",
            "prices-1-currency": "EUR",
            "prices-1-amount": "1.00",
        }

        assert viewer.post(page_of(plan), sent).status_code == 403

        assert Plan.objects.get().name == "Pro"
        assert prices_of(plan) == ["29.00 USD"]

    def test_adds_and_deletes_nothing(self, viewer):
        plan = PlanFactory()

        assert viewer.get(ADD).status_code == 403
        assert viewer.post(ADD, {"name": "Other", "slug": "other"}).status_code == 403
        delete = reverse("admin:catalog_plan_delete", args=[plan.pk])
        assert viewer.post(delete, {"post": "yes"}).status_code == 403

        assert list(Plan.objects.all()) == [plan]

    def test_changes_no_order(self, viewer):
        plan = PlanFactory()
        sent = {
            "form-TOTAL_FORMS": 1,
            "form-INITIAL_FORMS": 1,
            "form-0-id": plan.pk,
            "form-0-sort_order": 7,
            "_save": "Save",
        }

        assert viewer.post(LIST, sent).status_code == 403

        assert Plan.objects.get().sort_order == 0

    @pytest.mark.parametrize("action", ["activate", "deactivate", "archive", "restore"])
    def test_acts_on_nothing(self, viewer, action):
        active = PlanFactory()
        archived = PlanFactory(is_active=False, archived_at=NOW)

        viewer.post(LIST, {"action": action, "_selected_action": [active.pk, archived.pk]})

        assert list(Plan.objects.on_sale()) == [active]
        assert Plan.objects.get(pk=archived.pk).archived_at == NOW

    def test_who_may_change_plans_may_change_their_prices(self):
        client = signed_in("view_plan", "change_plan")
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(client.get(page_of(plan)), prices=[("USD", "31.00"), ("EUR", "27.00")])

        assert save(client, plan, form).status_code == 302

        assert prices_of(plan) == ["27.00 EUR", "31.00 USD"]


@pytest.mark.django_db(transaction=True)
class TestLock:
    def test_saving_waits_for_whoever_holds_the_item(self, staff, held_by_another):
        plan = PlanFactory()
        form = filled_in(staff.get(page_of(plan)), name="")  # refused: writes nothing itself

        with held_by_another(plan), pytest.raises(OperationalError, match="lock timeout"):
            save(staff, plan, form)

    def test_an_add_on_waits_for_a_plan_that_is_being_deleted_and_is_not_saved(self, staff):
        plan, add_on = PlanFactory(), AddOnFactory(name="Old")
        form = filled_in(staff.get(page_of(add_on)), name="New", plans=[str(plan.pk)])

        answer = overtaken(lambda: staff.post(page_of(add_on), form, follow=True), by=plan.delete)

        assert "it names a plan that is not there" in answer.content.decode()
        add_on.refresh_from_db()
        assert (add_on.name, add_on.plans.count()) == ("Old", 0)

    def test_looking_waits_for_nobody(self, staff, held_by_another):
        plan = PlanFactory()

        with held_by_another(plan):
            assert staff.get(page_of(plan)).status_code == 200
