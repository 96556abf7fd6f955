from datetime import UTC, datetime, timedelta

import pytest

from billing.models import Invoice, Payment
from billing.services import subscriptions
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/invoices"
NOWHERE = "019b0000-0000-7000-8000-000000000000"
BAD_IDS = ["not-a-uuid", "1", "019b0000", "%00", NOWHERE + "0", "a" * 300]


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


def invoices_at(user, *moments, currency="USD"):
    """One open invoice of a top-up at each moment, in this order."""
    bundle = TokenBundleFactory(prices={currency: "10"})
    return [
        check_out(user, bundles=[bundle], currency=currency, now=moment).invoice
        for moment in moments
    ]


def numbers(response):
    assert response.status_code == 200, response.json()
    return [invoice["invoice_number"] for invoice in response.json()["invoices"]]


@pytest.mark.django_db
class TestList:
    def test_shows_invoices_with_every_key_of_the_contract(self, client, customer):
        made = check_out(customer, plan=PlanFactory(name="Pro"), now=NOON)
        pay(made.invoice, reference="pay_1", now=NOON + timedelta(seconds=90))

        response = client.get(URL)

        assert response.status_code == 200
        assert response.json() == {
            "invoices": [
                {
                    "id": str(made.invoice.id),
                    "user_id": str(customer.id),
                    "tarif_plan_id": str(made.subscription.plan_id),
                    "subscription_id": str(made.subscription.id),
                    "invoice_number": "INV-20260301-01-000001",
                    "amount": "29.00",
                    "subtotal": "29.00",
                    "tax_amount": "0.00",
                    "total_amount": "29.00",
                    "currency": "USD",
                    "status": "paid",
                    "reason": "checkout",
                    "payment_method": "bank_transfer",
                    "payment_ref": "pay_1",
                    "is_payable": False,
                    "line_items": [
                        {
                            "id": str(made.lines[0].id),
                            "invoice_id": str(made.invoice.id),
                            "type": "subscription",
                            "item_id": str(made.subscription.id),
                            "description": "Pro",
                            "quantity": 1,
                            "unit_price": "29.00",
                            "amount": "29.00",
                            "period_start": None,
                            "period_end": None,
                        }
                    ],
                    "invoiced_at": "2026-03-01T12:00:00Z",
                    "paid_at": "2026-03-01T12:01:30Z",
                    "expires_at": "2026-03-31T12:00:00Z",
                }
            ],
            "total": 1,
            "page": 1,
            "per_page": 20,
            "pages": 1,
        }

    def test_of_a_new_customer_is_empty(self, client):
        assert client.get(f"{URL}/").json() == {
            "invoices": [],
            "total": 0,
            "page": 1,
            "per_page": 20,
            "pages": 0,
        }

    def test_is_the_customers_own(self, client):
        invoices_at(UserFactory(), NOON)

        assert client.get(URL).json()["total"] == 0

    def test_is_newest_first_of_those_of_one_moment_too(self, client, customer):
        invoices_at(customer, NOON, NOON, NOON)

        assert numbers(client.get(URL)) == [
            "INV-20260301-01-000003",
            "INV-20260301-01-000002",
            "INV-20260301-01-000001",
        ]

    @pytest.mark.parametrize(
        ("currency", "shown"), [("JPY", "10"), ("KWD", "10.000"), ("USD", "10.00")]
    )
    def test_money_has_the_places_of_its_currency(self, client, customer, currency, shown):
        invoices_at(customer, NOON, currency=currency)

        (invoice,) = client.get(URL).json()["invoices"]

        assert invoice["amount"] == invoice["subtotal"] == invoice["total_amount"] == shown
        assert invoice["line_items"][0]["unit_price"] == shown
        assert invoice["line_items"][0]["amount"] == shown

    @pytest.mark.parametrize(
        ("query", "shown", "page", "per_page", "pages"),
        [
            ({}, [5, 4, 3, 2, 1], 1, 20, 1),
            ({"per_page": 2}, [5, 4], 1, 2, 3),
            ({"per_page": 2, "page": 2}, [3, 2], 2, 2, 3),
            ({"per_page": 2, "page": 3}, [1], 3, 2, 3),
            ({"per_page": 2, "page": 4}, [], 4, 2, 3),
            ({"per_page": 5}, [5, 4, 3, 2, 1], 1, 5, 1),
            ({"per_page": 4}, [5, 4, 3, 2], 1, 4, 2),
            ({"per_page": 100, "page": 1_000_000}, [], 1_000_000, 100, 1),
            ({"per_page": "", "page": ""}, [5, 4, 3, 2, 1], 1, 20, 1),
        ],
    )
    def test_comes_in_pages(self, client, customer, query, shown, page, per_page, pages):
        invoices_at(customer, *[NOON] * 5)

        response = client.get(URL, query)

        assert numbers(response) == [f"INV-20260301-01-{number:06}" for number in shown]
        answer = response.json()
        assert answer["total"] == 5
        assert (answer["page"], answer["per_page"], answer["pages"]) == (page, per_page, pages)

    def test_by_status(self, client, customer):
        paid, _, _ = invoices_at(customer, NOON, NOON, NOON)
        pay(paid, now=NOON)

        assert numbers(client.get(URL, {"status": "paid"})) == [paid.number]
        assert client.get(URL, {"status": "pending"}).json()["total"] == 2
        assert client.get(URL, {"status": "refunded"}).json()["total"] == 0
        assert client.get(URL, {"status": ""}).json()["total"] == 3

    def test_by_currency_in_any_letter_case(self, client, customer):
        invoices_at(customer, NOON, NOON)
        (in_yen,) = invoices_at(customer, NOON, currency="JPY")

        assert numbers(client.get(URL, {"currency": "JPY"})) == [in_yen.number]
        assert numbers(client.get(URL, {"currency": "jpy"})) == [in_yen.number]
        assert client.get(URL, {"currency": "EUR"}).json()["total"] == 0

    @pytest.mark.parametrize(
        ("query", "shown"),
        [
            ({"from": "2026-03-01"}, [4, 3, 2]),
            ({"from": "2026-03-02"}, [4]),
            ({"to": "2026-02-28"}, [1]),
            ({"to": "2026-03-01"}, [3, 2, 1]),
            ({"from": "2026-03-01", "to": "2026-03-01"}, [3, 2]),
            ({"from": "2026-03-02", "to": "2026-03-01"}, []),
            ({"from": "0001-01-01", "to": "9999-12-31"}, [4, 3, 2, 1]),
            ({"from": "", "to": ""}, [4, 3, 2, 1]),
        ],
    )
    def test_by_days_in_utc_the_last_one_included(self, client, customer, query, shown):
        invoices = invoices_at(
            customer,
            datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 3, 1, tzinfo=UTC),
            datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 3, 2, tzinfo=UTC),
        )

        response = client.get(URL, query)

        assert numbers(response) == [invoices[which - 1].number for which in shown]
        assert response.json()["total"] == len(shown)

    def test_filters_can_be_combined(self, client, customer):
        first, second, _ = invoices_at(customer, NOON, NOON, NOON - timedelta(days=2))
        for invoice in (first, second):
            pay(invoice, now=NOON)

        response = client.get(
            URL, {"status": "paid", "currency": "USD", "from": "2026-03-01", "per_page": 1}
        )

        assert numbers(response) == [second.number]
        assert (response.json()["total"], response.json()["pages"]) == (2, 2)

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"status": "open"}, "status"),
            ({"status": "paid\x00"}, "status"),
            ({"from": "yesterday"}, "from"),
            ({"from": "2026-13-01"}, "from"),
            ({"from": "2026-02-30"}, "from"),
            ({"from": "03/01/2026"}, "from"),
            ({"to": "1"}, "to"),
            ({"to": "\x00"}, "to"),
            ({"to": "99999-01-01"}, "to"),
            ({"page": "0"}, "page"),
            ({"page": "-1"}, "page"),
            ({"page": "one"}, "page"),
            ({"page": "1.5"}, "page"),
            ({"page": "99999999999999999999"}, "page"),
            ({"page": "9" * 5000}, "page"),
            ({"per_page": "0"}, "per_page"),
            ({"per_page": "101"}, "per_page"),
            ({"per_page": "\x00"}, "per_page"),
        ],
    )
    def test_bad_values_are_refused_by_name(self, client, query, field):
        response = client.get(URL, query)

        assert response.status_code == 400
        answer = response.json()
        assert answer["code"] == "validation_error"
        assert list(answer["fields"]) == [field]
        assert answer["error"].startswith(f"{field}: ")

    @pytest.mark.parametrize("currency", ["ZZZ", "DOLLARS", "U\x00D"])
    def test_an_unknown_currency_is_refused(self, client, currency):
        response = client.get(URL, {"currency": currency})

        assert response.status_code == 400
        assert "urrency" in response.json()["error"]

    def test_needs_a_token(self, api):
        response = api.get(URL)

        assert response.status_code == 401
        assert response.json()["code"] == "not_authenticated"


