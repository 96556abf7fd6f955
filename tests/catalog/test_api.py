from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.models import Price
from catalog.money import Money
from catalog.services import prices
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def client():
    return APIClient()


def names(response, key):
    assert response.status_code == 200, response.json()
    return [item["name"] for item in response.json()[key]]


@pytest.mark.django_db
class TestPlans:
    url = "/api/v1/tarif-plans"

    def test_shows_a_plan_with_exactly_the_keys_of_the_contract(self, client):
        plan = PlanFactory(
            name="Pro",
            slug="pro",
            description="For teams",
            features=["Ten seats", "Support"],
            sort_order=3,
            trial_days=14,
            arrival="period_end",
            prices={"USD": ("29.00", "10.00"), "EUR": "27.50"},
        )

        response = client.get(self.url, {"currency": "USD"})

        assert response.status_code == 200
        assert response.json() == {
            "plans": [
                {
                    "id": str(plan.id),
                    "name": "Pro",
                    "slug": "pro",
                    "description": "For teams",
                    "price": "29.00",
                    "currency": "USD",
                    "prices": [
                        {"currency": "EUR", "amount": "27.50"},
                        {"currency": "USD", "amount": "29.00"},
                    ],
                    "setup_fee": "10.00",
                    "display_price": 29.0,
                    "display_currency": "USD",
                    "price_float": 29.0,
                    "billing_period": "monthly",
                    "trial_days": 14,
                    "is_trial_paid": False,
                    "arrival": "period_end",
                    "features": ["Ten seats", "Support"],
                    "is_active": True,
                    "is_recurring": True,
                    "sort_order": 3,
                }
            ],
            "currency": "USD",
            "country": None,
        }

    @pytest.mark.parametrize(
        ("currency", "stored", "shown"),
        [("USD", "29", "29.00"), ("JPY", "2900", "2900"), ("KWD", "2.9", "2.900")],
    )
    def test_shows_amounts_with_the_currency_s_own_places(self, client, currency, stored, shown):
        PlanFactory(prices={currency: stored})

        (plan,) = client.get(self.url, {"currency": currency}).json()["plans"]

        assert plan["price"] == shown
        assert plan["prices"] == [{"currency": currency, "amount": shown}]

    def test_shows_a_free_plan_and_one_that_is_paid_once(self, client):
        PlanFactory(prices={"USD": "0"}, billing_period="one_time", features={"seats": 1})

        (plan,) = client.get(self.url).json()["plans"]

        assert (plan["price"], plan["display_price"]) == ("0.00", 0.0)
        assert (plan["billing_period"], plan["is_recurring"]) == ("one_time", False)
        assert plan["features"] == {"seats": 1}

    def test_shows_only_what_is_sold_in_the_currency_asked_for(self, client):
        PlanFactory(name="Here", prices={"USD": "29.00"})
        PlanFactory(name="There", prices={"EUR": "27.00"})
        PlanFactory(name="Both", prices={"USD": "29.00", "EUR": "27.00"})

        assert names(client.get(self.url, {"currency": "EUR"}), "plans") == ["Both", "There"]

    def test_without_a_currency_shows_each_plan_in_its_own(self, client):
        PlanFactory(name="A", default_currency="EUR", prices={"USD": "29.00", "EUR": "27.00"})
        PlanFactory(name="B", default_currency="USD", prices={"USD": "29.00", "EUR": "27.00"})
        PlanFactory(name="C", default_currency="USD", prices={"GBP": "25.00", "EUR": "27.00"})
        PlanFactory(name="D", prices={})

        body = client.get(self.url).json()

        assert [(plan["name"], plan["price"], plan["currency"]) for plan in body["plans"]] == [
            ("A", "27.00", "EUR"),
            ("B", "29.00", "USD"),
            ("C", "27.00", "EUR"),
        ]
        assert body["currency"] == "USD"

    def test_shows_nothing_that_is_off_sale(self, client):
        PlanFactory(is_active=False)
        PlanFactory(is_active=False, archived_at=NOW)

        assert client.get(self.url).json()["plans"] == []

    def test_shows_neither_past_nor_scheduled_prices(self, client):
        now = timezone.now()
        plan = PlanFactory(name="Pro", prices={"USD": "29.00", "EUR": "27.00"})
        prices.withdraw_price(item=plan, currency="EUR", now=now)
        prices.set_price(
            item=plan,
            money=Money.parse("25.00", "GBP"),
            now=now,
            valid_from=now + timedelta(days=1),
        )

        (shown,) = client.get(self.url).json()["plans"]

        assert shown["prices"] == [{"currency": "USD", "amount": "29.00"}]
        assert client.get(self.url, {"currency": "EUR"}).json()["plans"] == []
        assert client.get(self.url, {"currency": "GBP"}).json()["plans"] == []

    def test_shows_a_new_price_at_once(self, client):
        plan = PlanFactory(prices={"USD": "29.00"})
        client.get(self.url)

        prices.set_price(item=plan, money=Money.parse("31.00", "USD"), now=timezone.now())

        response = client.get(self.url)
        assert response.json()["plans"][0]["price"] == "31.00"
        assert "Cache-Control" not in response

    def test_is_in_the_order_that_staff_chose_then_by_name(self, client):
        PlanFactory(name="Last", sort_order=9)
        PlanFactory(name="B", sort_order=1)
        PlanFactory(name="A", sort_order=1)
        PlanFactory(name="First", sort_order=-1)

        assert names(client.get(self.url), "plans") == ["First", "A", "B", "Last"]

    @pytest.mark.parametrize("currency", ["usd", "Usd", "USD", " usd "])
    def test_reads_a_currency_in_any_case(self, client, currency):
        PlanFactory(name="Pro")

        response = client.get(self.url, {"currency": currency})

        assert names(response, "plans") == ["Pro"]
        assert response.json()["currency"] == "USD"

    @pytest.mark.parametrize(
        "currency", ["XXX", "DEM", "US", "US\0", "U" * 5000, "29", "%", "💶", "USD,EUR"]
    )
    def test_refuses_an_unknown_currency(self, client, currency):
        response = client.get(self.url, {"currency": currency})

        assert response.status_code == 400
        assert response.json()["code"] == "unknown_currency"
        assert "ISO 4217" in response.json()["error"]

    def test_takes_an_empty_currency_and_country_for_none(self, client):
        PlanFactory(name="Pro")

        response = client.get(self.url, {"currency": "", "country": ""})

        assert names(response, "plans") == ["Pro"]
        assert response.json()["country"] is None

    @pytest.mark.parametrize(("country", "shown"), [("DE", "DE"), ("de", "DE")])
    def test_gives_the_country_back(self, client, country, shown):
        assert client.get(self.url, {"country": country}).json()["country"] == shown

    @pytest.mark.parametrize("country", ["D", "DEU", "D1", "D\0", "ÄÖ", "DE" * 2500])
    def test_refuses_what_is_no_country(self, client, country):
        response = client.get(self.url, {"country": country})

        assert response.status_code == 400
        assert response.json()["code"] == "validation_error"
        assert list(response.json()["fields"]) == ["country"]

    @pytest.mark.parametrize("token", ["Bearer nonsense", "Bearer", "Basic YTpi", "x\ty"])
    def test_does_not_look_at_who_asks(self, client, token):
        assert client.get(self.url, headers={"Authorization": token}).status_code == 200

    @pytest.mark.parametrize("size", [1, 12])
    def test_asks_two_questions_of_the_database_whatever_the_size(
        self, client, size, django_assert_num_queries
    ):
        PlanFactory.create_batch(size, prices={"USD": "29.00", "EUR": "27.00"})

        with django_assert_num_queries(2):
            response = client.get(self.url, {"currency": "USD"})

        assert len(response.json()["plans"]) == size

    def test_answers_with_a_slash_at_the_end_too(self, client):
        assert client.get(self.url + "/").status_code == 200

    def test_is_only_read_here(self, client):
        assert client.post(self.url, {}).status_code == 405


