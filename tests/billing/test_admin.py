"""Billing in the admin: everything to be seen, nothing to be changed."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pghistory
import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import BillingDetails
from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    Payment,
    Subscription,
    TokenAccount,
    TokenBundlePurchase,
)
from billing.services import payments, subscriptions, tokens
from catalog.money import Money
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHOWN = [
    AddOnSubscription,
    Event,
    Invoice,
    Payment,
    Subscription,
    TokenAccount,
    TokenBundlePurchase,
]
EVERY_MODEL = pytest.mark.parametrize("model", SHOWN, ids=lambda model: model.__name__)


@pytest.fixture
def finance(roles) -> Client:
    staff = StaffFactory(email="finance@example.com")
    staff.groups.add(roles["Finance"])
    return browser_of(staff)


@pytest.fixture
def superuser(db) -> Client:
    return browser_of(UserFactory(email="root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def catalogue(db) -> dict:
    return {
        "plan": PlanFactory(name="Pro", prices={"USD": "29.00", "JPY": "2900"}),
        "bundles": [TokenBundleFactory(name="Small", prices={"USD": "5.00", "JPY": "500"})],
        "add_ons": [AddOnFactory(name="Hotline", prices={"USD": "15.00", "JPY": "1500"})],
    }


def browser_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def list_of(model) -> str:
    return reverse(f"admin:billing_{model._meta.model_name}_changelist")


def page_of(row) -> str:
    return reverse(f"admin:billing_{row._meta.model_name}_change", args=[row.pk])


def buy(customer, catalogue, *, currency="USD", now=NOW) -> Invoice:
    """A plan, a bundle and an add-on, paid."""
    invoice = check_out(customer, **catalogue, currency=currency, now=now).invoice
    pay(invoice, now=now)
    return invoice


def keep_unmatched(*, reference: str, invoice_reference: str, amount: str) -> Payment:
    notice = payments.Notice(
        provider="bank",
        reference=reference,
        invoice_reference=invoice_reference,
        money=Money.parse(amount, "USD"),
        method="bank_transfer",
    )
    with pytest.raises(payments.PaymentUnmatched):
        payments.capture(notice=notice, now=NOW)
    return Payment.objects.get(reference=reference)


def listed(response) -> list:
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def text_of(response) -> str:
    """What a person reads on the page, without the side bar."""
    assert response.status_code == 200
    body = response.content.decode().split('id="main"')[-1]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.django_db
class TestEveryList:
    @EVERY_MODEL
    def test_asks_as_many_queries_for_many_rows_as_for_few(self, superuser, catalogue, model):
        buy(UserFactory(), catalogue)
        with CaptureQueriesContext(
            connection,
        ) as few:
            rows_of_few = listed(superuser.get(list_of(model)))
        for _ in range(6):
            buy(UserFactory(), catalogue, currency="JPY")

        with CaptureQueriesContext(connection) as many:
            rows_of_many = listed(superuser.get(list_of(model)))

        assert len(rows_of_many) == 7 * len(rows_of_few) > 0
        assert len(many) == len(few)

    @EVERY_MODEL
    def test_finds_rows_by_the_customers_e_mail(self, finance, catalogue, model):
        buy(UserFactory(email="anna@example.com"), catalogue)
        buy(UserFactory(email="other@example.com"), catalogue)

        found = listed(finance.get(list_of(model), {"q": "anna@"}))

        assert {row.user.email for row in found} == {"anna@example.com"}

    @EVERY_MODEL
    def test_takes_any_text_as_a_search(self, finance, model):
        answers = [
            finance.get(list_of(model), {"q": text}).status_code
            for text in ("no-uuid", "\x00", "x" * 5000, "%_'\"\\")
        ]

        assert answers == [200, 200, 200, 200]


@pytest.mark.django_db
class TestEveryRow:
    @EVERY_MODEL
    def test_can_be_looked_at_and_not_changed_even_by_a_superuser(
        self, superuser, customer, catalogue, model
    ):
        buy(customer, catalogue)
        row = model.objects.first()
        before = rows_of_billing()

        shown = superuser.get(page_of(row))
        refused = [
            superuser.post(page_of(row), {"status": "cancelled", "balance": "9"}),
            superuser.get(reverse(f"admin:billing_{model._meta.model_name}_add")),
            superuser.post(reverse(f"admin:billing_{model._meta.model_name}_add"), {}),
            superuser.post(page_of(row).replace("/change/", "/delete/"), {"post": "yes"}),
        ]

        assert shown.status_code == 200
        assert not shown.context["has_change_permission"]
        assert shown.context["adminform"].form.fields == {}
        assert [answer.status_code for answer in refused] == [403, 403, 403, 403]
        assert rows_of_billing() == before
        unchanged = model.objects.get(pk=row.pk)
        assert vars(unchanged) | {"_state": None} == vars(row) | {"_state": None}

    @EVERY_MODEL
    def test_has_no_actions(self, superuser, customer, catalogue, model):
        buy(customer, catalogue)

        response = superuser.post(
            list_of(model),
            {"action": "delete_selected", "_selected_action": [str(model.objects.first().pk)]},
        )

        assert admin.site.get_model_admin(model).get_actions(response.wsgi_request) == {}
        assert model.objects.exists()

    @EVERY_MODEL
    def test_is_refused_without_the_right_to_view_it(self, catalogue, customer, model):
        buy(customer, catalogue)
        nobody = browser_of(StaffFactory(permissions=["catalog.view_plan"]))

        answers = [nobody.get(list_of(model)), nobody.get(page_of(model.objects.first()))]

        assert [answer.status_code for answer in answers] == [403, 403]

    def test_that_is_no_id_leads_back_to_the_index(self, finance):
        response = finance.get("/admin/billing/invoice/no-uuid/change/")

        assert response.status_code == 302
        assert response.url == "/admin/"

    def test_lists_nothing_of_the_machinery(self):
        registered = {
            model.__name__
            for model in admin.site._registry
            if model._meta.app_label in ("billing", "pghistory")
        }

        assert registered == {model.__name__ for model in SHOWN}


@pytest.mark.django_db
class TestInvoice:
    def test_list_shows_money_in_its_own_currency(self, finance, customer, catalogue):
        buy(customer, catalogue, currency="JPY")
        buy(customer, catalogue, currency="USD", now=NOW + timedelta(days=1))

        text = text_of(finance.get(list_of(Invoice)))

        assert re.findall(r"[¥$][\d,.]+", text) == ["$49.00", "¥4,900"]
        assert "1 Mar 2026, 12:00" in text

    @pytest.mark.parametrize("by", ["number", "payment_ref", "pk"])
    def test_is_found_by_what_people_quote(self, finance, customer, catalogue, by):
        wanted = buy(customer, catalogue)
        wanted.refresh_from_db()
        buy(UserFactory(), catalogue)

        found = listed(finance.get(list_of(Invoice), {"q": str(getattr(wanted, by))}))

        assert found == [wanted]

    def test_is_filtered_by_status_currency_and_date(self, finance, customer, catalogue):
        wanted = buy(customer, catalogue, currency="JPY")
        buy(UserFactory(), catalogue, currency="USD")
        check_out(UserFactory(), **catalogue, currency="JPY", now=NOW)
        buy(UserFactory(), catalogue, currency="JPY", now=NOW - timedelta(days=40))

        filters = {
            "status__exact": "paid",
            "currency": "JPY",
            "invoiced_at__year": "2026",
            "invoiced_at__month": "3",
        }
        found = listed(finance.get(list_of(Invoice), filters))

        assert found == [wanted]

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
        assert "1 Subscription Pro 1 $29.00 $29.00" in text
        assert "2 Token bundle Small 1 $5.00 $5.00" in text
        assert "3 Add-on Hotline 1 $15.00 $15.00" in text
        assert f"bank paid-{invoice.pk} bank_transfer $49.00 Captured" in text
        assert "Small 500 Completed" in text
        assert "Hotline Monthly Active" in text

    def test_page_leaves_out_what_there_is_nothing_of(self, finance, customer, catalogue):
        invoice = check_out(customer, bundles=catalogue["bundles"], now=NOW).invoice

        text = text_of(finance.get(page_of(invoice)))

        assert "Lines Position" in text
        assert "Payments Provider" not in text
        assert "Add-ons Name" not in text
        assert "Earlier states" not in text

    def test_page_shows_what_it_was_and_who_changed_it(self, finance, customer, catalogue):
        staff = UserFactory(email="frieda@example.com", is_staff=True)
        invoice = check_out(customer, **catalogue, now=NOW).invoice
        with pghistory.context(user=str(staff.pk)):
            pay(invoice, now=NOW)

        text = text_of(finance.get(page_of(invoice)))

        assert re.search(r"Earlier states .* Pending — — — frieda@example\.com", text)

    @pytest.mark.parametrize("noted", ["nobody", "", None, 7])
    def test_page_survives_a_change_by_something_that_is_no_account(
        self, finance, customer, catalogue, noted
    ):
        invoice = check_out(customer, **catalogue, now=NOW).invoice
        with pghistory.context(user=noted):
            pay(invoice, now=NOW)

        text = text_of(finance.get(page_of(invoice)))

        assert re.search(r"Earlier states .* Pending — — — —", text)

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


@pytest.mark.django_db
class TestSubscription:
    def test_page_shows_add_ons_invoices_and_earlier_states(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)

        text = text_of(finance.get(page_of(Subscription.objects.get())))

        assert "Hotline $15.00 Active" in text
        assert f"{invoice.number} $49.00 Paid" in text
        assert re.search(r"Earlier states .* Pending", text)

    def test_page_asks_as_many_queries_for_many_add_ons_as_for_few(
        self, finance, customer, catalogue
    ):
        buy(customer, catalogue)
        subscription = Subscription.objects.get()
        finance.get(page_of(subscription))
        with CaptureQueriesContext(connection) as for_few:
            finance.get(page_of(subscription))
        for _ in range(3):
            pay(check_out(customer, add_ons=[AddOnFactory()], now=NOW).invoice, now=NOW)

        with CaptureQueriesContext(connection) as for_many:
            text = text_of(finance.get(page_of(subscription)))

        assert text.count("$29.00 Active") == 3
        assert len(for_many) == len(for_few)

    def test_list_tells_what_is_in_use_from_what_has_lapsed(
        self, finance, customer, catalogue, clock
    ):
        buy(customer, catalogue)
        page = list_of(Subscription)

        now = text_of(finance.get(page))
        clock.move_to(datetime(2026, 4, 1, 12, tzinfo=UTC))
        later = text_of(browser_of(finance_user()).get(page))

        assert ("check_small" in now, "close_small" in now) == (True, False)
        assert ("check_small" in later, "close_small" in later) == (False, True)

    def test_page_shows_the_price_that_was_agreed_on(self, finance, customer, catalogue):
        buy(customer, catalogue, currency="JPY")
        subscription = Subscription.objects.get()
        subscriptions.cancel(subscription=subscription, now=NOW + timedelta(days=1))

        text = text_of(finance.get(page_of(subscription)))

        assert "Price ¥2,900" in text
        assert "Cancel reason customer" in text


@pytest.mark.django_db
class TestPayment:
    def test_that_is_unmatched_says_why_and_what_it_was_meant_for(self, finance, customer):
        made = check_out(customer, plan=PlanFactory(), now=NOW)
        payment = keep_unmatched(
            reference="bank-1", invoice_reference=str(made.invoice.pk), amount="10.00"
        )

        in_list, page = finance.get(list_of(Payment)), finance.get(page_of(payment))

        assert "$10.00 Unmatched The payment is not the total of the invoice." in text_of(in_list)
        assert f"named {made.invoice.number}" in text_of(page)
        assert f'href="{page_of(made.invoice)}"' in page.content.decode()

    def test_for_no_invoice_at_all_shows_what_the_payer_wrote(self, finance):
        payment = keep_unmatched(
            reference="bank-1", invoice_reference="<b>March</b>", amount="10.00"
        )

        page = finance.get(page_of(payment))

        assert "&lt;b&gt;March&lt;/b&gt;" in page.content.decode()

    def test_is_found_among_those_to_resolve(self, finance, customer, catalogue):
        buy(customer, catalogue)
        unknown = keep_unmatched(reference="bank-1", invoice_reference="?", amount="10.00")
        other = check_out(UserFactory(), plan=catalogue["plan"], now=NOW)
        wrong = keep_unmatched(
            reference="bank-2", invoice_reference=str(other.invoice.pk), amount="1.00"
        )

        to_resolve = listed(finance.get(list_of(Payment), {"status__exact": "unmatched"}))
        of_unknown = listed(finance.get(list_of(Payment), {"reason": "invoice_not_found"}))

        assert to_resolve == [wrong, unknown]
        assert of_unknown == [unknown]


@pytest.mark.django_db
class TestTokenAccount:
    def test_page_shows_the_latest_transactions_a_page_at_a_time(self, finance, customer):
        for number in range(60):
            tokens.credit(
                user_id=customer.pk, movements=[tokens.Movement(10, f"gift-{number:02}")], now=NOW
            )
        account = TokenAccount.objects.get()

        first, second = (
            text_of(finance.get(page_of(account), {"transactions-page": number}))
            for number in (1, 2)
        )

        assert "Balance 600 Transactions 60" in first
        assert re.findall(r"gift-\d\d", first) == [f"gift-{n:02}" for n in range(59, 9, -1)]
        assert re.findall(r"gift-\d\d", second) == [f"gift-{n:02}" for n in range(9, -1, -1)]

    @pytest.mark.parametrize(
        "number", ["²", "0", "-1", "x", "9" * 5000, "99"], ids=lambda number: number[:5]
    )
    def test_page_number_that_is_none_is_the_first_page(self, finance, customer, number):
        tokens.credit(user_id=customer.pk, movements=[tokens.Movement(10, "gift")], now=NOW)

        page = finance.get(page_of(TokenAccount.objects.get()), {"transactions-page": number})

        assert "+10 10" in text_of(page)

    def test_is_filtered_by_whether_tokens_are_left(self, finance):
        rich, poor = UserFactory(), UserFactory()
        for user in (rich, poor):
            tokens.credit(user_id=user.pk, movements=[tokens.Movement(10, "gift")], now=NOW)
        tokens.spend(user_id=poor.pk, amount=10, reference="use", now=NOW)

        has_some = listed(finance.get(list_of(TokenAccount), {"balance": "some"}))
        has_none = listed(finance.get(list_of(TokenAccount), {"balance": "none"}))

        assert [account.user for account in has_some] == [rich]
        assert [account.user for account in has_none] == [poor]


@pytest.mark.django_db
class TestTokenBundlePurchase:
    def test_leads_to_its_invoice(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)

        page = finance.get(list_of(TokenBundlePurchase))

        assert f'href="{page_of(invoice)}">{invoice.number}<' in page.content.decode()


@pytest.mark.django_db
class TestEvent:
    def test_is_filtered_by_what_it_is_about(self, finance, customer, catalogue):
        buy(customer, catalogue)

        found = listed(finance.get(list_of(Event), {"about": "checkout"}))

        assert [event.name for event in found] == ["checkout.completed", "checkout.requested"]

    def test_page_shows_what_is_known_of_it(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)
        event = Event.objects.get(name="checkout.completed")

        text = text_of(finance.get(page_of(event)))

        assert str(invoice.pk) in text
        assert "49.00" in text


def finance_user():
    return StaffFactory(permissions=["billing.view_subscription"])
