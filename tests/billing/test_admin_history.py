"""The history of everything: who, when, what changed from what to what, why."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import BillingDetails, User
from accounts.services import accounts
from billing.models import AddOnSubscription, Invoice, Payment, Subscription, TokenBundlePurchase
from billing.services import subscriptions
from catalog.models import AddOn, Plan, TokenBundle
from catalog.money import Money
from catalog.services import items, prices
from config.history import noted
from tests.billing.purchases import check_out, pay
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def frieda() -> User:
    return StaffFactory(email="frieda@example.com")


@pytest.fixture
def superuser() -> Client:
    return browser_of(StaffFactory(email="root@example.com", is_superuser=True))


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def history_of(row) -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_history", args=[row.pk])


def page_of(row) -> str:
    return history_of(row).replace("/history/", "/change/")


def told(response) -> list[str]:
    """Each change as one line: who, what, why."""
    assert response.status_code == 200
    rows = re.findall(r"<tr>\s*<td.*?</tr>", response.content.decode(), re.DOTALL)
    return [_text(row.split("</td>", 1)[1]) for row in rows]


def _text(html: str) -> str:
    html = html.replace('<span class="visually-hidden">became</span>', "")
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


class TestPageOfAnItem:
    def test_says_what_who_and_why(self, superuser, frieda):
        plan = PlanFactory(name="Pro", sort_order=1)
        with noted(by=frieda.pk, reason="The new brand"):
            plan.name, plan.sort_order, plan.features = "Team", 2, ["Ten seats"]
            plan.save()

        assert told(superuser.get(history_of(plan)))[0] == (
            "frieda@example.com Name: Pro → Team Sort order: 1 → 2"
            ' Features: [] → ["Ten seats"] The new brand'
        )

    def test_shows_the_latest_first_each_compared_with_the_next(self, superuser):
        plan = PlanFactory(name="One")
        for name in ("Two", "Three"):
            plan.name = name
            plan.save()
        items.deactivate(item=plan)

        assert told(superuser.get(history_of(plan)))[:3] == [
            "— Active: Yes → No —",
            "— Name: Two → Three —",
            "— Name: One → Two —",
        ]

    @pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])
    def test_tells_a_new_price_as_a_change_of_the_old_one(self, superuser, frieda, factory):
        item = factory(prices={"USD": "29.00"})
        with noted(by=frieda.pk, reason="Costs went up"):
            prices.set_price(item=item, money=Money(Decimal("31.00"), "USD"), now=timezone.now())

        lines = told(superuser.get(history_of(item)))

        assert "frieda@example.com Price in USD: $29.00 → $31.00 Costs went up" in lines
        assert "— Price $29.00 set. —" in lines
        assert not [line for line in lines if "Price $31.00 set" in line]

    def test_tells_prices_that_are_planned_taken_back_and_withdrawn(self, superuser):
        item = PlanFactory(prices={"USD": "29.00"})
        now = timezone.now()
        dollars = Money(Decimal("31.00"), "USD")
        prices.set_price(item=item, money=dollars, now=now, valid_from=now + timedelta(days=30))
        assert any("From " in line for line in told(superuser.get(history_of(item))))

        prices.withdraw_price(item=item, currency="USD", now=timezone.now())
        lines = told(superuser.get(history_of(item)))

        assert "— Price $31.00 that was to come: taken back. —" in lines
        assert any("Price in USD: $29.00 → not sold" in line for line in lines)

    def test_the_button_on_the_page_leads_to_it(self, superuser):
        plan = PlanFactory()

        assert f'href="{history_of(plan)}"' in superuser.get(page_of(plan)).content.decode()

    def test_shows_text_as_it_is_and_never_as_markup(self, superuser, frieda):
        plan = PlanFactory(name="Pro")
        with noted(by=frieda.pk, reason="<script>1</script>"):
            plan.name = "<b>Pro</b>"
            plan.save()

        text = superuser.get(history_of(plan)).content.decode()

        assert "&lt;b&gt;Pro&lt;/b&gt;" in text
        assert "<script>1</script>" not in text

    def test_is_shown_a_page_at_a_time(self, superuser):
        plan = PlanFactory(name="0", prices={})
        for number in range(1, 31):
            plan.name = str(number)
            plan.save()

        first = superuser.get(history_of(plan))
        second = superuser.get(history_of(plan), {"p": "2"})

        assert told(first)[0] == "— Name: 29 → 30 —"
        assert told(first)[-1] == "— Name: 5 → 6 —"
        assert told(second) == [f"— Name: {n} → {n + 1} —" for n in range(4, -1, -1)]
        assert "Older changes" in first.content.decode()
        assert "Older changes" not in second.content.decode()

    @pytest.mark.parametrize("number", ["²", "0", "-1", "x", "9" * 5000, ""])
    def test_takes_any_page_number(self, superuser, number):
        plan = PlanFactory(name="Pro")

        assert superuser.get(history_of(plan), {"p": number}).status_code == 200

    def test_asks_as_many_queries_for_many_changes_as_for_few(self, superuser, frieda):
        plan = PlanFactory(prices={"USD": "1.00"})
        superuser.get(history_of(plan))
        with noted(by=frieda.pk, reason="first"):
            plan.name = "first"
            plan.save()
            prices.set_price(item=plan, money=Money(Decimal("2.00"), "USD"), now=timezone.now())
        with CaptureQueriesContext(connection) as few:
            superuser.get(history_of(plan))
        for number in range(12):
            with noted(by=StaffFactory().pk, reason="again"):
                plan.name = f"name {number}"
                plan.save()
                prices.set_price(
                    item=plan, money=Money(Decimal(number + 3), "USD"), now=timezone.now()
                )

        with CaptureQueriesContext(connection) as many:
            lines = told(superuser.get(history_of(plan)))

        assert len(lines) == 25
        assert len(many) == len(few)

    def test_wants_the_right_to_see_the_item(self):
        plan, bundle, add_on = PlanFactory(), TokenBundleFactory(), AddOnFactory()
        client = browser_of(StaffFactory(permissions=["accounts.view_user"]))

        answers = [client.get(history_of(item)).status_code for item in (plan, bundle, add_on)]

        assert answers == [403, 403, 403]

    @pytest.mark.parametrize("model", [Plan, TokenBundle, AddOn])
    def test_of_what_there_is_not_leads_back(self, superuser, model):
        address = f"/admin/catalog/{model._meta.model_name}/no-uuid/history/"

        assert superuser.get(address).url == "/admin/"


class TestPageOfAnAccount:
    def test_tells_the_account_and_its_billing_details(self, superuser, frieda):
        user = UserFactory(email="ann@example.com")
        details = BillingDetails.objects.create(user=user, company="Old Ltd")
        with noted(by=frieda.pk, reason="Moved"):
            details.company, details.country = "New Ltd", "DE"
            details.save()
        with noted(by=frieda.pk, reason="Stolen card"):
            accounts.suspend(user=user, now=timezone.now())

        assert told(superuser.get(history_of(user))) == [
            "frieda@example.com Status: Active → Suspended Stolen card",
            "frieda@example.com Billing details of New Ltd Company: Old Ltd → New Ltd"
            " Country: — → DE Moved",
        ]

    def test_tells_the_rights_that_a_superuser_gave_and_took(self, superuser):
        user = UserFactory(email="ann@example.com")
        day, night = Group.objects.create(name="Day"), Group.objects.create(name="Night")
        user.groups.add(day)
        permission = Permission.objects.get(codename="view_user")

        answer = superuser.post(
            page_of(user),
            {
                "email": "ann@example.com",
                "language": "en",
                "is_staff": "on",
                "groups": [night.pk],
                "user_permissions": [permission.pk],
                "billing_details-TOTAL_FORMS": "0",
                "billing_details-INITIAL_FORMS": "0",
            },
        )
        lines = told(superuser.get(history_of(user)))

        assert answer.status_code == 302
        assert "root@example.com Staff: No → Yes —" in lines
        note = next(line for line in lines if "group" in line)
        assert "Added group “Night”." in note
        assert "Deleted group “Day”." in note
        assert "Added permission “Accounts | user | Can view user”." in note
        assert "Changed" not in note

    def test_shows_no_passwords(self, superuser):
        user = UserFactory(email="ann@example.com")
        user.set_password("quite another password")
        user.save()

        assert told(superuser.get(history_of(user))) == []

    def test_wants_the_right_to_see_the_account(self):
        client = browser_of(StaffFactory(permissions=["catalog.view_plan"]))

        assert client.get(history_of(UserFactory())).status_code == 403


@pytest.fixture
def sold() -> Invoice:
    made = check_out(
        UserFactory(),
        plan=PlanFactory(name="Pro"),
        bundles=[TokenBundleFactory()],
        add_ons=[AddOnFactory()],
        now=NOW,
    )
    return made.invoice


class TestOnThePageOfARow:
    @pytest.mark.parametrize(
        ("model", "status"),
        [
            (Invoice, "Status: Pending → Paid"),
            (Subscription, "Status: Pending → Active"),
            (AddOnSubscription, "Status: Pending → Active"),
            (TokenBundlePurchase, "Status: Pending → Completed"),
        ],
    )
    def test_says_what_who_and_why(self, superuser, frieda, sold, model, status):
        with noted(by=frieda.pk, reason="Seen on the bank account"):
            pay(sold, now=NOW)

        row = model.objects.get()
        shown = _text(superuser.get(page_of(row)).content.decode())

        assert status in shown
        assert "frieda@example.com" in shown
        assert "Seen on the bank account" in shown
        assert status in " ".join(told(superuser.get(history_of(row))))

    def test_shows_moments_and_names_of_what_a_row_leads_to(self, superuser, sold):
        pay(sold, now=NOW)
        subscription = Subscription.objects.get()
        subscription.pending_plan = PlanFactory(name="Team")
        subscription.pending_price = subscription.pending_plan.prices.get()
        subscription.save()

        shown = _text(superuser.get(page_of(subscription)).content.decode())

        assert "Pending plan: — → Team" in shown
        assert "Expires at: — → 1 Apr 2026, 12:00" in shown

    def test_of_a_payment_names_the_invoice(self, superuser, sold):
        payment = Payment.objects.create(
            provider="bank",
            reference="TX-1",
            invoice_reference="?",
            amount=Decimal("29.00"),
            currency="USD",
            status="unmatched",
            unmatched_reason="invoice_not_found",
        )
        payment.invoice, payment.status, payment.unmatched_reason = sold, "captured", ""
        payment.save()

        shown = _text(superuser.get(page_of(payment)).content.decode())

        assert f"Invoice: — → {sold.number}" in shown
        assert "Status: Unmatched → Captured" in shown

    def test_second_page_goes_on_where_the_first_one_ends(self, superuser, sold):
        pay(sold, now=NOW)
        subscription = Subscription.objects.get()
        for number in range(30):
            subscription.cancel_reason = f"r{number}"
            subscription.save()

        pages = [
            re.findall(
                r"Cancel reason: (\S+) → (\S+)",
                _text(superuser.get(page_of(subscription), {"history-page": n}).content.decode()),
            )
            for n in (1, 2)
        ]

        assert pages[0][0] == ("r28", "r29")
        assert pages[0][-1] == ("r9", "r10")
        assert pages[1][0] == ("r8", "r9")
        assert pages[1][-1] == ("—", "r0")

    def test_asks_as_many_queries_for_many_changes_as_for_few(self, superuser, sold):
        pay(sold, now=NOW)
        subscription = Subscription.objects.get()
        superuser.get(page_of(subscription))
        with CaptureQueriesContext(connection) as few:
            superuser.get(page_of(subscription))
        for _ in range(5):
            subscriptions.pause(subscription=subscription, now=NOW)
            subscriptions.resume(subscription=subscription, now=NOW)

        with CaptureQueriesContext(connection) as many:
            superuser.get(page_of(subscription))

        assert len(many) == len(few)
