"""Payments in the admin: what fits nothing comes first, and what is done about it."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from accounts.models import BillingDetails
from billing.models import Event, Invoice, Payment
from tests.billing.admin_pages import (
    NOW,
    browser_of,
    buy,
    keep_unmatched,
    list_of,
    listed,
    page_of,
    text_of,
)
from tests.billing.purchases import check_out, rows_of_billing
from tests.factories import PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

PAGE = "/admin/billing/payment/"
STEPS = {"assign": "billing.take_payment", "refund": "billing.refund_invoice"}
EVERY_STEP = pytest.mark.parametrize("name", list(STEPS))
SEES = ["billing.view_payment", "billing.view_invoice"]


def step(payment: Payment, name: str) -> str:
    return f"{PAGE}{payment.pk}/{name}/"


@pytest.fixture
def clerk(db):
    return StaffFactory(email="clara@example.com", permissions=[*SEES, *STEPS.values()])


@pytest.fixture
def money(customer) -> Payment:
    """29.00 USD that name no invoice."""
    return keep_unmatched(reference="bank-1", invoice_reference="March", amount="29.00")


@pytest.fixture
def owed(customer) -> Invoice:
    return check_out(customer, plan=PlanFactory(), now=NOW).invoice


class TestList:
    def test_has_what_is_unmatched_on_top_and_then_the_newest(self, finance, catalogue):
        first = keep_unmatched(reference="bank-1", invoice_reference="?", amount="10.00")
        buy(UserFactory(), catalogue)
        second = keep_unmatched(reference="bank-2", invoice_reference="?", amount="10.00")
        buy(UserFactory(), catalogue)
        old, new = Payment.objects.filter(status="captured").order_by("id")

        assert listed(finance.get(PAGE)) == [second, first, new, old]

    def test_is_filtered_by_provider_currency_reason_and_days(self, finance, catalogue):
        unmatched = keep_unmatched(reference="bank-1", invoice_reference="?", amount="10.00")
        buy(UserFactory(), catalogue, currency="JPY", now=NOW + timedelta(days=1))
        in_yen = Payment.objects.get(status="captured")

        def found(**query):
            return listed(finance.get(PAGE, query))

        assert found(reason="invoice_not_found") == [unmatched]
        assert found(reason="nonsense") == []
        assert found(currency="JPY") == [in_yen]
        assert found(provider="bank") == [unmatched, in_yen]
        assert found(received_at_from="2026-03-02", received_at_to="2026-03-02") == [in_yen]

    def test_is_searched_by_what_people_quote(self, finance, catalogue):
        anna = UserFactory(email="anna@example.com")
        BillingDetails.objects.create(user=anna, company="Schmidt GmbH")
        invoice = buy(anna, catalogue)
        paid = Payment.objects.get()
        waiting = keep_unmatched(reference="bank-1", invoice_reference="Rent May", amount="1.00")

        def found(text):
            return listed(finance.get(PAGE, {"q": text}))

        for text in (
            paid.reference,
            "anna@",
            "schmidt",
            invoice.number,
            str(invoice.pk),
            str(paid.pk),
            str(anna.pk),
        ):
            assert found(text) == [paid], text
        assert found("bank-1") == [waiting]
        assert found("rent") == [waiting]
        assert found(str(uuid4())) == []


class TestPage:
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

    def test_that_was_sent_back_says_when_and_how(self, finance, clerk, money):
        browser_of(clerk).post(step(money, "refund"), {"reference": "RF-1", "reason": "Not ours"})

        text = text_of(finance.get(page_of(money)))

        assert "Refund reference RF-1" in text
        assert "by clara@example.com: “Not ours”" in text

    def test_that_paid_leads_to_the_refund_of_its_invoice(self, finance, customer, catalogue):
        invoice = buy(customer, catalogue)
        payment = Payment.objects.get()
        viewer = browser_of(StaffFactory(permissions=SEES))

        address = f'href="/admin/billing/invoice/{invoice.pk}/refund/"'
        assert address in finance.get(page_of(payment)).content.decode()
        assert address not in viewer.get(page_of(payment)).content.decode()


class TestEveryStep:
    @EVERY_STEP
    def test_is_neither_offered_nor_done_without_its_permission(self, money, owed, name):
        others = [permission for permission in STEPS.values() if permission != STEPS[name]]
        viewer = browser_of(StaffFactory(permissions=[*SEES, *others]))
        before = rows_of_billing()

        page = viewer.get(page_of(money)).content.decode()
        answers = [
            viewer.get(step(money, name)),
            viewer.post(
                step(money, name),
                {"reason": "Why not", "reference": "RF-1", "number": owed.number},
            ),
        ]

        assert step(money, name) not in page
        assert [answer.status_code for answer in answers] == [403, 403]
        assert rows_of_billing() == before

    @EVERY_STEP
    def test_is_refused_without_the_right_to_view_payments(self, money, name):
        blind = browser_of(StaffFactory(permissions=[STEPS[name]]))

        assert blind.get(step(money, name)).status_code == 403

    @EVERY_STEP
    def test_asks_first_and_wants_a_reason(self, clerk, money, owed, name):
        visitor = browser_of(clerk)
        before = rows_of_billing()

        asked = visitor.get(step(money, name))
        empty = visitor.post(step(money, name), {"reference": "RF-1", "number": owed.number})

        assert "$29.00" in text_of(asked)
        assert "autofocus" in asked.content.decode()
        assert empty.context["form"].errors == {"reason": ["This field is required."]}
        assert rows_of_billing() == before

    @EVERY_STEP
    def test_is_of_no_use_to_what_paid_an_invoice(self, clerk, customer, catalogue, name):
        buy(customer, catalogue)
        payment = Payment.objects.get()
        visitor = browser_of(clerk)

        answer = visitor.post(step(payment, name), {"reason": "Why", "reference": "RF-1"})

        assert step(payment, name) not in visitor.get(page_of(payment)).content.decode()
        assert answer.status_code == 302
        payment.refresh_from_db()
        assert payment.status == "captured"


class TestAssign:
    def test_offers_invoices_of_the_amount_those_of_the_customer_first(self, clerk, owed):
        plan = owed.plan
        of_another = check_out(UserFactory(email="zoe@example.com"), plan=plan, now=NOW).invoice
        cheaper = PlanFactory(prices={"USD": "28.99"})
        check_out(UserFactory(), plan=cheaper, now=NOW)
        money = keep_unmatched(reference="bank-1", invoice_reference="?", amount="29.00")
        Payment.objects.filter(pk=money.pk).update(user=owed.user)

        shown = browser_of(clerk).get(step(money, "assign")).context["form"].fields["invoice"]

        assert [(pk, str(label)) for pk, label in shown.choices] == [
            (
                str(owed.pk),
                f"{owed.number}, customer@example.com, the same customer, issued 1 Mar 2026",
            ),
            (str(of_another.pk), f"{of_another.number}, zoe@example.com, issued 1 Mar 2026"),
        ]

    @pytest.mark.parametrize("by", ["candidate", "number", "id"])
    def test_pays_the_invoice_and_keeps_who_and_why(self, finance, clerk, money, owed, by):
        typed = {
            "candidate": {"invoice": str(owed.pk)},
            "number": {"number": f" {owed.number.lower()} "},
            "id": {"number": str(owed.pk)},
        }[by]

        answer = browser_of(clerk).post(
            step(money, "assign"), {**typed, "reason": "Named on the phone"}, follow=True
        )

        assert f"$29.00 paid invoice {owed.number}." in text_of(answer)
        owed.refresh_from_db()
        money.refresh_from_db()
        assert (owed.status, money.status, money.invoice) == ("paid", "captured", owed)
        event = Event.objects.get(name="payment.assigned")
        assert event.payload["by"] == str(clerk.pk)
        assert event.payload["note"] == "Named on the phone"
        page = text_of(finance.get(page_of(money)))
        assert re.search(r"clara@example\.com .* Status: Unmatched → became Captured", page)
        assert "Named on the phone" in page

    @pytest.mark.parametrize(
        ("typed", "fault"),
        [
            ({}, "Say which invoice it paid."),
            ({"number": "INV-0"}, "There is no such invoice."),
            ({"number": "x" * 41}, "at most 40 characters"),
            ({"number": "\x00"}, "Null characters are not allowed."),
            ({"invoice": "nonsense"}, "Select a valid choice."),
        ],
    )
    def test_says_what_is_wrong_with_what_was_typed(self, clerk, money, owed, typed, fault):
        answer = browser_of(clerk).post(step(money, "assign"), {**typed, "reason": "Why"})

        assert fault in text_of(answer)
        money.refresh_from_db()
        assert money.status == "unmatched"

    def test_takes_one_answer_and_not_two(self, clerk, money, owed):
        both = {"invoice": str(owed.pk), "number": owed.number, "reason": "Why"}

        answer = browser_of(clerk).post(step(money, "assign"), both)

        assert "not both" in text_of(answer)
        owed.refresh_from_db()
        assert owed.status == "pending"

    def test_shows_the_refusal_of_an_invoice_of_another_amount(self, clerk, money):
        dear = check_out(UserFactory(), plan=PlanFactory(prices={"USD": "99.00"}), now=NOW).invoice

        answer = browser_of(clerk).post(
            step(money, "assign"), {"number": dear.number, "reason": "Why"}
        )

        assert "The payment is not the total of the invoice." in text_of(answer)
        money.refresh_from_db()
        assert money.status == "unmatched"


class TestSendBack:
    def test_sends_it_back_and_keeps_who_and_why(self, finance, clerk, money):
        answer = browser_of(clerk).post(
            step(money, "refund"), {"reference": "RF-1", "reason": "Not ours"}, follow=True
        )

        assert "$29.00 went back, with RF-1." in text_of(answer)
        money.refresh_from_db()
        assert (money.status, money.refund_reference) == ("refunded", "RF-1")
        event = Event.objects.get(name="payment.refunded")
        assert (event.payload["by"], event.payload["reason"]) == (str(clerk.pk), "Not ours")
        assert "clara@example.com Status: Unmatched → became Refunded" in text_of(
            finance.get(page_of(money))
        )

    def test_twice_is_done_once(self, clerk, money):
        visitor = browser_of(clerk)
        sent = {"reference": "RF-1", "reason": "Not ours"}

        answers = [visitor.post(step(money, "refund"), sent) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [302, 302]
        assert Event.objects.filter(name="payment.refunded").count() == 1
