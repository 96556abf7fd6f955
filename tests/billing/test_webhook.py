import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from billing.models import Invoice, Payment, Subscription
from billing.services import subscriptions, tokens
from tests.billing.purchases import check_out, rows_of_billing
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/webhooks/payment"
NOWHERE = "019b0000-0000-7000-8000-000000000000"
STRANGERS_SECRET = "whsec_" + base64.b64encode(b"nobody-knows-this-one").decode()


@pytest.fixture
def invoice(clock, customer):
    return check_out(customer, plan=PlanFactory(), now=NOON).invoice


def notice(invoice, **told):
    return {
        "invoice_id": str(getattr(invoice, "id", invoice)),
        "payment_reference": "pay_1",
        "amount": "29.00",
        "currency": "USD",
        **told,
    }


@pytest.mark.django_db
class TestAnswer:
    def test_has_every_key_of_the_contract(self, clock, customer, webhook):
        made = check_out(
            customer,
            plan=PlanFactory(),
            bundles=[TokenBundleFactory(token_amount=250)] * 2,
            add_ons=[AddOnFactory()],
            now=NOON,
        )

        response = webhook(notice(made.invoice, amount="116.00"))

        assert response.status_code == 200
        assert response.json() == {
            "status": "success",
            "invoice_id": str(made.invoice.id),
            "payment_reference": "pay_1",
            "subscription_activated": True,
            "tokens_credited": 500,
            "addons_activated": 1,
            "items_activated": {"subscriptions": 1, "token_bundles": 2, "add_ons": 1},
        }
        assert tokens.balance_of(user_id=customer.id) == 500
        assert Subscription.objects.get().status == "active"
        payment = Payment.objects.get()
        assert (payment.provider, payment.method) == ("webhook", "webhook")
        assert payment.received_at == NOON

    def test_of_a_top_up_activates_no_subscription(self, clock, customer, webhook):
        made = check_out(customer, bundles=[TokenBundleFactory(token_amount=500)], now=NOON)

        response = webhook(notice(made.invoice))

        assert response.json() == {
            "status": "success",
            "invoice_id": str(made.invoice.id),
            "payment_reference": "pay_1",
            "subscription_activated": False,
            "tokens_credited": 500,
            "addons_activated": 0,
            "items_activated": {"subscriptions": 0, "token_bundles": 1, "add_ons": 0},
        }

    def test_answers_with_a_trailing_slash_too(self, invoice, customer, signed_in):
        staff = signed_in(StaffFactory(permissions=["billing.take_payment"]))

        assert staff.post(f"{URL}/", notice(invoice)).status_code == 200

    @pytest.mark.parametrize(
        ("currency", "price", "amount"),
        [
            ("USD", "29.00", "29"),
            ("USD", "29.00", 29),
            ("USD", "29.50", 29.5),
            ("usd", "29.00", "29.000"),
            ("JPY", "2900", "2900"),
            ("JPY", "2900", 2900),
            ("KWD", "2.900", "2.9"),
        ],
    )
    def test_the_amount_may_be_written_in_any_way(
        self, clock, customer, webhook, currency, price, amount
    ):
        plan = PlanFactory(prices={currency.upper(): price})
        made = check_out(customer, plan=plan, currency=currency.upper(), now=NOON)

        response = webhook(notice(made.invoice, amount=amount, currency=currency))

        assert response.status_code == 200, response.json()


@pytest.mark.django_db
class TestRepeat:
    def test_gets_the_first_answer_and_does_nothing_twice(self, clock, customer, webhook):
        made = check_out(customer, plan=PlanFactory(), bundles=[TokenBundleFactory()], now=NOON)
        told = notice(made.invoice, amount="58.00")
        first = webhook(told)
        before = rows_of_billing()
        clock.shift(86_400)

        second = webhook(told)

        assert second.status_code == 200
        assert second.content == first.content
        assert rows_of_billing() == before
        assert tokens.balance_of(user_id=customer.id) == 500

    def test_for_another_invoice_is_a_conflict(self, clock, customer, webhook, invoice):
        other = check_out(customer, plan=PlanFactory(), now=NOON).invoice
        webhook(notice(invoice))
        before = rows_of_billing()

        response = webhook(notice(other))

        assert response.status_code == 409
        assert response.json()["code"] == "payment_reference_conflict"
        assert "payment_reference" in response.json()["error"]
        assert rows_of_billing() == before

    def test_of_an_unmatched_one_for_another_invoice_is_a_conflict_too(self, webhook, invoice):
        webhook(notice(NOWHERE))

        response = webhook(notice(invoice))

        assert response.status_code == 409
        assert Invoice.objects.get().status == "pending"


