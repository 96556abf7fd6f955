"""The first page of the admin, and the lists that its figures link to."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import AddOnSubscription, Payment
from billing.services import subscriptions, tokens
from tests.billing.purchases import check_out, pay, subscribe
from tests.billing.standing import NOW, at, demo, runs
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

__all__ = ["demo"]  # the fixture

DASHBOARD = "billing.view_dashboard"
BACKEND = "django.contrib.auth.backends.ModelBackend"
SIDE_BAR_UNMATCHED = "/admin/billing/payment/?status__exact=unmatched"


def browser(*permissions: str, **columns: object) -> Client:
    client = Client()
    client.force_login(StaffFactory(permissions=permissions, **columns), BACKEND)
    return client


def links_behind(page) -> set[str]:
    """The lists that figures link to."""
    found = re.findall(r'href="(/admin/[a-z]+/[a-z]+/\?[^"]+)"', page.content.decode())
    return {html.unescape(link) for link in found} - {SIDE_BAR_UNMATCHED}


def key_figures(page) -> dict[str, str]:
    return {figure.label: figure.text for figure in page.context["dashboard"]["key_figures"]}


def rows_of(page, name: str) -> dict[str, list[str]]:
    (plot,) = [plot for plot in page.context["dashboard"]["plots"] if plot.name == name]
    return {row.label: [cell.text for cell in row.cells] for row in plot.rows}


def link_in(page, name: str, label: str, column: int) -> str:
    (plot,) = [plot for plot in page.context["dashboard"]["plots"] if plot.name == name]
    return next(row.cells[column].link for row in plot.rows if row.label == label)


def listed(client: Client, link: str) -> list:
    response = client.get(link)
    assert response.status_code == 200, link
    return list(response.context["cl"].result_list)


@pytest.fixture
def business(clock) -> SimpleNamespace:
    """On 16 March: one who stays, one who left, one who pays more, one who owes."""
    clock.move_to(NOW)
    plan = PlanFactory(name="Pro")
    stays = subscribe(UserFactory(created_at=at(1, 1)), plan=plan, now=at(2, 20))
    left = subscribe(UserFactory(created_at=at(1, 1)), plan=plan, now=at(2, 21))
    subscriptions.cancel(subscription=left, now=at(3, 3))
    new = UserFactory(created_at=at(3, 1))
    bundle = TokenBundleFactory(prices={"USD": "10.50"})
    bought = check_out(new, plan=plan, bundles=[bundle], now=at(3, 4))
    pay(bought.invoice, now=at(3, 4))
    tokens.spend(user_id=new.id, amount=120, reference="a", now=at(3, 5))
    owing = check_out(UserFactory(created_at=at(1, 1)), plan=plan, now=at(3, 6)).invoice
    Payment.objects.create(
        provider="bank",
        reference="?",
        invoice_reference="?",
        amount=Decimal("10.00"),
        currency="USD",
        status="unmatched",
        unmatched_reason="invoice_not_found",
        received_at=at(3, 7),
    )
    return SimpleNamespace(stays=stays, left=left, new=bought, owing=owing, plan=plan)


@pytest.mark.django_db
class TestPage:
    def test_shows_the_figures(self, business):
        page = browser(DASHBOARD).get("/admin/")

        assert page.status_code == 200
        assert key_figures(page) == {
            "MRR": "$58.00",
            "Revenue": "$97.50",
            "ARPU": "$29.00",
            "Active subscriptions": "2",
            "Churn": "0.0 %",
            "New customers": "1",
            "Conversion": "100.0 %",
            "To resolve": "1",
        }
        assert rows_of(page, "movement") == {
            "Feb 2026": ["$0.00", "$58.00", "$0.00", "$0.00", "$0.00", "$58.00"],
            "Mar 2026": ["$58.00", "$29.00", "$0.00", "$0.00", "$29.00", "$58.00"],
        }
        assert rows_of(page, "revenue")["4 Mar 2026"] == ["$39.50", "$0.00", "$39.50"]
        assert len(rows_of(page, "revenue")) == 30
        assert rows_of(page, "receivables")["0–30"] == ["1", "$29.00"]
        assert rows_of(page, "plans") == {"Pro": ["2", "$58.00"]}
        assert rows_of(page, "tokens")["5 Mar 2026"] == ["0", "120"]
        assert rows_of(page, "mrr")["3 Mar 2026"] == ["$29.00"]

    def test_has_no_script_or_style_of_its_own_inside_it(self, business):
        content = browser(DASHBOARD).get("/admin/").content.decode()
        shown = content.split('<div class="dashboard">')[1].split('<div id="modal')[0]

        tags = re.findall(r"<script[^>]*>", shown.split("</section>")[0])
        assert tags == ['<script id="plot-mrr-data" type="application/json">']
        plots = shown[: shown.rindex("</section>")]
        assert not re.search(r"\son[a-z]+=|\sstyle=", plots)

    def test_links_each_figure_to_its_rows(self, business):
        client = browser(DASHBOARD, is_superuser=True)
        page = client.get("/admin/")

        def behind(plot: str, row: str, column: int) -> list:
            return listed(client, link_in(page, plot, row, column))

        assert set(behind("mrr", "16 Mar 2026", 0)) == {business.stays, business.new.subscription}
        assert behind("mrr", "20 Feb 2026", 0) == [business.stays]
        assert behind("movement", "Mar 2026", 1) == [business.new.subscription]
        assert behind("movement", "Mar 2026", 4) == [business.left]
        assert [row.invoice for row in behind("revenue", "4 Mar 2026", 0)] == [business.new.invoice]
        assert behind("receivables", "0–30", 1) == [business.owing]
        assert len(behind("plans", "Pro", 0)) == 2
        assert [row.token_amount for row in behind("tokens", "4 Mar 2026", 0)] == [500]
        assert [row.user for row in behind("tokens", "5 Mar 2026", 1)] == [
            business.new.invoice.user
        ]

    @pytest.mark.usefixtures("demo")
    def test_links_to_lists_that_open(self):
        client = browser(DASHBOARD, is_superuser=True)

        links = links_behind(client.get("/admin/?range=12m"))

        kinds = {}
        for link in links:
            kinds.setdefault(re.sub(r"=[^&]*", "", link), link)
        assert len(kinds) >= 9
        for link in kinds.values():
            assert listed(client, link), link

    @pytest.mark.usefixtures("business")
    def test_links_to_no_list_that_may_not_be_opened(self):
        page = browser(DASHBOARD).get("/admin/")
        some = browser(DASHBOARD, "billing.view_invoice").get("/admin/")

        assert links_behind(page) == set()
        assert {link.split("?")[0] for link in links_behind(some)} == {"/admin/billing/invoice/"}
        assert key_figures(some) == key_figures(page)

    @pytest.mark.usefixtures("business")
    def test_is_the_plain_list_of_pages_without_the_permission(self, django_assert_max_num_queries):
        client = browser("billing.view_invoice")

        with django_assert_max_num_queries(12):
            page = client.get("/admin/")

        assert page.status_code == 200
        assert "dashboard" not in page.context
        assert "MRR" not in page.content.decode()
        assert "/admin/billing/invoice/" in page.content.decode()

    @pytest.mark.parametrize("role", ["Catalogue", "Finance", "Support"])
    @pytest.mark.usefixtures("business")
    def test_is_there_for_every_role(self, roles, role):
        member = StaffFactory()
        member.groups.add(roles[role])
        client = Client()
        client.force_login(member, BACKEND)

        assert key_figures(client.get("/admin/"))["MRR"] == "$58.00"

    def test_is_marked_in_the_side_bar_and_offered_from_everywhere(self, business):
        client = browser(DASHBOARD, is_superuser=True)

        pages = [client.get("/admin/"), client.get("/admin/billing/invoice/")]

        assert [marked(page) for page in pages] == [["Dashboard"], ["Invoices"]]
        assert all("Dashboard" in entries(page) for page in pages)
        assert "Dashboard" not in entries(browser("billing.view_invoice").get("/admin/"))

    def test_says_what_comes_first_where_nothing_is_sold(self, db):
        page = browser(DASHBOARD, "catalog.add_plan", "catalog.view_plan").get("/admin/")

        assert "Nothing is sold yet" in page.content.decode()
        assert 'href="/admin/catalog/plan/add/"' in page.content.decode()
        assert "<canvas" not in page.content.decode()

    @pytest.mark.parametrize(
        ("query", "first", "rows"),
        [
            ({"range": "90d"}, "17 Dec 2025", 90),
            ({"range": "12m"}, "1 Apr 2025", 350),
            ({"range": "custom", "first": "2026-03-02", "last": "2026-03-04"}, "2 Mar 2026", 3),
            ({"range": "custom", "first": "2020-01-01", "last": "2026-03-04"}, "Jan 2020", 75),
        ],
    )
    @pytest.mark.usefixtures("business")
    def test_is_of_the_range_that_is_chosen(self, query, first, rows):
        page = browser(DASHBOARD).get("/admin/", query)

        shown = rows_of(page, "revenue")
        assert (next(iter(shown)), len(shown)) == (first, rows)

    @pytest.mark.usefixtures("business")
    def test_is_of_the_currency_that_is_chosen(self):
        runs("2900", since=at(3, 1), currency="JPY")

        page = browser(DASHBOARD).get("/admin/?currency=JPY")

        assert key_figures(page)["MRR"] == "¥2,900"
        assert key_figures(page)["Revenue"] == "¥0"

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ({"range": "custom"}, "Say from which day to which."),
            ({"range": "custom", "first": "\0", "last": "x"}, "Enter a valid date."),
            (
                {"range": "custom", "first": "2026-03-04", "last": "2026-03-02"},
                "This is after the last day.",
            ),
            (
                {"range": "custom", "first": "2026-03-04", "last": "2026-03-17"},
                "This day is still to come.",
            ),
            (
                {"range": "custom", "first": "0001-01-01", "last": "2026-03-02"},
                "This is before the year 2000.",
            ),
            (
                {"range": "custom", "first": "2010-01-01", "last": "2026-03-02"},
                "Ten years are the most that can be shown.",
            ),
            ({"range": "\0"}, "Select a valid choice."),
            ({"currency": "XXX"}, "Select a valid choice."),
            ({"currency": "\0"}, "Select a valid choice."),
        ],
    )
    @pytest.mark.usefixtures("business")
    def test_says_what_is_wrong_with_a_range_and_shows_30_days(self, query, fault):
        page = browser(DASHBOARD).get("/admin/", query)

        assert page.status_code == 200
        assert fault in html.unescape(page.content.decode())
        assert key_figures(page)["MRR"] == "$58.00"
        assert len(rows_of(page, "revenue")) == 30

    def test_asks_as_many_questions_however_much_there_is(self, business):
        client = browser(DASHBOARD, is_superuser=True)
        client.get("/admin/")
        few = statements_of(client)
        for number in range(5):
            runs("9.00", since=at(3, number + 8), currency="EUR")
            subscribe(UserFactory(), plan=business.plan, now=at(3, number + 8))

        many = statements_of(client)

        assert few == many
        assert few <= 24


def entries(page, **wanted) -> list[str]:
    """The side bar's."""
    return [
        entry["title"]
        for group in page.context["sidebar_navigation"]
        for entry in group["items"]
        if entry["has_permission"] and wanted.items() <= entry.items()
    ]