@pytest.mark.django_db
class TestOne:
    def test_is_as_in_the_list(self, client, customer):
        made = check_out(customer, plan=PlanFactory(), add_ons=[AddOnFactory()], now=NOON)

        response = client.get(f"{URL}/{made.invoice.id}")

        assert response.status_code == 200
        (listed,) = client.get(URL).json()["invoices"]
        assert response.json() == {"invoice": listed}
        assert len(listed["line_items"]) == 2

    def test_of_another_is_not_found_exactly_like_one_that_is_not_there(self, client):
        (others,) = invoices_at(UserFactory(), NOON)

        hidden = client.get(f"{URL}/{others.id}")
        missing = client.get(f"{URL}/{NOWHERE}")

        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
        assert hidden.json()["code"] == "not_found"

    @pytest.mark.parametrize("pk", BAD_IDS)
    @pytest.mark.parametrize("action", ["", "/pay"])
    def test_with_an_id_that_is_none_is_a_mistake(self, client, pk, action):
        call = client.post if action else client.get

        response = call(f"{URL}/{pk}{action}")

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_id"

    def test_needs_a_token(self, api, customer):
        (invoice,) = invoices_at(customer, NOON)

        assert api.get(f"{URL}/{invoice.id}").status_code == 401
        assert api.post(f"{URL}/{invoice.id}/pay").status_code == 401
        assert Invoice.objects.get().status == "pending"

    def test_of_an_issued_invoice_nothing_can_be_changed(self, client, customer):
        (invoice,) = invoices_at(customer, NOON)

        for method in (client.put, client.patch, client.delete):
            assert method(f"{URL}/{invoice.id}", {"total_amount": "0.01"}).status_code == 405


