"""Invoices in the admin: found, filtered, added up and looked at."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pghistory
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import BillingDetails
from billing.models import Invoice, Subscription
from billing.services import invoices
from tests.billing.admin_pages import NOW, browser_of, buy, list_of, listed, page_of, text_of
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, StaffFactory, TokenBundleFactory, UserFactory

pytestmark = pytest.mark.django_db

PAGE = "/admin/billing/invoice/"


def found(client, **query) -> list[Invoice]:
    return listed(client.get(PAGE, query))


def sums(client, **query) -> list[tuple]:
    shown = client.get(PAGE, query).context["sums"]
    return [
        (row.currency, row.invoices, row.net, row.tax, row.total, row.owed, row.paid)
        for row in shown
    ]


class TestList:
    def test_list_shows_money_in_its_own_currency(self, finance, customer, catalogue):
        buy(customer, catalogue, currency="JPY")
        buy(customer, catalogue, currency="USD", now=NOW + timedelta(days=1))

        text = text_of(finance.get(list_of(Invoice)))

        rows, _sums = text.split("Sums of all")
        assert re.findall(r"[¥$][\d,.]+", rows) == ["$49.00", "¥4,900"]
        assert "1 Mar 2026, 12:00" in text

    @pytest.mark.parametrize("by", ["number", "payment_ref", "pk"])
    def test_is_found_by_what_people_quote(self, finance, customer, catalogue, by):
        wanted = buy(customer, catalogue)
        wanted.refresh_from_db()
        buy(UserFactory(), catalogue)

        found = listed(finance.get(list_of(Invoice), {"q": str(getattr(wanted, by))}))

        assert found == [wanted]

    def test_shows_the_company_of_the_invoice_or_else_what_it_is_called_now(
        self, finance, catalogue
    ):
        late = UserFactory(email="late@example.com")
        buy(late, catalogue)
        BillingDetails.objects.create(user=late, company="Late Ltd")
        early = UserFactory(email="early@example.com")
        details = BillingDetails.objects.create(user=early, company="Early Ltd")
        buy(early, catalogue)
        details.company = "Renamed Ltd"
        details.save()

        text = text_of(finance.get(PAGE))

        assert "late@example.com Late Ltd" in text
        assert "early@example.com Early Ltd" in text
        assert "Renamed" not in text

    def test_goes_to_the_first_page_where_the_filters_leave_no_such_page(
        self, finance, customer, catalogue
    ):
        invoice = buy(customer, catalogue)

        assert found(finance, p="7", status__exact="paid") == [invoice]


class TestFilters:
    def test_by_status_currency_and_days_together(self, finance, customer, catalogue):
        wanted = buy(customer, catalogue, currency="JPY")
        buy(UserFactory(), catalogue, currency="USD")
        check_out(UserFactory(), **catalogue, currency="JPY", now=NOW)
        buy(UserFactory(), catalogue, currency="JPY", now=NOW - timedelta(days=40))

        filters = {
            "status__exact": "paid",
            "currency": "JPY",
            "invoiced_at_from": "2026-03-01",
            "invoiced_at_to": "2026-03-31",
        }

        assert found(finance, **filters) == [wanted]

    def test_days_are_whole_and_the_sellers(self, finance, catalogue, settings):
        settings.BILLING_TIME_ZONE = "Europe/Berlin"
        moments = [
            datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC),
            datetime(2026, 2, 28, 23, 0, 0, tzinfo=UTC),
            datetime(2026, 3, 1, 22, 59, 59, tzinfo=UTC),
            datetime(2026, 3, 1, 23, 0, 0, tzinfo=UTC),
        ]
        _before, first, last, _after = [
            buy(UserFactory(), catalogue, now=moment) for moment in moments
        ]

        day = {"from": "2026-03-01", "to": "2026-03-01"}
        issued = {f"invoiced_at_{end}": value for end, value in day.items()}
        paid = {f"paid_at_{end}": value for end, value in day.items()}

        assert found(finance, **issued) == [last, first]
        assert found(finance, **paid) == [last, first]

    @pytest.mark.parametrize(
        "day", ["2026-02-30", "yesterday", "0001-01-01", "9999-12-31", "\x00", "x" * 500]
    )
    def test_a_day_that_is_none_finds_nothing_and_says_so(self, finance, customer, catalogue, day):
        buy(customer, catalogue)

        response = finance.get(PAGE, {"invoiced_at_from": day})

        assert listed(response) == []
        assert "Issued from:" in text_of(response)

    def test_by_plan(self, finance, catalogue):
        wanted = buy(UserFactory(), catalogue)
        other = PlanFactory(name="Other")
        check_out(UserFactory(), plan=other, now=NOW)

        assert found(finance, plan=str(catalogue["plan"].pk)) == [wanted]
        assert "Other" in text_of(finance.get(PAGE))

    def test_by_the_provider_of_its_payment(self, finance, catalogue):
        wanted = buy(UserFactory(), catalogue)
        check_out(UserFactory(), **catalogue, now=NOW)

        assert found(finance, provider="bank") == [wanted]
        assert found(finance, provider="nobody") == []

    def test_by_what_is_overdue(self, finance, catalogue, clock):
        early = check_out(UserFactory(), **catalogue, now=NOW).invoice
        late = check_out(UserFactory(), **catalogue, now=NOW + timedelta(days=5)).invoice
        buy(UserFactory(), catalogue)
        clock.move_to(early.expires_at + timedelta(seconds=1))
        # The session of the fixture is over by then.
        later = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        assert found(later, due="overdue") == [early]
        assert found(later, due="open") == [late]

    @pytest.mark.parametrize("name", ["plan", "provider", "currency", "due", "status__exact"])
    def test_by_something_that_there_is_not_finds_nothing(self, finance, customer, catalogue, name):
        buy(customer, catalogue)

        assert found(finance, **{name: "nonsense"}) == []

    def test_have_labels(self, finance, customer, catalogue):
        buy(customer, catalogue)

        page = finance.get(PAGE).content.decode()

        for name in ("invoiced_at_from", "invoiced_at_to", "paid_at_from", "plan", "provider"):
            assert f'for="id_{name}"' in page
            assert f'id="id_{name}"' in page


class TestSums:
    def test_are_of_all_that_was_found_by_currency(self, finance, catalogue):
        buy(UserFactory(), catalogue, currency="JPY")
        for _ in range(2):
            buy(UserFactory(), catalogue, currency="USD")
        check_out(UserFactory(), **catalogue, currency="USD", now=NOW)

        assert sums(finance) == [
            ("JPY", 1, "¥4,900", "¥0", "¥4,900", "¥0", "¥4,900"),
            ("USD", 3, "$147.00", "$0.00", "$147.00", "$49.00", "$98.00"),
        ]
        assert sums(finance, status__exact="pending") == [
            ("USD", 1, "$49.00", "$0.00", "$49.00", "$49.00", "$0.00")
        ]
        assert sums(finance, q="nobody@example.com") == []

    def test_are_of_every_page_in_one_statement(self, finance):
        bundle = TokenBundleFactory(prices={"USD": "5.00"})
        for _ in range(51):
            check_out(UserFactory(), bundles=[bundle], now=NOW)

        with CaptureQueriesContext(connection) as statements:
            response = finance.get(PAGE)

        assert len(listed(response)) == 50
        assert [row.total for row in response.context["sums"]] == ["$255.00"]
        assert "Sums of all 51 invoices" in text_of(response)
        assert sum("GROUP BY" in each["sql"] for each in statements) == 1

    def test_tell_what_was_refunded_and_cancelled(self, finance, catalogue):
        staff = StaffFactory()
        voided = check_out(UserFactory(), **catalogue, currency="USD", now=NOW).invoice
        invoices.void(invoice=voided, by=staff, reason="Ordered twice", now=NOW)

        (row,) = finance.get(PAGE).context["sums"]

        assert (row.owed, row.paid, row.refunded, row.cancelled) == (
            "$0.00",
            "$0.00",
            "$0.00",
            "$49.00",
        )


class TestSearch:
    def test_by_the_beginning_of_its_number_with_and_without_inv(self, finance, catalogue):
        first = buy(UserFactory(), catalogue)
        second = buy(UserFactory(), catalogue, now=NOW + timedelta(days=1))

        assert found(finance, q="INV-20260301") == [first]
        assert found(finance, q=" inv-20260302-01 ") == [second]
        assert found(finance, q="20260301-01-000001") == [first]

    def test_by_the_company_on_it_even_if_that_was_renamed_since(self, finance, catalogue):
        user = UserFactory()
        details = BillingDetails.objects.create(user=user, company="Schmidt Druck GmbH")
        invoice = buy(user, catalogue)
        details.company = "Schmidt Verlag AG"
        details.save()
        buy(UserFactory(), catalogue)

        assert found(finance, q="druck schmidt") == [invoice]
        assert found(finance, q="Verlag") == [invoice]
        assert found(finance, q="Maier") == []

    def test_by_an_e_mail_that_the_customer_had(self, finance, catalogue):
        user = UserFactory(email="maiden@example.com")
        invoice = buy(user, catalogue)
        user.email = "married@example.com"
        user.save()

        assert found(finance, q="maiden@") == [invoice]
        assert found(finance, q="married@example.com") == [invoice]

    def test_by_the_reference_of_its_payment(self, finance, catalogue):
        invoice = check_out(UserFactory(), **catalogue, now=NOW).invoice
        pay(invoice, reference="4711-RF", now=NOW)

        assert found(finance, q="4711-RF") == [invoice]
        assert found(finance, q="4711-R") == []

    def test_by_the_id_of_itself_its_customer_or_its_subscription(
        self, finance, customer, catalogue
    ):
        invoice = buy(customer, catalogue)
        buy(UserFactory(), catalogue)
        subscription = Subscription.objects.get(user=customer)

        for pk in (invoice.pk, customer.pk, subscription.pk):
            assert found(finance, q=str(pk)) == [invoice]
        assert found(finance, q=str(uuid4())) == []

    @pytest.mark.parametrize("text", ["INV-2026", "2026", "@example.com", "Comp", "paid-1"])
    def test_asks_as_many_queries_for_many_rows_as_for_few(self, finance, catalogue, text):
        def make(count):
            for _ in range(count):
                user = UserFactory()
                BillingDetails.objects.create(user=user, company="Company")
                buy(user, catalogue)

        make(1)
        finance.get(PAGE, {"q": text})
        with CaptureQueriesContext(connection) as for_few:
            finance.get(PAGE, {"q": text})
        make(5)

        with CaptureQueriesContext(connection) as for_many:
            finance.get(PAGE, {"q": text})

        assert len(for_many) == len(for_few)


class TestPage:
    def test_page_shows_buyer_lines_payments_and_what_was_bought(
        self, finance, customer, catalogue
    ):
        BillingDetails.objects.create(
            user=customer, company="Schmidt & Co", city="Berlin", postal_code="10969", country="DE"
        )
        customer.refresh_from_db()
        invoice = buy(customer, catalogue)

        text = text_of(finance.get(page_of(invoice)))

        assert "Schmidt & Co 10969 Berlin DE customer@example.com" in text
        assert "Subtotal $49.00 Tax $0.00 Total $49.00" in text
        assert "1 Subscription Pro — 1 $29.00 $29.00" in text
        assert "2 Token bundle Small — 1 $5.00 $5.00" in text
        assert "3 Add-on Hotline — 1 $15.00 $15.00" in text
        assert f"Bank paid-{invoice.pk} Bank transfer $49.00 Captured" in text
        assert "Small 500 Completed" in text
        assert "Hotline Monthly Active" in text

    def test_page_leaves_out_what_there_is_nothing_of(self, finance, customer, catalogue):
        invoice = check_out(customer, bundles=catalogue["bundles"], now=NOW).invoice

        text = text_of(finance.get(page_of(invoice)))

        assert "Lines Position" in text
        assert "Payments Provider" not in text
        assert "Add-ons Name" not in text
        assert "History When" not in text

    def test_page_shows_what_it_was_and_who_changed_it(self, finance, customer, catalogue):
        staff = UserFactory(email="frieda@example.com", is_staff=True)
        invoice = check_out(customer, **catalogue, now=NOW).invoice
        with pghistory.context(user=str(staff.pk), reason="Seen on the bank account"):
            pay(invoice, now=NOW)

        text = text_of(finance.get(page_of(invoice)))

        assert re.search(
            r"History When Who What changed Why .* frieda@example\.com"
            r" Status: Pending → became Paid .* Seen on the bank account",
            text,
        )
        assert "Payment method: — → became Bank transfer" in text

    @pytest.mark.parametrize("noted", ["nobody", "", None, 7])
    def test_page_survives_a_change_by_something_that_is_no_account(
        self, finance, customer, catalogue, noted
    ):
        invoice = check_out(customer, **catalogue, now=NOW).invoice
        with pghistory.context(user=noted):
            pay(invoice, now=NOW)

        text = text_of(finance.get(page_of(invoice)))

        assert re.search(
            r"History When Who What changed Why .* — Status: Pending → became Paid", text
        )

    def test_page_asks_as_many_queries_for_many_lines_as_for_few(
        self, finance, customer, catalogue
    ):
        few = check_out(customer, plan=catalogue["plan"], now=NOW).invoice
        many = check_out(
            customer, plan=catalogue["plan"], bundles=catalogue["bundles"] * 20, now=NOW
        ).invoice
        finance.get(page_of(few))

        with CaptureQueriesContext(connection) as for_few:
            finance.get(page_of(few))
        with CaptureQueriesContext(connection) as for_many:
            text = text_of(finance.get(page_of(many)))

        assert text.count("Token bundle Small") == 20
        assert len(for_many) == len(for_few)

    def test_tells_what_happened_to_it_and_to_what_hangs_on_it(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)
        buy(customer, {"bundles": catalogue["bundles"]}, now=NOW + timedelta(days=1))

        text = text_of(finance.get(page_of(invoice))).split("Events")[-1]

        assert "Subscription to Pro began" in text
        assert "Add-on Hotline began" in text
        assert f"Payment paid-{invoice.pk} of $49.00 received for invoice {invoice}" in text
        assert f"Ordered with invoice {invoice} , $49.00" in text
        assert "$5.00" not in text

    def test_says_nothing_of_events_to_who_may_not_see_them(self, customer, catalogue):
        invoice = buy(customer, catalogue)
        viewer = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        page = viewer.get(page_of(invoice))

        assert page.context["happened"] is None
        assert "Subscription to" not in text_of(page)

    def test_links_to_the_customer_and_the_subscription(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)

        page = finance.get(page_of(invoice)).content.decode()

        assert f'href="/admin/accounts/user/{customer.pk}/change/"' in page
        assert f'href="{page_of(Subscription.objects.get())}"' in page

    def test_says_when_it_is_overdue(self, customer, catalogue, clock):
        invoice = check_out(customer, **catalogue, now=NOW).invoice
        clock.move_to(invoice.expires_at + timedelta(seconds=1))
        viewer = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        assert viewer.get(page_of(invoice)).context["note"] == "Overdue"