@pytest.mark.django_db
class TestUnmatched:
    """400 with a code of its own, and the payment is kept for finance."""

    def unmatched(self, webhook, told, *, code):
        response = webhook(told)

        assert response.status_code == 400
        answer = response.json()
        assert answer["code"] == code
        assert "The payment is kept for resolution." in answer["error"]
        payment = Payment.objects.get(reference=told["payment_reference"])
        assert answer["context"] == {"payment_id": str(payment.id)}
        assert payment.status == "unmatched"
        assert payment.unmatched_reason == code
        assert payment.invoice is None
        assert payment.invoice_reference == told["invoice_id"]
        assert f"{payment.amount:f}" == f"{told['amount']}0"

        rows = rows_of_billing()
        again = webhook(told)
        assert again.status_code == 400
        assert again.content == response.content
        assert rows_of_billing() == rows

    def test_an_unknown_invoice(self, clock, webhook):
        self.unmatched(webhook, notice(NOWHERE), code="invoice_not_found")

    @pytest.mark.parametrize(
        "text", ["not-a-uuid", "INV-20260301-01-000001", "17", pytest.param("a" * 255, id="long")]
    )
    def test_what_is_no_id_of_an_invoice(self, clock, webhook, text):
        self.unmatched(webhook, notice(text), code="invoice_not_found")

    def test_a_second_payment(self, webhook, invoice):
        webhook(notice(invoice))

        self.unmatched(
            webhook, notice(invoice, payment_reference="pay_2"), code="invoice_already_paid"
        )

        assert Invoice.objects.get().payment_ref == "pay_1"

    def test_a_wrong_amount(self, webhook, invoice):
        self.unmatched(webhook, notice(invoice, amount="28.99"), code="wrong_amount")

        assert Invoice.objects.get().status == "pending"
        assert Subscription.objects.get().status == "pending"

    def test_a_wrong_currency(self, webhook, invoice):
        self.unmatched(webhook, notice(invoice, currency="EUR"), code="wrong_currency")

    def test_a_cancelled_invoice(self, webhook, invoice):
        subscriptions.cancel(subscription=Subscription.objects.get(), now=NOON)

        self.unmatched(webhook, notice(invoice), code="invoice_cancelled")


@pytest.mark.django_db
class TestBadInput:
    @pytest.mark.parametrize(
        ("told", "field"),
        [
            ({"invoice_id": ""}, "invoice_id"),
            ({"invoice_id": None}, "invoice_id"),
            ({"invoice_id": []}, "invoice_id"),
            ({"invoice_id": "a" * 256}, "invoice_id"),
            ({"invoice_id": "a\x00"}, "invoice_id"),
            ({"payment_reference": ""}, "payment_reference"),
            ({"payment_reference": " "}, "payment_reference"),
            ({"payment_reference": {"id": 1}}, "payment_reference"),
            ({"payment_reference": "a" * 256}, "payment_reference"),
            ({"payment_reference": "a\x00"}, "payment_reference"),
            ({"amount": None}, "amount"),
            ({"amount": ""}, "amount"),
            ({"amount": "much"}, "amount"),
            ({"amount": True}, "amount"),
            ({"amount": ["29.00"]}, "amount"),
            ({"amount": "NaN"}, "amount"),
            ({"amount": "Infinity"}, "amount"),
            ({"amount": "1e999"}, "amount"),
            ({"amount": "9" * 2000}, "amount"),
            ({"amount": "999999999999999.00"}, "amount"),
            ({"amount": "29.0001"}, "amount"),
            ({"currency": None}, "currency"),
            ({"currency": ""}, "currency"),
            ({"currency": "DOLLARS"}, "currency"),
            ({"currency": 5.5}, "currency"),
            ({"currency": "U\x00D"}, "currency"),
            ({"currency": ["USD"]}, "currency"),
        ],
    )
    def test_of_the_wrong_shape_names_the_field(self, webhook, invoice, told, field):
        before = rows_of_billing()

        response = webhook(notice(invoice, **told))

        assert response.status_code == 400
        answer = response.json()
        assert field in answer["error"] or answer["code"] == "unknown_currency"
        assert set(answer) <= {"error", "code", "fields", "context"}
        assert rows_of_billing() == before

    def test_names_everything_that_is_missing(self, clock, webhook):
        response = webhook({})

        assert response.status_code == 400
        assert set(response.json()["fields"]) == {
            "invoice_id",
            "payment_reference",
            "amount",
            "currency",
        }

    @pytest.mark.parametrize(
        ("told", "code"),
        [
            ({"amount": "29.001"}, "invalid_amount"),  # more places than dollars have
            ({"amount": "0.00"}, "invalid_payment_amount"),
            ({"amount": "-29.00"}, "invalid_payment_amount"),
            ({"currency": "ZZZ"}, "unknown_currency"),
        ],
    )
    def test_what_is_no_money_is_refused(self, webhook, invoice, told, code):
        before = rows_of_billing()

        response = webhook(notice(invoice, **told))

        assert response.status_code == 400
        assert response.json()["code"] == code
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        "body", [b"[]", b"null", b"5", b"{", b"", pytest.param(b'{"a":' * 50_000, id="deep")]
    )
    def test_what_is_no_object_is_refused(self, clock, webhook, body):
        response = webhook(body)

        assert response.status_code == 400
        assert response.json()["code"] in ("validation_error", "malformed_json", "body_too_complex")
        assert not Payment.objects.exists()


