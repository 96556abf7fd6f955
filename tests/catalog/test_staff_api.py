"""The catalogue in the staff area of the API."""

from __future__ import annotations

import pytest
from django.utils import timezone

from catalog.models import AddOn, Plan, Price, TokenBundle
from catalog.money import Money
from catalog.services import editing
from tests.billing.purchases import check_out
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    SubscriptionFactory,
    TokenBundleFactory,
    UserFactory,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

PLANS = "/api/v1/admin/tarif-plans"
BUNDLES = "/api/v1/admin/token-bundles"
ADDONS = "/api/v1/admin/addons"
MODELS = ("plan", "tokenbundle", "addon")
VERBS = ("view", "add", "change", "delete")
EVERYTHING = [f"catalog.{verb}_{model}" for model in MODELS for verb in VERBS]
NOBODY = "019aa000-0000-7000-8000-000000000000"
PLAN = {"name": "Pro", "price": "29.00"}
BUNDLE = {"name": "Starter", "price": "5.00", "token_amount": 500}
ADDON = {"name": "Priority support", "price": "15.00"}
KINDS = [
    pytest.param(PLANS, PLAN, "plan", Plan, id="plans"),
    pytest.param(BUNDLES, BUNDLE, "bundle", TokenBundle, id="bundles"),
    pytest.param(ADDONS, ADDON, "addon", AddOn, id="addons"),
]
OF_EACH_KIND = pytest.mark.parametrize(("area", "body", "key", "model"), KINDS)


@pytest.fixture
def staff(signed_in):
    return signed_in(StaffFactory(permissions=EVERYTHING))