@pytest.mark.django_db
class TestPay:
    def test_with_the_sandbox_captures_at_once(self, client, customer):
        (invoice,) = invoices_at(customer, NOON)

        response = client.post(f"{URL}/{invoice.id}/pay")

        assert response.status_code == 200
        answer = response.json()
        assert answer["message"] == "Payment successful"
        assert answer["invoice"]["status"] == "paid"
        assert answer["invoice"]["paid_at"] == "2026-03-01T12:00:00Z"
        assert answer["invoice"]["payment_method"] == "sandbox"
        assert answer["invoice"]["payment_ref"] == f"sandbox-{invoice.id}"
        assert answer["invoice"] == client.get(f"{URL}/{invoice.id}").json()["invoice"]
        assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 500}

    @pytest.mark.parametrize("currency", ["JPY", "KWD"])
    def test_of_any_currency(self, client, customer, currency):
        (invoice,) = invoices_at(customer, NOON, currency=currency)

        assert client.post(f"{URL}/{invoice.id}/pay/").status_code == 200
        assert Payment.objects.get().currency == currency

    def test_of_a_paid_invoice_is_refused(self, client, customer):
        (invoice,) = invoices_at(customer, NOON)
        client.post(f"{URL}/{invoice.id}/pay")
        before = rows_of_billing()

        response = client.post(f"{URL}/{invoice.id}/pay")

        assert response.status_code == 400
        assert response.json() == {
            "error": "The invoice INV-20260301-01-000001 is paid already.",
            "code": "invoice_not_payable",
            "context": {"status": "paid"},
        }
        assert rows_of_billing() == before

    def test_of_a_cancelled_invoice_is_refused(self, client, customer):
        made = check_out(customer, plan=PlanFactory(), now=NOON)
        subscriptions.cancel(subscription=made.subscription, now=NOON)

        response = client.post(f"{URL}/{made.invoice.id}/pay")

        assert response.status_code == 400
        assert response.json()["context"] == {"status": "cancelled"}
        assert not Payment.objects.exists()

    def test_without_a_provider_is_503(self, client, customer, settings):
        settings.BILLING_PAYMENT_PROVIDER = ""
        (invoice,) = invoices_at(customer, NOON)
        before = rows_of_billing()

        response = client.post(f"{URL}/{invoice.id}/pay")

        assert response.status_code == 503
        assert response.json()["code"] == "no_payment_provider"
        assert rows_of_billing() == before

    def test_of_anothers_invoice_is_not_found(self, client):
        (others,) = invoices_at(UserFactory(), NOON)

        hidden = client.post(f"{URL}/{others.id}/pay")
        missing = client.post(f"{URL}/{NOWHERE}/pay")

        assert hidden.status_code == 404
        assert hidden.content == missing.content
        assert Invoice.objects.get().status == "pending"