def marked(page) -> list[str]:
    return entries(page, active=True)


def statements_of(client: Client) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get("/admin/")
    return len(captured)


@pytest.mark.django_db
class TestFilters:
    """What the lists behind make of addresses that nobody linked to."""

    @pytest.mark.parametrize(
        "query",
        [
            {"running_at": "yesterday"},
            {"running_at": "2026-03-01"},
            {"running_at": "\0"},
            {"movement": "up"},
            {"movement": "new_2026-03-01"},
            {"movement": "new_2026-03-02T00:00:00+00:00_2026-03-01T00:00:00+00:00"},
            {"movement": "new", "currency": "\0"},
            {"movement": "new", "currency": "%s"},
        ],
    )
    def test_refuse_what_they_cannot_read(self, query):
        page = f"/admin/billing/subscription/?{urlencode(query)}"

        response = browser(is_superuser=True).get(page)

        assert response.status_code == 302
        assert response.url == "/admin/billing/subscription/?e=1"

    def test_of_tokens_refuses_it_too(self):
        response = browser(is_superuser=True).get("/admin/billing/tokenaccount/?used=x_y")

        assert response.status_code == 302

    def test_of_movement_knows_this_month(self, business):
        client = browser(is_superuser=True)

        assert listed(client, "/admin/billing/subscription/?movement=churn") == [business.left]
        assert listed(client, "/admin/billing/subscription/?movement=churn&currency=EUR") == []

    def test_of_movement_without_a_currency_is_over_all(self, business):
        period = f"{at(3, 1).isoformat()}_{at(3, 10).isoformat()}"
        query = urlencode({"movement": f"churn_{period}"})

        found = listed(browser(is_superuser=True), f"/admin/billing/subscription/?{query}")

        assert found == [business.left]

    def test_of_add_ons_shows_those_that_run(self, business):
        subscription = business.stays
        made = check_out(subscription.user, add_ons=[AddOnFactory()], now=NOW)
        pay(made.invoice, now=NOW)

        found = listed(
            browser(is_superuser=True), "/admin/billing/addonsubscription/?running_at=now"
        )

        assert found == list(AddOnSubscription.objects.all())