class TestEachKind:
    @OF_EACH_KIND
    def test_is_made_with_its_price(self, staff, area, body, key, model):
        response = staff.post(area, body | {"currency": "eur", "description": "Good"})

        made = response.json()[key]
        assert response.status_code == 201
        assert response.json()["message"]
        assert (made["name"], made["description"]) == (body["name"], "Good")
        assert (made["price"], made["currency"]) == (body["price"], "EUR")
        assert made["is_active"] is True
        assert staff.get(f"{area}/{made['id']}").json()[key] == made

    @OF_EACH_KIND
    def test_without_name_or_price_names_each(self, staff, area, body, key, model):
        response = staff.post(area, {})

        answer = response.json()
        assert (response.status_code, answer["code"]) == (400, "validation_error")
        assert all(name in answer["error"] for name in body)
        assert not model.objects.exists()

    @OF_EACH_KIND
    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"name": " "},
            {"name": "x" * 101},
            {"name": 5},
            {"name": "a\x00b"},
            {"price": "-1"},
            {"price": "1.234"},
            {"price": "x"},
            {"price": "NaN"},
            {"price": "1e400"},
            {"price": "1" * 20},
            {"price": None},
            {"currency": "XXX"},
            {"currency": "EURO"},
            {"currency": "JPY", "price": "1.5"},
            {"sort_order": 2**40},
            {"is_active": "perhaps"},
        ],
    )
    def test_of_bad_input_is_400_and_writes_nothing(self, staff, area, body, key, model, wrong):
        made = staff.post(area, body | wrong)
        item = editing.create(
            kind=model,
            values={name: body[name] for name in body if name != "price"},
            price=Money.parse("7", "USD"),
            now=timezone.now(),
        )
        changed = staff.put(f"{area}/{item.pk}", wrong)

        for response in (made, changed):
            assert response.status_code == 400, response.json()
            assert set(response.json()) >= {"error", "code"}
        assert model.objects.get().name == body["name"]
        assert [str(price.money) for price in Price.objects.all()] == ["7.00"]

    @OF_EACH_KIND
    def test_is_changed_in_part(self, staff, area, body, key, model):
        made = staff.post(area, body).json()[key]

        changed = staff.put(f"{area}/{made['id']}", {"description": "New"}).json()[key]

        same = {name: made[name] for name in made if name not in ("description", "updated_at")}
        assert changed["description"] == "New"
        assert same == {name: changed[name] for name in same}

    @OF_EACH_KIND
    def test_gets_a_new_price_in_place_of_the_old_one(self, staff, area, body, key, model):
        made = staff.post(area, body).json()[key]
        before = Price.objects.get()

        changed = staff.put(f"{area}/{made['id']}", {"price": "99"}).json()[key]

        assert changed["price"] == "99.00"
        assert [str(price.money) for price in Price.objects.order_by("id")] == [
            body["price"],
            "99.00",
        ]
        before.refresh_from_db()
        assert before.valid_until is not None

    @OF_EACH_KIND
    def test_with_a_currency_and_no_price_is_400(self, staff, area, body, key, model):
        made = staff.post(area, body).json()[key]

        response = staff.put(f"{area}/{made['id']}", {"currency": "EUR"})

        assert response.status_code == 400
        assert "currency" in response.json()["error"]
        assert staff.get(f"{area}/{made['id']}").json()[key] == made

    @pytest.mark.parametrize("area", [PLANS, ADDONS])
    def test_takes_a_period_in_any_letter_case(self, staff, area):
        response = staff.post(area, PLAN | {"billing_period": "One_Time"})

        [made] = [value for value in response.json().values() if isinstance(value, dict)]
        assert response.status_code == 201
        assert (made["billing_period"], made["is_recurring"]) == ("one_time", False)

    @OF_EACH_KIND
    def test_goes_off_and_on_sale(self, staff, area, body, key, model):
        made = staff.post(area, body).json()[key]

        off = staff.post(f"{area}/{made['id']}/deactivate").json()[key]
        on = staff.post(f"{area}/{made['id']}/activate").json()[key]

        assert (off["is_active"], on["is_active"]) == (False, True)

    @OF_EACH_KIND
    def test_that_was_never_sold_is_deleted(self, staff, area, body, key, model):
        made = staff.post(area, body).json()[key]

        deleted = staff.delete(f"{area}/{made['id']}")
        again = staff.delete(f"{area}/{made['id']}")

        assert (deleted.status_code, again.status_code) == (200, 404)
        assert not model.objects.exists()
        assert not Price.objects.exists()

    @OF_EACH_KIND
    def test_that_is_not_there_is_404(self, staff, area, body, key, model):
        assert staff.get(f"{area}/{NOBODY}").status_code == 404
        assert staff.put(f"{area}/{NOBODY}", {}).status_code == 404
        assert staff.post(f"{area}/{NOBODY}/activate").status_code == 404

    @OF_EACH_KIND
    def test_is_listed_newest_first_at_the_same_cost(
        self, staff, area, body, key, model, django_assert_num_queries
    ):
        first = staff.post(area, body).json()[key]
        second = staff.post(area, body | {"name": "Other"}).json()[key]
        costs = {"plan": 5, "bundle": 6, "addon": 7}

        with django_assert_num_queries(costs[key]):
            answer = staff.get(area).json()
        for number in range(8):
            staff.post(area, body | {"name": f"More {number}"})
        with django_assert_num_queries(costs[key]):
            staff.get(area)

        listed = answer["plans" if key == "plan" else "items"]
        assert [row["id"] for row in listed] == [second["id"], first["id"]]

    @OF_EACH_KIND
    @pytest.mark.parametrize(
        ("method", "path", "verb"),
        [
            ("get", "", "view"),
            ("post", "", "add"),
            ("get", "/{pk}", "view"),
            ("put", "/{pk}", "change"),
            ("delete", "/{pk}", "delete"),
            ("post", "/{pk}/activate", "change"),
            ("post", "/{pk}/deactivate", "change"),
        ],
    )
    def test_each_call_asks_for_its_own_permission(
        self, staff, signed_in, area, body, key, model, method, path, verb
    ):
        made = staff.post(area, body).json()[key]
        needed = f"catalog.{verb}_{model._meta.model_name}"
        others = [name for name in EVERYTHING if name != needed]
        client = signed_in(StaffFactory(permissions=others))

        response = getattr(client, method)(area + path.format(pk=made["id"]), body)

        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert model.objects.count() == 1


class TestSold:
    def test_bundles_and_add_ons_are_not_deleted(self, staff):
        plan, bundle, add_on = PlanFactory(), TokenBundleFactory(), AddOnFactory()
        check_out(UserFactory(), plan=plan, bundles=[bundle], add_ons=[add_on], now=timezone.now())

        for address in (f"{BUNDLES}/{bundle.pk}", f"{ADDONS}/{add_on.pk}"):
            response = staff.delete(address)

            assert (response.status_code, response.json()["code"]) == (400, "item_in_use")
            assert staff.get(address).status_code == 200


