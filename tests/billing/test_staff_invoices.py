"""Invoices in the staff area of the API."""

from __future__ import annotations

import pytest
from django.utils import timezone

from billing.models import Event, Invoice, Payment
from billing.services import tokens
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
AREA = "/api/v1/admin/invoices"
EVERYTHING = [
    "billing.view_invoice",
    "billing.take_payment",
    "billing.void_invoice",
    "billing.refund_invoice",
]
MARK_PAID = {"payment_reference": "SEPA 1", "payment_method": "bank_transfer"}
REFUND = {"refund_reference": "back-1"}


@pytest.fixture
def member():
    return StaffFactory(email="frieda@example.com", permissions=EVERYTHING)


@pytest.fixture
def staff(clock, member, signed_in):
    return signed_in(member)


@pytest.fixture
def invoice(clock, customer):
    """Unpaid: 29.00 + 10.50 + 5.00 USD."""
    return check_out(
        customer,
        plan=PlanFactory(prices={"USD": "29.00"}),
        bundles=[TokenBundleFactory(prices={"USD": "10.50"})],
        add_ons=[AddOnFactory(prices={"USD": "5.00"})],
        now=timezone.now(),
    ).invoice


def post(staff, invoice, action, **body):
    return staff.post(f"{AREA}/{invoice.pk}/{action}", body)


class TestList:
    def test_shows_everybodys_newest_first(self, staff, invoice):
        zoe = UserFactory(email="zoe@example.com")
        other = check_out(zoe, plan=PlanFactory(), now=timezone.now()).invoice

        answer = staff.get(AREA).json()

        assert (answer["total"], answer["limit"], answer["offset"]) == (2, 20, 0)
        assert [row["id"] for row in answer["invoices"]] == [str(other.pk), str(invoice.pk)]
        assert answer["invoices"][0]["user_email"] == "zoe@example.com"
        assert len(answer["invoices"][1]["line_items"]) == 3

    def test_is_filtered_and_cut(self, staff, invoice, customer):
        paid = check_out(UserFactory(), plan=PlanFactory(), now=timezone.now()).invoice
        pay(paid, now=timezone.now())

        def ids(**query):
            return [row["id"] for row in staff.get(AREA, query).json()["invoices"]]

        assert ids(status="paid") == [str(paid.pk)]
        assert ids(user_id=str(customer.pk)) == [str(invoice.pk)]
        assert ids(limit=1, offset=1) == [str(invoice.pk)]

    @pytest.mark.parametrize(
        "query", [{"status": "dead"}, {"user_id": "1"}, {"limit": 101}, {"offset": "x"}]
    )
    def test_refuses_what_it_cannot_ask(self, staff, query):
        response = staff.get(AREA, query)

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")

    def test_costs_the_same_for_many(self, staff, invoice, django_assert_num_queries):
        with django_assert_num_queries(6):
            staff.get(AREA)

        plan = PlanFactory()
        for _ in range(8):
            check_out(UserFactory(), plan=plan, now=timezone.now())
        with django_assert_num_queries(6):
            staff.get(AREA)


class TestRetrieve:
    def test_shows_lines_payments_and_buyer(self, staff, invoice, customer):
        pay(invoice, reference="pi_1", now=timezone.now())

        shown = staff.get(f"{AREA}/{invoice.pk}").json()["invoice"]

        assert [line["amount"] for line in shown["line_items"]] == ["29.00", "10.50", "5.00"]
        assert shown["buyer"]["email"] == customer.email
        [payment] = shown["payments"]
        assert (payment["reference"], payment["amount"], payment["status"]) == (
            "pi_1",
            "44.50",
            "captured",
        )
        assert shown["user_email"] == customer.email

    def test_costs_the_same_for_many_payments(self, staff, invoice, django_assert_num_queries):
        pay(invoice, now=timezone.now())
        with django_assert_num_queries(6):
            staff.get(f"{AREA}/{invoice.pk}")

        other = check_out(
            UserFactory(),
            plan=PlanFactory(),
            bundles=TokenBundleFactory.create_batch(8),
            now=timezone.now(),
        ).invoice
        pay(other, now=timezone.now())
        with django_assert_num_queries(6):
            staff.get(f"{AREA}/{other.pk}")

    def test_of_what_is_no_id_is_400(self, staff):
        response = staff.get(f"{AREA}/INV-1")

        assert (response.status_code, response.json()["code"]) == (400, "invalid_id")

    def test_of_none_is_404(self, staff):
        assert staff.get(f"{AREA}/019aa000-0000-7000-8000-000000000000").status_code == 404