@pytest.mark.django_db
class TestSignature:
    def assert_unread(self, response, before):
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert set(response.json()) == {"error", "code"}
        assert response.json()["code"] == "authentication_failed"
        assert rows_of_billing() == before

    def test_of_each_secret_is_good(self, clock, customer, webhook, settings):
        for number, secret in enumerate(settings.BILLING_WEBHOOK_SECRETS):
            invoice = check_out(customer, plan=PlanFactory(), now=NOON).invoice

            response = webhook(notice(invoice, payment_reference=f"p{number}"), secret=secret)

            assert response.status_code == 200
        assert number == 1

    def test_of_a_secret_that_was_taken_out_is_wrong(self, webhook, invoice, settings):
        old, new = settings.BILLING_WEBHOOK_SECRETS
        settings.BILLING_WEBHOOK_SECRETS = [new]
        before = rows_of_billing()

        self.assert_unread(webhook(notice(invoice), secret=old), before)

    def test_of_a_strangers_secret_is_wrong(self, webhook, invoice):
        before = rows_of_billing()

        self.assert_unread(webhook(notice(invoice), secret=STRANGERS_SECRET), before)

    def test_of_nobody_where_there_is_no_secret(self, webhook, invoice, settings):
        secret = settings.BILLING_WEBHOOK_SECRETS[0]
        settings.BILLING_WEBHOOK_SECRETS = []
        before = rows_of_billing()

        self.assert_unread(webhook(notice(invoice), secret=secret), before)

    @pytest.mark.parametrize("seconds", [-299, -60, 0, 60, 299])
    def test_is_good_for_five_minutes(self, webhook, invoice, seconds):
        response = webhook(notice(invoice), signed_at=NOON + timedelta(seconds=seconds))

        assert response.status_code == 200

    @pytest.mark.parametrize("seconds", [-301, -86_400, 301, 86_400])
    def test_is_stale_after_five_minutes_and_from_the_future(self, webhook, invoice, seconds):
        before = rows_of_billing()

        self.assert_unread(
            webhook(notice(invoice), signed_at=NOON + timedelta(seconds=seconds)), before
        )

    @pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_with_a_header_missing(self, webhook, invoice, header):
        before = rows_of_billing()

        self.assert_unread(webhook(notice(invoice), headers={header: ""}), before)

    @pytest.mark.parametrize(
        "headers",
        [
            {"webhook-id": "msg_2"},
            {"webhook-timestamp": "1772366401"},  # a second later than it was signed
            {"webhook-timestamp": "yesterday"},
            {"webhook-timestamp": "nan"},
            {"webhook-timestamp": "inf"},
            {"webhook-timestamp": "-1"},
            {"webhook-timestamp": "9" * 400},
            {"webhook-signature": "v1"},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v1,not base64"},
            {"webhook-signature": "v1,a,b"},
            {"webhook-signature": "v1,\u00e9"},
            {"webhook-signature": "v2,AAAA"},
            {"webhook-signature": "v1,AAAA"},
            {"webhook-signature": " "},
            {"webhook-signature": ","},
        ],
    )
    def test_that_is_malformed_or_of_something_else(self, webhook, invoice, headers):
        before = rows_of_billing()

        self.assert_unread(webhook(notice(invoice), headers=headers), before)

    def test_of_another_body(self, api, invoice, settings):
        signer = Webhook(settings.BILLING_WEBHOOK_SECRETS[0])
        before = rows_of_billing()

        response = api.post(
            URL,
            json.dumps(notice(invoice, amount="0.01")).encode(),
            content_type="application/json",
            headers={
                "webhook-id": "msg_1",
                "webhook-timestamp": str(int(NOON.timestamp())),
                "webhook-signature": signer.sign("msg_1", NOON, json.dumps(notice(invoice))),
            },
        )

        self.assert_unread(response, before)

    def test_may_stand_among_others(self, webhook, invoice, settings):
        """A provider that changes its secret signs with both for a while."""
        body = json.dumps(notice(invoice))
        signatures = " ".join(
            Webhook(secret).sign("msg_1", NOON, body)
            for secret in (STRANGERS_SECRET, settings.BILLING_WEBHOOK_SECRETS[1])
        )

        response = webhook(notice(invoice), headers={"webhook-signature": signatures})

        assert response.status_code == 200

    @pytest.mark.parametrize(
        "body", [b"{", b"\xff\xfe", b"[]", b"", pytest.param(b'{"a":' * 50_000, id="deep")]
    )
    def test_without_it_nothing_of_the_body_is_read(self, api, db, body):
        """The same answer for a body that is not even JSON."""
        before = rows_of_billing()

        self.assert_unread(api.post(URL, body, content_type="application/json"), before)

    def test_without_it_the_media_type_is_no_matter_either(self, api, db):
        before = rows_of_billing()

        self.assert_unread(api.post(URL, b"<pay/>", content_type="application/xml"), before)

    def test_over_a_body_that_is_no_text(self, webhook, db):
        before = rows_of_billing()

        self.assert_unread(webhook(b"\xff\xfe"), before)

    def test_a_body_over_the_limit_is_too_large(self, webhook, db):
        response = webhook(b" " * 1_048_577)

        assert response.status_code == 413
        assert response.json()["code"] == "request_too_large"


