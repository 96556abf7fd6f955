"""The customer's page: everything at a glance, and what support may do about it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import BillingDetails, Session, User
from accounts.services import accounts, sessions
from billing.models import Event, Invoice, Subscription, TokenAccount, TokenTransaction
from billing.services import books, subscriptions, token_adjustments
from config.history import noted
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)
from tests.mailbox import letters

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = {
    "tokens": "billing.adjust_tokens",
    "send-invoice": "billing.send_invoice",
    "send-password-link": "accounts.change_user",
    "suspend": "accounts.change_user",
    "activate": "accounts.change_user",
}
SEES = ["accounts.view_user", "billing.view_subscription", "billing.view_addonsubscription"] + [
    "billing.view_invoice",
    "billing.view_payment",
    "billing.view_tokenaccount",
    "billing.view_event",
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def books_hold(db) -> Iterator[None]:
    """Whatever staff did, the books add up after it."""
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def ann(clock) -> User:
    user = UserFactory(email="ann@example.com", created_at=NOW - timedelta(days=90))
    BillingDetails.objects.create(
        user=user, first_name="Ann", last_name="Smith", company="Smith & Co"
    )
    return user


@pytest.fixture
def support(roles, clock) -> Client:
    member = StaffFactory(email="sam@example.com")
    member.groups.add(roles["Support"])
    return browser_of(member)


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(user: User) -> str:
    return f"/admin/accounts/user/{user.pk}/change/"


def step(user: User, name: str) -> str:
    return f"/admin/accounts/user/{user.pk}/{name}/"


def text_of(response) -> str:
    assert response.status_code == 200
    body = response.content.decode().split('id="main"')[-1]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split()).replace(" ,", ",")


def buy(user: User, now: datetime = NOW) -> Invoice:
    made = check_out(
        user,
        plan=PlanFactory(name="Pro"),
        bundles=[TokenBundleFactory(name="Small", token_amount=1500)],
        add_ons=[AddOnFactory(name="Hotline", prices={"USD": "15.00"})],
        now=now,
    )
    pay(made.invoice, reference=f"TX-{made.invoice.number}", now=now)
    return made.invoice


class TestGlance:
    def test_says_who_it_is_and_what_they_use_and_paid(self, support, ann):
        invoice = buy(ann)

        text = text_of(support.get(page_of(ann)))

        assert "Ann Smith, Smith & Co Active ann@example.com since 1 Dec 2025" in text
        assert "Subscription Pro Active $29.00 monthly, until 1 Apr 2026" in text
        assert "Add-ons Hotline Active $15.00 monthly, until 1 Apr 2026" in text
        assert "Tokens 1,500 Transactions" in text
        assert f"Last invoices All {invoice.number} 1 Mar 2026 $73.00 Paid" in text
        assert f"Last payments All TX-{invoice.number} 1 Mar 2026 $73.00 Captured" in text

    def test_leads_everywhere(self, support, ann):
        invoice = buy(ann)

        html = support.get(page_of(ann)).content.decode()

        for path in (
            f"/admin/billing/subscription/{Subscription.objects.get().pk}/change/",
            f"/admin/billing/invoice/{invoice.pk}/change/",
            f"/admin/billing/payment/{invoice.payments.get().pk}/change/",
            f"/admin/billing/tokenaccount/{ann.pk}/change/",
            f"/admin/billing/invoice/?user__id__exact={ann.pk}",
            f"/admin/billing/payment/?user__id__exact={ann.pk}",
            f"/admin/accounts/user/{ann.pk}/history/",
        ):
            assert f'href="{path}"' in html
            assert support.get(path).status_code == 200

    def test_of_a_new_customer_says_that_there_is_nothing(self, support, ann):
        text = text_of(support.get(page_of(ann)))

        assert "Subscription None Tokens 0" in text
        assert "Last invoices No invoices" in text
        assert "Last payments No payments" in text
        assert "Timeline Nothing has happened yet." in text

    def test_tells_a_subscription_that_waits_pauses_or_runs_out(self, support, ann):
        made = check_out(ann, plan=PlanFactory(name="Pro"), now=NOW)
        assert "Pro Pending $29.00 monthly, waits for its payment" in text_of(
            support.get(page_of(ann))
        )

        pay(made.invoice, now=NOW)
        subscriptions.pause(subscription=made.subscription, now=NOW)
        assert "Pro Paused $29.00 monthly, paused since 1 Mar 2026" in text_of(
            support.get(page_of(ann))
        )

        subscriptions.cancel(subscription=made.subscription, now=NOW)
        assert "Pro Cancelled $29.00 monthly, ends on 1 Apr 2026" in text_of(
            support.get(page_of(ann))
        )

    def test_says_who_suspended_an_account_and_why(self, support, ann):
        frieda = StaffFactory(email="frieda@example.com")
        with noted(by=frieda.pk, reason="Stolen card"):
            accounts.suspend(user=ann, now=NOW)

        text = text_of(support.get(page_of(ann)))

        assert "Suspended ann@example.com" in text
        assert "by frieda@example.com: “Stolen card”" in text

    def test_tells_the_story_in_sentences_the_latest_first(self, support, ann):
        number = buy(ann).number

        text = text_of(support.get(page_of(ann)))

        story = text.split("Timeline")[1]
        sentences = [
            "Add-on Hotline began",
            f"+1,500 tokens credited with invoice {number}",
            "Subscription to Pro began",
            f"Invoice {number} paid by bank transfer, $73.00",
            f"Payment TX-{number} of $73.00 received for invoice {number}",
            f"Ordered with invoice {number}, $73.00",
        ]
        places = [story.find(sentence) for sentence in sentences]
        assert -1 not in places
        assert places == sorted(places)
        assert "{" not in story.split("E-mail")[0]

    def test_names_the_member_of_staff_and_the_reason_where_they_are_noted(self, support, ann):
        frieda = StaffFactory(email="frieda@example.com")
        invoice = buy(ann)
        Event.objects.create(
            name="invoice.refunded",
            user=ann,
            subject_id=invoice.pk,
            payload={"by": str(frieda.pk), "reason": "Did not <want> it"},
        )

        response = support.get(page_of(ann))

        assert (
            f"Invoice {invoice.number} refunded, $73.00 by frieda@example.com: “Did not <want> it”"
        ) in text_of(response)
        assert "<want>" not in response.content.decode()

    @pytest.mark.parametrize(
        "event",
        [
            {"name": "something.new", "payload": {}},
            {"name": "invoice.paid", "payload": {"by": "nobody", "reason": 7}},
            {"name": "payment.unmatched", "payload": {"amount": "x", "currency": "USD"}},
            {"name": "subscription.cancelled", "payload": {"superseded_by": "?"}},
            {"name": "tokens.credited", "payload": {"invoice_id": None}},
        ],
    )
    def test_tells_an_event_that_it_knows_little_of(self, support, ann, event):
        Event.objects.create(user=ann, **event)

        words = event["name"].split(".")[0]
        assert words in text_of(support.get(page_of(ann))).split("Timeline")[1].lower()

    def test_has_a_page_for_older_events(self, support, ann):
        for number in range(20):
            Event.objects.create(
                user=ann, name="checkout.failed", payload={"error": f"no {number}."}
            )

        first = support.get(page_of(ann))
        second = support.get(page_of(ann), {"events": "2"})

        assert re.findall(r"no (\d+)\.", text_of(first)) == [str(n) for n in range(19, 4, -1)]
        assert re.findall(r"no (\d+)\.", text_of(second)) == ["4", "3", "2", "1", "0"]
        assert 'href="?events=2#timeline"' in first.content.decode()
        assert 'href="?events=1#timeline"' in second.content.decode()

    @pytest.mark.parametrize("number", ["²", "0", "-1", "x", "9" * 5000])
    def test_takes_any_page_number(self, support, ann, number):
        assert support.get(page_of(ann), {"events": number}).status_code == 200

    def test_asks_as_many_queries_for_years_as_for_a_day(self, support, ann):
        buy(ann)
        support.get(page_of(ann))
        with CaptureQueriesContext(connection) as few:
            support.get(page_of(ann))
        for days in range(1, 8):
            buy(ann, NOW + timedelta(days=days))

        with CaptureQueriesContext(connection) as many:
            support.get(page_of(ann))

        assert len(many) == len(few)

    @pytest.mark.parametrize(
        ("permission", "heading"),
        [
            ("billing.view_subscription", "Subscription Pro"),
            ("billing.view_addonsubscription", "Add-ons Hotline"),
            ("billing.view_invoice", "Last invoices"),
            ("billing.view_payment", "Last payments"),
            ("billing.view_tokenaccount", "Tokens 1,500"),
            ("billing.view_event", "Timeline"),
        ],
    )
    def test_leaves_out_what_one_may_not_see(self, ann, permission, heading):
        buy(ann)
        others = [one for one in SEES if one != permission]

        everything = text_of(browser_of(StaffFactory(permissions=SEES)).get(page_of(ann)))
        less = text_of(browser_of(StaffFactory(permissions=others)).get(page_of(ann)))

        assert heading in everything
        assert heading not in less

    def test_offers_nobody_to_sign_in_as_the_customer(self, ann, clock):
        html = browser_of(StaffFactory(is_superuser=True)).get(page_of(ann)).content.decode()

        assert "impersonat" not in html.lower()
        assert "login as" not in html.lower()


class TestEveryStep:
    @pytest.mark.parametrize(("name", "permission"), STEPS.items())
    def test_is_offered_and_taken_with_its_permission_only(self, ann, name, permission):
        buy(ann)
        if name == "activate":
            User.objects.filter(pk=ann.pk).update(status="suspended")
        others = [one for one in set(STEPS.values()) if one != permission]
        without = browser_of(StaffFactory(permissions=[*SEES, *others]))
        with_it = browser_of(StaffFactory(permissions=[*SEES, permission]))
        before = rows_of_billing()

        assert step(ann, name) not in without.get(page_of(ann)).content.decode()
        assert without.get(step(ann, name)).status_code == 403
        assert without.post(step(ann, name), {"reason": "x"}).status_code == 403
        assert step(ann, name) in with_it.get(page_of(ann)).content.decode()
        assert with_it.get(step(ann, name)).status_code == 200
        assert rows_of_billing() == before
        assert mail.outbox == []

    @pytest.mark.parametrize("name", STEPS)
    def test_leaves_staff_alone_but_for_superusers(self, support, name):
        colleague = StaffFactory(status="suspended" if name == "activate" else "active")
        buy(colleague)
        superuser = browser_of(StaffFactory(is_superuser=True))

        assert "/suspend/" not in support.get(page_of(colleague)).content.decode()
        assert support.post(step(colleague, name), {"reason": "x"}).status_code == 403
        assert superuser.get(step(colleague, name)).status_code == 200

    @pytest.mark.parametrize("name", STEPS)
    def test_is_not_taken_on_oneself(self, clock, name):
        me = StaffFactory(is_superuser=True)
        buy(me)

        assert browser_of(me).post(step(me, name), {"reason": "x"}).status_code == 403

    @pytest.mark.parametrize("name", STEPS)
    def test_is_closed_to_customers_and_to_strangers(self, ann, name):
        answers = [browser.post(step(ann, name)) for browser in (Client(), browser_of(ann))]

        assert [answer.status_code for answer in answers] == [302, 302]
        assert all(answer.url.startswith("/admin/login/") for answer in answers)

    @pytest.mark.parametrize("name", STEPS)
    def test_of_nobody_leads_back(self, support, name):
        address = f"/admin/accounts/user/no-uuid/{name}/"

        assert support.post(address).url == "/admin/"

    @pytest.mark.parametrize("name", ["suspend", "activate", "tokens"])
    @pytest.mark.parametrize("reason", ["", " ", "\x00", "x" * 501])
    def test_wants_a_reason(self, support, ann, name, reason):
        if name == "activate":
            User.objects.filter(pk=ann.pk).update(status="suspended")
        status = User.objects.get(pk=ann.pk).status

        page = support.post(
            step(ann, name),
            {"reason": reason, "direction": "grant", "amount": "5", "reference": str(uuid4())},
        )

        assert page.status_code == 200
        assert page.context["form"].errors["reason"]
        assert User.objects.get(pk=ann.pk).status == status
        assert not TokenAccount.objects.exists()


class TestSuspendAndActivate:
    def test_shuts_out_at_once_and_lets_in_again(self, support, ann):
        sessions.open(user=ann, now=NOW)

        answer = support.post(step(ann, "suspend"), {"reason": "Stolen card"}, follow=True)

        ann.refresh_from_db()
        assert ann.status == "suspended"
        assert Session.objects.get().ended_at is not None
        assert "by sam@example.com: “Stolen card”" in text_of(answer)
        assert "ann@example.com is suspended" in text_of(answer)

        support.post(step(ann, "activate"), {"reason": "It was found"})

        ann.refresh_from_db()
        assert ann.status == "active"
        history = text_of(support.get(f"/admin/accounts/user/{ann.pk}/history/"))
        assert "Status: Suspended → became Active It was found" in history

    def test_only_asks_before_it_is_confirmed(self, support, ann):
        text = text_of(support.get(step(ann, "suspend")))

        ann.refresh_from_db()
        assert "signed out everywhere at once" in text
        assert ann.status == "active"

    def test_a_closed_account_has_neither_button_nor_way_back(self, support, ann):
        accounts.close(user=ann, now=NOW)

        html = support.get(page_of(ann)).content.decode()
        support.post(step(ann, "activate"), {"reason": "x"})

        ann.refresh_from_db()
        assert step(ann, "activate") not in html
        assert step(ann, "suspend") not in html
        assert ann.status == "deleted"


@pytest.mark.usefixtures("books_hold")
class TestTokens:
    def form(self, **typed):
        return {
            "direction": "grant",
            "amount": "100",
            "reason": "For the trouble",
            "reference": str(uuid4()),
        } | typed

    def test_are_granted_and_taken(self, support, ann):
        support.post(step(ann, "tokens"), self.form())
        answer = support.post(
            step(ann, "tokens"), self.form(direction="take", amount="30"), follow=True
        )

        moved = TokenTransaction.objects.order_by("sequence")
        assert [(row.amount, row.balance_after) for row in moved] == [(100, 100), (-30, 70)]
        assert [row.transaction_type for row in moved] == ["bonus", "adjustment"]
        assert "-30 tokens: ann@example.com has 70 now." in text_of(answer)
        assert "by sam@example.com: “For the trouble”" in text_of(answer)

    def test_of_a_form_that_is_sent_twice_count_once(self, support, ann):
        form = self.form()

        support.post(step(ann, "tokens"), form)
        support.post(step(ann, "tokens"), form)

        assert TokenAccount.objects.get().balance == 100

    def test_the_limit_of_the_role_is_shown_and_holds(self, support, ann):
        limit = token_adjustments.limit_of(User.objects.get(email="sam@example.com"))
        assert limit

        shown = text_of(support.get(step(ann, "tokens")))
        page = support.post(step(ann, "tokens"), self.form(amount=str(limit + 1)))

        assert f"Your role may move up to {limit:,} a day for one customer." in shown
        assert page.status_code == 200
        assert page.context["form"].non_field_errors()
        assert not TokenTransaction.objects.exists()

    def test_more_than_there_are_cannot_be_taken(self, support, ann):
        page = support.post(step(ann, "tokens"), self.form(direction="take", amount="1"))

        assert page.context["form"].non_field_errors()
        assert not TokenTransaction.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("amount", "0"),
            ("amount", "-5"),
            ("amount", "1.5"),
            ("amount", "x"),
            ("amount", "9" * 30),
        ]
        + [("direction", "give"), ("reference", "none"), ("reference", "")],
    )
    def test_refuses_what_is_no_number_of_tokens(self, support, ann, field, value):
        page = support.post(step(ann, "tokens"), self.form(**{field: value}))

        assert page.status_code == 200
        assert page.context["form"].errors[field]
        assert not TokenTransaction.objects.exists()


class TestMails:
    @pytest.mark.django_db(transaction=True)
    def test_a_link_for_a_new_password(self, support, ann):
        answer = support.post(step(ann, "send-password-link"), follow=True)

        (sent,) = letters()
        assert sent.to == ["ann@example.com"]
        assert "is on its way to ann@example.com" in text_of(answer)
        history = text_of(support.get(f"/admin/accounts/user/{ann.pk}/history/"))
        assert "sam@example.com Mailed a link to set a new password." in history

    def test_no_link_for_whoever_may_not_come_in(self, support, ann):
        accounts.suspend(user=ann, now=NOW)

        html = support.get(page_of(ann)).content.decode()
        support.post(step(ann, "send-password-link"))

        assert step(ann, "send-password-link") not in html
        assert letters() == []

    @pytest.mark.django_db(transaction=True)
    def test_the_last_invoice(self, support, ann):
        buy(ann)
        last = check_out(ann, bundles=[TokenBundleFactory()], now=NOW).invoice

        assert last.number in text_of(support.get(step(ann, "send-invoice")))
        support.post(step(ann, "send-invoice"))

        (sent,) = mail.outbox
        assert sent.to == ["ann@example.com"]
        assert last.number in sent.subject + sent.body

    def test_no_invoice_where_there_is_none(self, support, ann):
        html = support.get(page_of(ann)).content.decode()
        answer = support.post(step(ann, "send-invoice"))

        assert step(ann, "send-invoice") not in html
        assert answer.status_code == 302
        assert mail.outbox == []
