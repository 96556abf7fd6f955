import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from billing.models import Invoice
from tests.billing.purchases import check_out
from tests.factories import PlanFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sign(path):
    out = StringIO()
    call_command("sign_webhook", str(path), stdout=out)
    return dict(line.split(": ", 1) for line in out.getvalue().splitlines())


class TestSignWebhook:
    @pytest.mark.django_db
    def test_its_headers_let_the_body_in(self, clock, customer, api, tmp_path):
        invoice = check_out(customer, plan=PlanFactory(name="Größe M"), now=NOON).invoice
        body = tmp_path / "body.json"
        notice = {
            "invoice_id": str(invoice.id),
            "payment_reference": "Überweisung 1",
            "amount": "29.00",
            "currency": "USD",
        }
        body.write_text(json.dumps(notice, ensure_ascii=False, indent=2) + "\n", "utf-8")

        headers = sign(body)

        assert headers["content-type"] == "application/json"
        assert headers["webhook-timestamp"] == "1772366400"
        response = api.post(
            "/api/v1/webhooks/payment",
            body.read_bytes(),
            content_type=headers.pop("content-type"),
            headers=headers,
        )
        assert response.status_code == 200
        assert Invoice.objects.get().payment_ref == "Überweisung 1"

    def test_two_signatures_are_of_two_messages(self, tmp_path):
        body = tmp_path / "body.json"
        body.write_text("{}")

        assert sign(body)["webhook-id"] != sign(body)["webhook-id"]

    def test_without_a_secret_there_is_nothing_to_sign_with(self, tmp_path, settings):
        settings.BILLING_WEBHOOK_SECRETS = []
        body = tmp_path / "body.json"
        body.write_text("{}")

        with pytest.raises(CommandError, match="BILLING_WEBHOOK_SECRETS is empty"):
            sign(body)

    def test_a_file_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(CommandError, match=r"nowhere\.json cannot be read: No such file"):
            sign(tmp_path / "nowhere.json")

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"caf\xe9"])
    def test_a_file_that_is_no_text_is_named(self, tmp_path, content):
        body = tmp_path / "body.json"
        body.write_bytes(content)

        with pytest.raises(CommandError, match=r"body\.json cannot be read: it is not UTF-8"):
            sign(body)

    def test_line_ends_are_signed_as_they_are(self, clock, tmp_path, api, db):
        """What curl sends with --data-binary: nothing may be translated on the way."""
        body = tmp_path / "body.json"
        body.write_bytes(b"{\r\n}\r\n")

        headers = sign(body)

        response = api.post(
            "/api/v1/webhooks/payment",
            b"{\r\n}\r\n",
            content_type=headers.pop("content-type"),
            headers=headers,
        )
        assert response.json()["code"] == "validation_error"  # the signature was good