class TestMarkPaid:
    def test_pays(self, staff, invoice, member):
        response = post(staff, invoice, "mark-paid", **MARK_PAID, reason="Statement of March")

        answer = response.json()
        assert response.status_code == 200
        assert answer["message"] == "The invoice is paid."
        assert (answer["invoice"]["status"], answer["invoice"]["payment_ref"]) == ("paid", "SEPA 1")
        assert answer["invoice"]["payment_method"] == "bank_transfer"
        payload = Event.objects.get(name="payment.captured").payload
        assert (payload["by"], payload["note"]) == (str(member.pk), "Statement of March")

    def test_takes_the_day_of_the_bank(self, staff, invoice):
        post(staff, invoice, "mark-paid", **MARK_PAID, received_at="2026-02-27T00:00:00Z")

        assert Payment.objects.get().received_at.isoformat() == "2026-02-27T00:00:00+00:00"

    def test_again_gives_the_same_answer(self, staff, invoice):
        first = post(staff, invoice, "mark-paid", **MARK_PAID)
        again = post(staff, invoice, "mark-paid", **MARK_PAID)

        assert again.json() == first.json()
        assert Payment.objects.count() == 1

    def test_of_a_paid_one_is_refused_and_nothing_is_kept(self, staff, invoice):
        pay(invoice, now=timezone.now())
        before = rows_of_billing()

        response = post(staff, invoice, "mark-paid", **MARK_PAID)

        assert (response.status_code, response.json()["code"]) == (400, "invoice_already_paid")
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"payment_reference": "x"},
            MARK_PAID | {"payment_reference": ""},
            MARK_PAID | {"payment_reference": 5},
            MARK_PAID | {"payment_reference": "\x00"},
            MARK_PAID | {"payment_reference": "x" * 256},
            MARK_PAID | {"payment_method": "x" * 51},
            MARK_PAID | {"received_at": "yesterday"},
            MARK_PAID | {"received_at": "0001-01-01T00:00:00+14:00"},
            MARK_PAID | {"received_at": "9999-12-31T23:59:59-14:00"},
            MARK_PAID | {"received_at": "2026-03-02T00:00:00Z"},
            MARK_PAID | {"reason": " "},
        ],
    )
    def test_of_what_is_not_told_rightly_is_400(self, staff, invoice, body):
        response = post(staff, invoice, "mark-paid", **body)

        assert response.status_code == 400
        assert set(response.json()) >= {"error", "code"}
        assert not Payment.objects.exists()


class TestVoid:
    def test_cancels(self, staff, invoice, member):
        answer = post(staff, invoice, "void", reason="A test").json()

        assert answer["message"] == "The invoice is void."
        assert (answer["invoice"]["status"], answer["invoice"]["is_payable"]) == (
            "cancelled",
            False,
        )
        payload = Event.objects.get(name="invoice.voided").payload
        assert (payload["by"], payload["reason"]) == (str(member.pk), "A test")

    def test_of_a_paid_one_is_refused(self, staff, invoice):
        pay(invoice, now=timezone.now())
        before = rows_of_billing()

        response = post(staff, invoice, "void")

        assert (response.status_code, response.json()["code"]) == (400, "invoice_state_forbids")
        assert rows_of_billing() == before

    def test_again_is_refused(self, staff, invoice):
        post(staff, invoice, "void")
        before = rows_of_billing()

        response = post(staff, invoice, "void")

        assert (response.status_code, response.json()["code"]) == (400, "invoice_state_forbids")
        assert rows_of_billing() == before

    @pytest.mark.parametrize("body", [[], "why", 5, {"reason": 5}, {"reason": "x" * 501}])
    def test_of_what_is_not_told_rightly_is_400(self, staff, invoice, body):
        response = staff.post(f"{AREA}/{invoice.pk}/void", body, format="json")

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")
        assert Invoice.objects.get().status == "pending"


class TestRefund:
    def test_gives_back(self, staff, invoice):
        pay(invoice, now=timezone.now())

        answer = post(staff, invoice, "refund", **REFUND).json()

        assert answer["message"] == "The invoice is refunded."
        assert answer["invoice"]["status"] == "refunded"
        assert answer["invoice"]["payments"][0]["refund_reference"] == "back-1"

    def test_says_which_tokens_were_used(self, staff, invoice):
        pay(invoice, now=timezone.now())
        tokens.spend(user_id=invoice.user_id, amount=120, reference="x", now=timezone.now())

        answer = post(staff, invoice, "refund", **REFUND).json()

        assert answer["message"] == (
            "The invoice is refunded. 120 of its tokens had been used and are not taken back."
        )

    def test_again_gives_the_same_answer(self, staff, invoice):
        pay(invoice, now=timezone.now())
        first = post(staff, invoice, "refund", **REFUND)
        before = rows_of_billing()

        assert post(staff, invoice, "refund", **REFUND).json() == first.json()
        assert rows_of_billing() == before

    def test_again_under_another_reference_is_refused(self, staff, invoice):
        pay(invoice, now=timezone.now())
        post(staff, invoice, "refund", **REFUND)
        before = rows_of_billing()

        response = post(staff, invoice, "refund", refund_reference="back-2")

        assert (response.status_code, response.json()["code"]) == (400, "invoice_state_forbids")
        assert rows_of_billing() == before

    def test_of_an_unpaid_one_is_refused(self, staff, invoice):
        before = rows_of_billing()

        response = post(staff, invoice, "refund", **REFUND)

        assert (response.status_code, response.json()["code"]) == (400, "invoice_state_forbids")
        assert rows_of_billing() == before

    @pytest.mark.parametrize("reference", [None, "", " ", 5, "\x00", "x" * 256])
    def test_without_a_proper_reference_is_400(self, staff, invoice, reference):
        pay(invoice, now=timezone.now())

        response = post(staff, invoice, "refund", refund_reference=reference)

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")
        assert Invoice.objects.get().status == "paid"


class TestPermissions:
    @pytest.mark.parametrize(
        ("action", "permission"),
        [
            ("mark-paid", "billing.take_payment"),
            ("void", "billing.void_invoice"),
            ("refund", "billing.refund_invoice"),
        ],
    )
    def test_each_action_asks_for_its_own(self, signed_in, invoice, action, permission):
        others = [name for name in EVERYTHING if name != permission]
        client = signed_in(StaffFactory(permissions=others))

        response = post(client, invoice, action, **MARK_PAID, **REFUND)

        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert Invoice.objects.get().status == "pending"

    @pytest.mark.parametrize("path", ["", "/{pk}"])
    def test_reading_asks_for_its_own(self, signed_in, invoice, path):
        client = signed_in(StaffFactory(permissions=EVERYTHING[1:]))

        assert client.get(AREA + path.format(pk=invoice.pk)).status_code == 403