@pytest.mark.django_db
class TestStaff:
    def test_with_the_right_to_take_payments_needs_no_signature(self, invoice, signed_in):
        staff = StaffFactory(permissions=["billing.take_payment"])

        response = signed_in(staff).post(URL, notice(invoice))

        assert response.status_code == 200
        assert Invoice.objects.get().status == "paid"

    def test_without_the_right_is_refused(self, invoice, signed_in):
        staff = StaffFactory(permissions=["billing.refund_invoice", "billing.view_payment"])
        before = rows_of_billing()

        response = signed_in(staff).post(URL, notice(invoice))

        assert response.status_code == 403
        assert response.json()["code"] == "permission_denied"
        assert rows_of_billing() == before

    def test_a_customer_is_refused_with_the_right_too(self, invoice, signed_in):
        """Whoever left the staff may still have a permission in the table."""
        former = StaffFactory(permissions=["billing.take_payment"], is_staff=False)
        before = rows_of_billing()

        response = signed_in(former).post(URL, notice(invoice))

        assert response.status_code == 403
        assert rows_of_billing() == before

    def test_the_buyer_is_refused(self, invoice, customer, signed_in):
        response = signed_in(customer).post(URL, notice(invoice))

        assert response.status_code == 403
        assert Invoice.objects.get().status == "pending"

    @pytest.mark.parametrize("token", ["Bearer", "Bearer nonsense", "Bearer a b"])
    def test_a_bad_token_is_401(self, api, invoice, token):
        response = api.post(URL, notice(invoice), headers={"Authorization": token})

        assert response.status_code == 401
        assert Invoice.objects.get().status == "pending"