class TestSetupFee:
    @pytest.mark.parametrize(
        ("area", "body", "key"), [(PLANS, PLAN, "plan"), (ADDONS, ADDON, "addon")]
    )
    def test_comes_with_the_price(self, staff, area, body, key):
        made = staff.post(area, body | {"setup_fee": "10.50"}).json()[key]

        assert made["setup_fee"] == "10.50"

    def test_stays_where_only_the_price_changes(self, staff):
        plan = PlanFactory(prices={"USD": ("29.00", "10.50")})

        changed = staff.put(f"{PLANS}/{plan.pk}", {"price": "35.00"}).json()["plan"]

        assert (changed["price"], changed["setup_fee"]) == ("35.00", "10.50")

    def test_of_zero_takes_it_away(self, staff):
        plan = PlanFactory(prices={"USD": ("29.00", "10.50")})

        changed = staff.put(f"{PLANS}/{plan.pk}", {"price": "29.00", "setup_fee": "0"}).json()

        assert changed["plan"]["setup_fee"] == "0.00"
        assert plan.prices.count() == 2

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"setup_fee": "10"}, "validation_error"),
            ({"price": "29", "setup_fee": "-1"}, "validation_error"),
            ({"price": "29", "setup_fee": "x"}, "validation_error"),
            ({"price": "29", "setup_fee": None}, "validation_error"),
            ({"price": "29", "setup_fee": "0.001"}, "invalid_amount"),
        ],
    )
    def test_that_cannot_be_is_refused(self, staff, body, code):
        plan = PlanFactory()

        response = staff.put(f"{PLANS}/{plan.pk}", body)

        assert (response.status_code, response.json()["code"]) == (400, code)
        assert plan.prices.count() == 1

    def test_is_copied_with_a_plan(self, staff):
        plan = PlanFactory(trial_days=14, prices={"USD": ("29.00", "10.50")})

        made = staff.post(f"{PLANS}/{plan.pk}/copy").json()["plan"]

        assert (made["setup_fee"], made["trial_days"]) == ("10.50", 14)


class TestTrial:
    def test_is_of_a_plan(self, staff):
        terms = {"trial_days": 14, "is_trial_paid": True, "arrival": "full_price"}

        made = staff.post(PLANS, PLAN | terms).json()["plan"]

        assert {name: made[name] for name in terms} == terms

    @pytest.mark.parametrize(
        "wrong",
        [{"trial_days": -1}, {"trial_days": 367}, {"trial_days": "x"}, {"arrival": "later"}]
        + [{"is_trial_paid": "maybe"}],
    )
    def test_that_cannot_be_is_refused(self, staff, wrong):
        response = staff.post(PLANS, PLAN | wrong)

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")
        assert list(response.json()["fields"]) == list(wrong)
        assert not Plan.objects.exists()


class TestPlans:
    def test_get_a_slug_of_their_name(self, staff):
        slugs = [
            staff.post(PLANS, PLAN | {"name": name}).json()["plan"]["slug"]
            for name in ("Pro Plan", "Pro plan", "PRO PLAN", "漢字", "addons")
        ]

        assert slugs == ["pro-plan", "pro-plan-2", "pro-plan-3", "plan", "addons-plan"]

    def test_of_one_name_at_once_all_get_one(self):
        def make(number):
            return editing.create(
                kind=Plan,
                values={"name": "Pro"},
                price=Money.parse("29", "USD"),
                now=timezone.now(),
            ).slug

        assert sorted(at_once(4, make)) == ["pro", "pro-2", "pro-3", "pro-4"]

    @pytest.mark.parametrize("features", [{"seats": 5}, ["a", "b"], {}, []])
    def test_have_features_in_a_list_or_an_object(self, staff, features):
        made = staff.post(PLANS, PLAN | {"features": features}).json()["plan"]

        assert made["features"] == features

    @pytest.mark.parametrize("features", ["text", 5, None, {"a": "\x00"}, True])
    def test_have_no_other_features(self, staff, features):
        response = staff.post(PLANS, PLAN | {"features": features})

        assert response.status_code == 400
        assert "features" in response.json()["error"]
        assert not Plan.objects.exists()

    def test_list_shows_those_off_sale_and_archived_too(self, staff):
        PlanFactory(is_active=False)
        PlanFactory(is_active=False, archived_at=timezone.now())

        assert len(staff.get(PLANS).json()["plans"]) == 2

    def test_that_have_subscriptions_are_not_deleted(self, staff):
        subscription = SubscriptionFactory()

        response = staff.delete(f"{PLANS}/{subscription.plan_id}")

        assert (response.status_code, response.json()["code"]) == (400, "item_in_use")
        assert "Archive" in response.json()["error"]
        assert Plan.objects.filter(pk=subscription.plan_id).exists()

    def test_are_archived(self, staff):
        plan = PlanFactory()

        shown = staff.post(f"{PLANS}/{plan.pk}/archive").json()["plan"]

        assert shown["is_active"] is False
        assert shown["archived_at"] is not None

    def test_that_are_archived_do_not_go_on_sale(self, staff):
        plan = PlanFactory(is_active=False, archived_at=timezone.now())

        for response in (
            staff.post(f"{PLANS}/{plan.pk}/activate"),
            staff.put(f"{PLANS}/{plan.pk}", {"is_active": True}),
        ):
            assert (response.status_code, response.json()["code"]) == (400, "item_archived")

    def test_are_copied_with_their_prices_off_sale(self, staff):
        plan = PlanFactory(name="Pro", slug="pro", prices={"USD": "29.00", "JPY": "2900"})

        response = staff.post(f"{PLANS}/{plan.pk}/copy")

        made = response.json()["plan"]
        assert response.status_code == 201
        assert (made["name"], made["slug"], made["is_active"]) == ("Pro (copy)", "pro-2", False)
        assert made["prices"] == [
            {"currency": "JPY", "amount": "2900"},
            {"currency": "USD", "amount": "29.00"},
        ]

    @pytest.mark.parametrize(("action", "verb"), [("archive", "change"), ("copy", "add")])
    def test_archive_and_copy_ask_for_their_permission(self, signed_in, action, verb):
        plan = PlanFactory()
        others = [name for name in EVERYTHING if name != f"catalog.{verb}_plan"]

        response = signed_in(StaffFactory(permissions=others)).post(f"{PLANS}/{plan.pk}/{action}")

        assert response.status_code == 403
        assert Plan.objects.count() == 1