@pytest.mark.django_db
class TestPlanBySlug:
    def test_shows_the_plan_itself(self, client):
        plan = PlanFactory(slug="pro", prices={"USD": "29.00", "EUR": "27.00"})

        response = client.get("/api/v1/tarif-plans/pro", {"currency": "eur"})

        assert response.status_code == 200
        assert response.json()["id"] == str(plan.id)
        assert (response.json()["price"], response.json()["currency"]) == ("27.00", "EUR")

    def test_without_a_currency_shows_its_default_one(self, client):
        PlanFactory(slug="pro", default_currency="EUR", prices={"USD": "29.00", "EUR": "27.00"})

        assert client.get("/api/v1/tarif-plans/pro/").json()["currency"] == "EUR"

    @pytest.mark.parametrize(
        "slug",
        ["gone", "PRO", "pro%00", "pro%20x", "pr%C3%B6", "pro/x", "%2e%2e", "p" * 5000, "'--"],
    )
    def test_knows_no_other_plan(self, client, slug):
        PlanFactory(slug="pro")

        response = client.get(f"/api/v1/tarif-plans/{slug}")

        assert response.status_code == 404
        assert response.json()["code"] == "not_found"

    def test_knows_none_that_is_off_sale(self, client):
        PlanFactory(slug="pro", is_active=False)

        assert client.get("/api/v1/tarif-plans/pro").status_code == 404

    def test_knows_none_that_has_no_price_in_the_currency(self, client):
        PlanFactory(slug="pro", prices={"USD": "29.00"})

        assert client.get("/api/v1/tarif-plans/pro?currency=EUR").status_code == 404

    def test_refuses_an_unknown_currency(self, client):
        PlanFactory(slug="pro")

        response = client.get("/api/v1/tarif-plans/pro?currency=DEM")

        assert response.status_code == 400
        assert response.json()["code"] == "unknown_currency"

    def test_asks_two_questions_of_the_database(self, client, django_assert_num_queries):
        PlanFactory(slug="pro")

        with django_assert_num_queries(2):
            client.get("/api/v1/tarif-plans/pro")


