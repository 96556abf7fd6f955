"""What is owed to customers, in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.models import Coupon, CreditAccount, CreditEntry, Invoice
from billing.services import books, changes, coupon_steps, endings
from catalog.money import Money
from tests.billing.admin_pages import browser_of, list_of, page_of, text_of
from tests.billing.purchases import check_out, pay, subscribe
from tests.factories import PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def books_hold(db):
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def staff():
    rights = ["view_creditaccount", "view_creditentry", "view_invoice", "view_subscription"]
    permissions = [*(f"billing.{right}" for right in rights), "accounts.view_user"]
    return browser_of(StaffFactory(permissions=permissions))


@pytest.fixture
def customer():
    return UserFactory(email="ada@example.com")


def customer_page(customer) -> str:
    return reverse("admin:accounts_user_change", args=[customer.pk])


def left_with_credit(customer) -> CreditAccount:
    """Paid for Pro, left it half way, and used a part of the rest on Basic."""
    pro, basic = PlanFactory(name="Pro"), PlanFactory(name="Basic", prices={"USD": "4.00"})
    left = subscribe(customer, plan=pro, now=timezone.now() - 10 * DAY)
    endings.cancel(subscription=left, at_once=True, with_credit=True, now=timezone.now() - DAY)
    check_out(customer, plan=basic, now=timezone.now())  # all of it is on account
    return CreditAccount.objects.get(user=customer)


class TestList:
    def test_shows_what_each_has_left(self, staff, customer):
        account = left_with_credit(customer)

        text = text_of(staff.get(list_of(CreditAccount)))

        assert "ada@example.com" in text
        assert Money(account.balance, "USD").for_people() in text

    @pytest.mark.parametrize(("balance", "found"), [("some", 1), ("none", 1), ("", 2)])
    def test_is_filtered_by_what_is_left(self, staff, customer, balance, found):
        left_with_credit(customer)
        CreditAccount.objects.create(user=UserFactory(), currency="USD")

        page = staff.get(list_of(CreditAccount), {"balance": balance} if balance else {})

        assert page.context["cl"].result_count == found

    def test_asks_as_many_queries_for_many_as_for_few(self, staff, customer):
        left_with_credit(customer)
        staff.get(list_of(CreditAccount))
        with CaptureQueriesContext(connection) as few:
            staff.get(list_of(CreditAccount))
        for _ in range(5):
            CreditAccount.objects.create(user=UserFactory(), currency="USD")

        with CaptureQueriesContext(connection) as many:
            staff.get(list_of(CreditAccount))

        assert len(many) == len(few)

    def test_needs_its_permission(self, customer):
        other = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        assert other.get(list_of(CreditAccount)).status_code == 403


class TestPage:
    def test_tells_why_each_entry_is_and_of_what(self, staff, customer):
        account = left_with_credit(customer)
        invoice = Invoice.objects.get(plan__name="Basic")

        page = staff.get(page_of(account))

        text = text_of(page)
        assert "Cancellation" in text
        assert "Used on an invoice" in text
        assert "−$4.00" in text
        assert f'href="{page_of(invoice)}">{invoice.number}</a>' in page.content.decode()
        rows = page.context["inline_admin_formsets"][0].formset.get_queryset()
        assert [row.of_name for row in rows] == [None, "Pro"]

    def test_asks_as_many_queries_for_many_entries_as_for_few(self, staff, customer):
        account = left_with_credit(customer)
        staff.get(page_of(account))
        with CaptureQueriesContext(connection) as few:
            staff.get(page_of(account))
        assert CreditEntry.objects.count() == 2
        subscription = customer.subscription_set.get(status="active")
        dear = changes.request(subscription=subscription, quantity=20, now=timezone.now())
        pay(dear.invoice, now=timezone.now())
        endings.cancel(
            subscription=subscription, at_once=True, with_credit=True, now=timezone.now()
        )
        assert CreditEntry.objects.count() >= 4

        with CaptureQueriesContext(connection) as many:
            staff.get(page_of(account))

        assert len(many) == len(few)

    def test_is_changed_by_nobody(self, customer):
        account = left_with_credit(customer)
        admin = browser_of(StaffFactory(is_superuser=True))

        refused = [
            admin.post(page_of(account), {"balance": "99"}),
            admin.post(page_of(account).replace("change/", "delete/"), {"post": "yes"}),
        ]

        assert [answer.status_code for answer in refused] == [403, 403]
        assert CreditAccount.objects.get().balance == account.balance


class TestCustomer:
    def test_page_leads_to_the_entries(self, staff, customer):
        account = left_with_credit(customer)

        page = staff.get(customer_page(customer))

        owed = Money(account.balance, "USD").for_people()
        assert f"{owed} for the next invoices Entries" in text_of(page)
        assert page_of(account) in page.content.decode()

    def test_page_shows_nothing_to_who_may_not_see_it(self, customer):
        left_with_credit(customer)
        other = browser_of(StaffFactory(permissions=["accounts.view_user"]))

        assert "On account" not in text_of(other.get(customer_page(customer)))

    def test_page_tells_of_the_coupon(self, staff, customer):
        subscription = subscribe(customer, plan=PlanFactory(), now=timezone.now() - DAY)
        Coupon.objects.create(
            code="HALF", name="Half price", percent=50, duration="periods", periods=3
        )
        coupon_steps.put_on(subscription=subscription, code="HALF", now=timezone.now())

        text = text_of(staff.get(customer_page(customer)))

        assert "coupon: Half price, 3 more periods" in text
