"""Billing in the admin: everything to be seen, nothing to be changed."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import (
    AddOnSubscription,
    Event,
    Invoice,
    Mail,
    Payment,
    Subscription,
    TokenAccount,
    TokenBundlePurchase,
)
from billing.services import subscriptions, tokens
from tests.billing.admin_pages import (
    NOW,
    browser_of,
    buy,
    list_of,
    listed,
    page_of,
    text_of,
)
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import (
    AddOnFactory,
    StaffFactory,
    UserFactory,
)

SHOWN = [
    AddOnSubscription,
    Event,
    Invoice,
    Mail,
    Payment,
    Subscription,
    TokenAccount,
    TokenBundlePurchase,
]
EVERY_MODEL = pytest.mark.parametrize("model", SHOWN, ids=lambda model: model.__name__)


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

    @pytest.mark.parametrize(
        "model",
        [model for model in SHOWN if model not in (Invoice, Mail, Subscription)],
        ids=lambda model: model.__name__,
    )
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

        # Their tests stand by themselves.
        others = {"Coupon", "CouponRedemption", "CreditAccount", "Mail"}
        assert registered == {model.__name__ for model in SHOWN} | others


@pytest.mark.django_db
class TestSubscription:
    def test_page_shows_add_ons_invoices_and_earlier_states(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)

        text = text_of(finance.get(page_of(Subscription.objects.get())))

        assert "Hotline $15.00 Active" in text
        assert f"{invoice.number} $49.00 Paid" in text
        assert re.search(r"History When .* Status: Pending → became Active", text)

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