class TestBundles:
    def test_list_has_pages_and_leaves_out_what_is_off_sale(self, staff):
        shown = TokenBundleFactory.create_batch(3)
        TokenBundleFactory(is_active=False)

        first = staff.get(BUNDLES, {"per_page": 2}).json()
        all_of_them = staff.get(BUNDLES, {"include_inactive": "true"}).json()

        assert [row["id"] for row in first["items"]] == [str(shown[2].pk), str(shown[1].pk)]
        assert {name: first[name] for name in ("total", "page", "per_page", "pages")} == {
            "total": 3,
            "page": 1,
            "per_page": 2,
            "pages": 2,
        }
        assert all_of_them["total"] == 4

    @pytest.mark.parametrize("amount", [0, -1, "x", 1.5, 10**12 + 1, 2**63, None])
    def test_have_from_one_token_to_a_million_millions(self, staff, amount):
        response = staff.post(BUNDLES, BUNDLE | {"token_amount": amount})

        assert response.status_code == 400
        assert "token_amount" in response.json()["error"]

    def test_may_have_the_most(self, staff):
        response = staff.post(BUNDLES, BUNDLE | {"token_amount": 10**12})

        assert response.json()["bundle"]["token_amount"] == 1_000_000_000_000

    def test_may_be_free(self, staff):
        made = staff.post(BUNDLES, BUNDLE | {"price": 0}).json()["bundle"]

        assert made["price"] == "0.00"


class TestAddOns:
    def test_of_a_taken_slug_are_refused(self, staff):
        AddOnFactory(slug="support")

        made = staff.post(ADDONS, ADDON | {"slug": "support"})
        other = AddOnFactory(slug="other")
        changed = staff.put(f"{ADDONS}/{other.pk}", {"slug": "support", "name": "New"})

        for response in (made, changed):
            assert (response.status_code, response.json()["code"]) == (400, "slug_taken")
            assert "slug" in response.json()["error"]
        other.refresh_from_db()
        assert (other.slug, other.name != "New") == ("other", True)
        assert AddOn.objects.count() == 2

    @pytest.mark.parametrize("slug", ["", "a b", "a\x00", "x" * 101, 5, None])
    def test_have_no_other_slug(self, staff, slug):
        response = staff.post(ADDONS, ADDON | {"slug": slug})

        assert response.status_code == 400
        assert "slug" in response.json()["error"]
        assert not AddOn.objects.exists()

    def test_by_slug_ask_for_their_permission(self, signed_in):
        AddOnFactory(slug="support")
        others = [name for name in EVERYTHING if name != "catalog.view_addon"]

        response = signed_in(StaffFactory(permissions=others)).get(f"{ADDONS}/slug/support")

        assert response.status_code == 403

    def test_are_found_by_slug(self, staff):
        add_on = AddOnFactory(slug="support", is_active=False)

        assert staff.get(f"{ADDONS}/slug/support").json()["addon"]["id"] == str(add_on.pk)
        assert staff.get(f"{ADDONS}/slug/nothing").status_code == 404

    def test_are_bound_to_plans(self, staff):
        plan = PlanFactory()

        made = staff.post(ADDONS, ADDON | {"plan_ids": [str(plan.pk)]}).json()["addon"]
        unbound = staff.put(f"{ADDONS}/{made['id']}", {"plan_ids": []}).json()["addon"]

        assert (made["plan_ids"], unbound["plan_ids"]) == ([str(plan.pk)], [])

    def test_are_not_bound_to_a_plan_that_is_not_there(self, staff):
        response = staff.post(ADDONS, ADDON | {"plan_ids": [NOBODY]})

        assert (response.status_code, response.json()["code"]) == (400, "unknown_plans")
        assert not AddOn.objects.exists()

    @pytest.mark.parametrize("config", [[], "x", 5, None])
    def test_have_an_object_as_config(self, staff, config):
        response = staff.post(ADDONS, ADDON | {"config": config})

        assert response.status_code == 400
        assert "config" in response.json()["error"]