@pytest.mark.django_db
class TestTokenBundles:
    url = "/api/v1/token-bundles"

    def test_shows_a_bundle_with_exactly_the_keys_of_the_contract(self, client):
        bundle = TokenBundleFactory(
            name="500 tokens",
            description="Enough",
            token_amount=500,
            sort_order=2,
            prices={"USD": "5.00"},
            created_at=NOW,
        )
        type(bundle).objects.update(updated_at=NOW)

        response = client.get(self.url)

        assert response.json() == {
            "bundles": [
                {
                    "id": str(bundle.id),
                    "name": "500 tokens",
                    "description": "Enough",
                    "token_amount": 500,
                    "price": "5.00",
                    "currency": "USD",
                    "prices": [{"currency": "USD", "amount": "5.00"}],
                    "is_active": True,
                    "sort_order": 2,
                    "created_at": "2026-03-01T12:00:00Z",
                    "updated_at": "2026-03-01T12:00:00Z",
                }
            ]
        }

    def test_shows_only_what_is_on_sale(self, client):
        TokenBundleFactory(name="Here")
        TokenBundleFactory(is_active=False)
        TokenBundleFactory(is_active=False, archived_at=NOW)
        TokenBundleFactory(prices={})

        assert names(client.get(self.url), "bundles") == ["Here"]

    def test_shows_only_what_is_sold_in_the_currency_asked_for(self, client):
        TokenBundleFactory(name="Here", prices={"USD": "5.00"})
        TokenBundleFactory(name="There", prices={"JPY": "500", "USD": "5.00"})

        response = client.get(self.url, {"currency": "jpy"})

        assert names(response, "bundles") == ["There"]
        assert response.json()["bundles"][0]["price"] == "500"

    def test_refuses_an_unknown_currency(self, client):
        assert client.get(self.url, {"currency": "X"}).json()["code"] == "unknown_currency"

    @pytest.mark.parametrize("size", [1, 12])
    def test_asks_two_questions_of_the_database_whatever_the_size(
        self, client, size, django_assert_num_queries
    ):
        TokenBundleFactory.create_batch(size)

        with django_assert_num_queries(2):
            client.get(self.url)


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/api/v1/addons", "/api/v1/tarif-plans/addons"])
class TestAddOns:
    def test_shows_an_add_on_with_exactly_the_keys_of_the_contract(self, client, url):
        plans = [PlanFactory(), PlanFactory()]
        add_on = AddOnFactory(
            name="Priority support",
            slug="priority-support",
            description="Faster",
            billing_period="yearly",
            config={"hours": 24},
            plans=plans,
            sort_order=1,
            created_at=NOW,
            prices={"USD": "9.00"},
        )
        type(add_on).objects.update(updated_at=NOW)

        response = client.get(url)

        assert response.json() == {
            "addons": [
                {
                    "id": str(add_on.id),
                    "name": "Priority support",
                    "slug": "priority-support",
                    "description": "Faster",
                    "price": "9.00",
                    "currency": "USD",
                    "setup_fee": "0.00",
                    "prices": [{"currency": "USD", "amount": "9.00"}],
                    "billing_period": "yearly",
                    "config": {"hours": 24},
                    "is_active": True,
                    "is_recurring": True,
                    "plan_ids": [str(plan.id) for plan in plans],
                    "sort_order": 1,
                    "created_at": "2026-03-01T12:00:00Z",
                    "updated_at": "2026-03-01T12:00:00Z",
                }
            ]
        }

    def test_shows_one_that_is_sold_with_any_plan(self, client, url):
        AddOnFactory()

        assert client.get(url).json()["addons"][0]["plan_ids"] == []

    def test_shows_only_what_is_on_sale_in_the_currency(self, client, url):
        AddOnFactory(name="Here", prices={"EUR": "8.00"})
        AddOnFactory(prices={"USD": "9.00"})
        AddOnFactory(prices={"EUR": "8.00"}, is_active=False)

        assert names(client.get(url, {"currency": "EUR"}), "addons") == ["Here"]

    def test_wins_over_a_plan_of_that_slug(self, client, url):
        PlanFactory(slug="addons")

        assert client.get(url + "/").json() == {"addons": []}

    @pytest.mark.parametrize("size", [1, 12])
    def test_asks_three_questions_of_the_database_whatever_the_size(
        self, client, url, size, django_assert_num_queries
    ):
        AddOnFactory.create_batch(size, plans=PlanFactory.create_batch(2))
        assert Price.objects.count() == size + 2

        with django_assert_num_queries(3):
            client.get(url)
