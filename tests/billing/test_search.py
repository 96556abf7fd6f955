"""One question, every answer: by e-mail, name, company, number, reference or id."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import BillingDetails, User
from billing.models import AddOnSubscription, Payment, Subscription, TokenBundlePurchase
from billing.services import search
from billing.services.search import Kind
from tests.billing.purchases import check_out, pay
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = "/admin/accounts/user/find/"

pytestmark = pytest.mark.django_db


def called(email: str, **details: str) -> User:
    user = UserFactory(email=email)
    BillingDetails.objects.create(user=user, **details)
    return user


def found(text: str, kinds=tuple(Kind)) -> list:
    return [hit.row for hit in search.find(text=text, kinds=kinds).hits]


@pytest.fixture
def ann() -> User:
    return called("ann@firma.example", first_name="Ann", last_name="Müller", company="Öko 3M GmbH")


@pytest.fixture
def paid(ann):
    made = check_out(
        ann,
        plan=PlanFactory(name="Pro"),
        bundles=[TokenBundleFactory(name="Small")],
        add_ons=[AddOnFactory(name="Hotline")],
        now=NOW,
    )
    pay(made.invoice, reference="TX-4711", now=NOW)
    return made.invoice


class TestFind:
    @pytest.mark.parametrize(
        "text",
        ["ann@firma.example", " ANN@Firma.Example ", "@firma", "an", "müller", "MÜLLER", "ller"]
        + ["ann müller", "müller ann", "öko", "3m", "mü", "ann gmbh", "Öko 3M GmbH"],
    )
    def test_a_customer_by_a_part_of_what_they_are_called(self, ann, text):
        called("bob@else.example", first_name="Robert", last_name="Other", company="Rest AG")

        assert found(text) == [ann]

    @pytest.mark.parametrize("text", ["%", "_", "a_n@firma", "%%", "\\", "zzz", "M", "\x00", ""])
    def test_nothing_that_is_not_there(self, ann, text):
        assert found(text) == []

    def test_a_short_word_is_the_beginning_of_a_name(self, ann):
        assert found("er") == []

    def test_an_invoice_by_its_number_and_its_beginning(self, paid):
        assert paid.number == "INV-20260301-01-000001"

        for text in ("INV-20260301-01-000001", "inv-20260301-01", "20260301-01-000001", "INV-"):
            assert found(text) == [paid]

    def test_a_payment_by_its_reference(self, paid):
        assert found("TX-4711") == [Payment.objects.get()]
        assert found("TX-47") == []

    def test_a_payment_of_any_provider_by_its_reference(self, paid):
        for provider in ("acme", "bank-2", "zebra"):
            Payment.objects.create(
                provider=provider,
                reference="TX-4711",
                invoice_reference="?",
                amount=1,
                currency="USD",
                status="unmatched",
                unmatched_reason="invoice_not_found",
            )

        assert len(found("TX-4711")) == 4

    @pytest.mark.parametrize(
        "model", [User, Subscription, Payment, AddOnSubscription, TokenBundlePurchase]
    )
    def test_anything_by_its_id(self, paid, model):
        row = model.objects.get()

        assert found(str(row.pk)) == [row]
        assert found(row.pk.hex.upper()) == [row]

    def test_an_invoice_by_its_id(self, paid):
        assert found(str(paid.pk)) == [paid]

    def test_nothing_by_an_id_of_nothing(self, paid):
        assert found(str(UUID(int=7))) == []

    def test_nothing_of_a_kind_that_was_not_asked_for(self, paid, ann):
        but_people = [kind for kind in Kind if kind != Kind.CUSTOMER]

        assert found("ann@firma.example", but_people) == []
        assert found(str(ann.pk), but_people) == []
        assert found(paid.number, [Kind.CUSTOMER]) == []
        assert found("TX-4711", [Kind.CUSTOMER, Kind.INVOICE]) == []

    def test_the_exact_one_comes_first(self):
        exact = UserFactory(email="ann@example.com")
        longer = UserFactory(email="joann@example.com")

        hits = search.find(text="ann@example.com", kinds=Kind).hits

        assert [(hit.row, hit.is_exact) for hit in hits] == [(exact, True), (longer, False)]

    def test_the_one_that_was_meant(self, ann):
        other = called("x@else.example", company="Öko 3M GmbH & Co")

        assert search.find(text="öko 3m gmbh", kinds=Kind).only.row == ann
        assert search.find(text="öko", kinds=Kind).only is None
        assert search.find(text="& co", kinds=Kind).only.row == other

    def test_at_most_twenty_of_a_kind_the_newest_first(self):
        people = [UserFactory(email=f"many-{n}@example.com") for n in range(23)]

        answer = search.find(text="many-", kinds=Kind)

        assert [hit.row for hit in answer.hits] == people[:2:-1]
        assert answer.cut == {Kind.CUSTOMER}

    @pytest.mark.parametrize(
        ("text", "statements"),
        [
            ("ann@firma.example", 4),
            ("firma", 4),
            ("INV-20260301", 5),
            ("TX-4711", 4),
            ("019b0000-0000-7000-8000-00000000000a", 11),
        ],
    )
    def test_asks_as_many_statements_for_many_rows_as_for_few(self, paid, text, statements):
        with CaptureQueriesContext(connection) as few:
            search.find(text=text, kinds=Kind)
        for n in range(30):
            user = called(f"more-{n}@firma.example", company=f"Firma {n}")
            check_out(user, plan=PlanFactory(), now=NOW)

        with CaptureQueriesContext(connection) as many:
            search.find(text=text, kinds=Kind)

        assert len(few) == len(many) == statements

    @pytest.mark.parametrize(
        ("text", "indexes"),
        [
            ("mueller", {"user_email_part", "details_names_part"}),
            ("mü", {"accounts_user_email", "details_names_part"}),
            ("20260301-01", {"billing_invoice_number"}),
            # PostgreSQL 18 could skip from provider to provider by itself; older ones cannot.
            ("TX-4711", {"payment_reference_once", "Recursive Union"}),
        ],
    )
    def test_goes_to_indexes(self, paid, text, indexes):
        with CaptureQueriesContext(connection) as asked:
            search.find(text=text, kinds=Kind)

        plans = ""
        with connection.cursor() as cursor:
            # Of so few rows the planner would read all; whether it could do otherwise is the point.
            cursor.execute("SET LOCAL enable_seqscan = off")
            for query in asked.captured_queries:
                # Neither is reading the newest first, until there are enough, what is meant.
                steps = "on" if "RECURSIVE" in query["sql"] else "off"
                cursor.execute(f"SET LOCAL enable_indexscan = {steps}")
                cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"))
                plans += "\n".join(row[0] for row in cursor.fetchall()) + "\n"

        assert "Seq Scan" not in plans
        assert {name for name in indexes if name in plans} == indexes


def browser_of(*permissions: str) -> Client:
    client = Client()
    client.force_login(StaffFactory(permissions=permissions))
    return client


class TestPage:
    def test_goes_to_the_only_hit_at_once(self, ann):
        answer = browser_of("accounts.view_user").get(PAGE, {"q": "ann@firma.example"})

        assert answer.status_code == 302
        assert answer.url == f"/admin/accounts/user/{ann.pk}/change/"

    def test_lists_several_by_kind_with_links_to_them_and_to_their_customers(self, paid, ann):
        other = called("tx-4711@else.example")
        payment = Payment.objects.get()
        Payment.objects.create(
            provider="zebra",
            reference="TX-4711",
            invoice_reference="?",
            amount=1,
            currency="USD",
            status="unmatched",
            unmatched_reason="invoice_not_found",
        )
        client = browser_of("accounts.view_user", "billing.view_payment")

        page = client.get(PAGE, {"q": "TX-4711"})

        groups = page.context["groups"]
        text = page.content.decode()
        assert [(group.heading, len(group.rows)) for group in groups] == [
            ("Payments", 2),
            ("Customers", 1),
        ]
        for row in (other, ann):
            assert f'href="/admin/accounts/user/{row.pk}/change/"' in text
        assert f'href="/admin/billing/payment/{payment.pk}/change/"' in text

    @pytest.mark.parametrize(
        ("permission", "headings"),
        [
            ("accounts.view_user", []),
            ("billing.view_invoice", ["Invoices"]),
            ("billing.view_payment", []),
        ],
    )
    def test_shows_what_one_may_see_and_nothing_else(self, paid, permission, headings):
        second = called("bob@else.example")
        check_out(second, plan=PlanFactory(), now=NOW)

        page = browser_of(permission).get(PAGE, {"q": "INV-2026"})

        assert [group.heading for group in page.context["groups"]] == headings
        assert ("INV-20260301-01-000002" in page.content.decode()) == bool(headings)

    def test_names_a_customer_without_a_link_to_who_may_not_open_the_page(self, paid, ann):
        check_out(ann, bundles=[TokenBundleFactory()], now=NOW)

        text = browser_of("billing.view_invoice").get(PAGE, {"q": "INV-"}).content.decode()

        assert "ann@firma.example" in text
        assert "/admin/accounts/user/0" not in text

    @pytest.mark.parametrize("text", ["\x00", "x" * 255, "", " "])
    def test_says_what_is_wrong_with_what_was_typed(self, text):
        page = browser_of("accounts.view_user").get(PAGE, {"q": text})

        assert page.status_code == 200
        assert page.context["form"].errors["q"]
        assert 'role="alert"' in page.content.decode()

    def test_says_that_nothing_was_found(self):
        page = browser_of("accounts.view_user").get(PAGE, {"q": "<b>zzz</b>"})

        assert "Nothing was found for “&lt;b&gt;zzz&lt;/b&gt;”" in page.content.decode()

    def test_is_closed_to_whoever_may_see_none_of_it(self):
        client = browser_of("catalog.view_plan")

        assert client.get(PAGE, {"q": "ann"}).status_code == 403
        assert b"find-box" not in client.get("/admin/catalog/plan/").content

    def test_is_closed_to_customers(self, ann):
        client = Client()
        client.force_login(ann)

        assert client.get(PAGE, {"q": "ann"}).status_code == 302

    def test_the_box_is_on_every_page_and_works_without_scripts(self, ann):
        client = browser_of("accounts.view_user")

        for address in (
            "/admin/",
            "/admin/accounts/user/",
            f"/admin/accounts/user/{ann.pk}/change/",
        ):
            text = client.get(address).content.decode()
            assert f'<form role="search" method="get" action="{PAGE}">' in text
            assert 'name="q"' in text


class TestListOfAccounts:
    @pytest.mark.parametrize("text", ["ANN@firma", "müller", "öko 3m", "ann müller"])
    def test_is_searched_by_the_same_rule(self, ann, text):
        UserFactory(email="bob@else.example")

        page = browser_of("accounts.view_user").get("/admin/accounts/user/", {"q": text})

        assert list(page.context["cl"].result_list) == [ann]

    def test_and_by_id(self, ann):
        UserFactory()

        page = browser_of("accounts.view_user").get("/admin/accounts/user/", {"q": str(ann.pk)})

        assert list(page.context["cl"].result_list) == [ann]

    @pytest.mark.parametrize("text", ["\x00", "x" * 5000, "%_'\"\\", " "])
    def test_takes_any_text(self, ann, text):
        page = browser_of("accounts.view_user").get("/admin/accounts/user/", {"q": text})

        assert page.status_code == 200
