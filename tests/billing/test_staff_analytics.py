"""GET /admin/analytics/dashboard: the key figures, for staff."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Subscription
from tests.billing.purchases import subscribe
from tests.billing.standing import NOW, at, runs
from tests.factories import PlanFactory, StaffFactory, UserFactory

ROUTE = "/api/v1/admin/analytics/dashboard"
NOTHING = {"total": 0, "change_percent": None}
NO_MONEY = {"total": "0.00", "change_percent": None}


@pytest.fixture
def staff(clock, signed_in):
    """On 16 March."""
    clock.move_to(NOW)
    return signed_in(StaffFactory(permissions=["billing.view_dashboard"], created_at=at(1, 1)))


@pytest.mark.django_db
class TestDashboard:
    def test_gives_the_last_30_days_against_the_30_before(self, staff):
        plan = PlanFactory(prices={"USD": "30.00"})
        runs("30.00", since=at(1, 1))
        runs("30.00", since=at(1, 1))
        runs("40.00", since=at(1, 1), until=at(3, 1))
        subscribe(UserFactory(created_at=at(2, 1)), plan=plan, now=at(2, 2))
        Subscription.objects.filter(started_at=at(2, 2)).update(status="expired")
        for day in (4, 5):
            subscribe(UserFactory(created_at=at(3, day)), plan=plan, now=at(3, day))
        UserFactory(created_at=at(3, 6))

        response = staff.get(ROUTE)

        assert response.status_code == 200
        assert response.json() == {
            "mrr": {"total": "120.00", "change_percent": -7.7},
            "revenue": {"total": "60.00", "change_percent": 100.0},
            "user_growth": {"total": 3, "change_percent": 200.0},
            "active_subscriptions": {"total": 4, "change_percent": 0.0},
            "churn": {"total": 50.0, "change_percent": None},
            "conversion": {"total": 66.7, "change_percent": -33.3},
            "arpu": {"total": "30.00", "change_percent": -7.7},
        }

    def test_gives_zeros_where_there_is_nothing(self, staff):
        assert staff.get(ROUTE).json() == {
            "mrr": NO_MONEY,
            "revenue": NO_MONEY,
            "user_growth": NOTHING,
            "active_subscriptions": NOTHING,
            "churn": NOTHING,
            "conversion": NOTHING,
            "arpu": NO_MONEY,
        }

    def test_gives_money_in_the_currency_asked_for(self, staff):
        runs("2900", since=at(3, 1), currency="JPY")

        yen, default = staff.get(f"{ROUTE}?currency=JPY").json(), staff.get(ROUTE).json()

        assert (yen["mrr"]["total"], yen["arpu"]["total"]) == ("2900", "2900")
        assert default["mrr"]["total"] == "0.00"
        assert yen["active_subscriptions"] == default["active_subscriptions"]

    def test_gives_the_sellers_currency_where_none_is_asked_for(self, staff, settings):
        settings.BILLING_DEFAULT_CURRENCY = "JPY"

        assert staff.get(ROUTE).json()["mrr"]["total"] == "0"

    @pytest.mark.parametrize(
        ("currency", "code"),
        [
            ("XXX", "unknown_currency"),
            ("usd", "unknown_currency"),
            ("DOLLAR", "validation_error"),
            ("%00", "validation_error"),
        ],
    )
    def test_refuses_what_is_no_currency(self, staff, currency, code):
        response = staff.get(f"{ROUTE}?currency={currency}")

        assert response.status_code == 400
        assert response.json()["code"] == code

    @pytest.mark.parametrize("permissions", [[], ["billing.view_invoice", "billing.view_report"]])
    def test_is_refused_without_the_permission(self, signed_in, permissions):
        response = signed_in(StaffFactory(permissions=permissions)).get(ROUTE)

        assert response.status_code == 403
        assert response.json()["code"] == "permission_denied"

    def test_asks_as_many_questions_however_much_there_is(self, staff):
        runs("30.00", since=at(3, 1))
        few = statements_of(staff)
        for _ in range(5):
            runs("30.00", since=at(3, 1))
            subscribe(UserFactory(), plan=PlanFactory(), now=at(3, 2))

        assert statements_of(staff) == few


def statements_of(client) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(ROUTE)
    return len(captured)
