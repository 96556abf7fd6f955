import json
import threading
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection

from billing.models import IdempotencyRecord, Invoice, InvoiceSeries, Subscription
from billing.services import idempotency
from billing.services.selection import Order
from tests.billing.purchases import events_named, rows_of_billing
from tests.factories import PlanFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"
NOWHERE = "019b0000-0000-7000-8000-000000000000"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.fixture
def body():
    return {"plan_id": str(PlanFactory().id)}


def post(client, body, key="a-key"):
    return client.post(URL, body, headers={"Idempotency-Key": key})


@pytest.mark.django_db
class TestRepeat:
    def test_gets_the_first_answer_byte_for_byte(self, client, body):
        first = post(client, body)
        before = rows_of_billing()

        second = post(client, body)

        assert first.status_code == second.status_code == 201
        assert second.content == first.content
        assert second["Content-Type"] == "application/json"
        assert "Idempotency-Replayed" not in first
        assert second["Idempotency-Replayed"] == "true"
        assert rows_of_billing() == before

    def test_gets_it_however_much_has_changed(self, clock, client, customer, signed_in, body):
        first = post(client, body)
        client.post(f"/api/v1/user/invoices/{first.json()['invoice']['id']}/pay")
        clock.move_to(datetime(2026, 5, 1, tzinfo=UTC))

        second = post(signed_in(customer), body)

        assert second.content == first.content
        assert second["Idempotency-Replayed"] == "true"

    def test_gets_it_for_the_same_body_in_another_spelling(self, client):
        plan = str(PlanFactory().id)
        first = client.post(
            URL,
            b'{"plan_id": "%s", "currency": "USD"}' % plan.encode(),
            content_type="application/json",
            headers={"Idempotency-Key": "a-key"},
        )

        second = post(client, {"currency": "usd", "token_bundle_ids": [], "plan_id": plan.upper()})

        assert second.content == first.content

    def test_gets_it_of_a_free_checkout_too(self, client):
        body = {"token_bundle_ids": [str(TokenBundleFactory(prices={"USD": "0"}).id)]}
        first = post(client, body)

        second = post(client, body)

        assert second.content == first.content
        assert client.get("/api/v1/user/tokens/balance").json() == {"balance": 500}

    def test_is_another_checkout_with_another_key_or_without_one(self, client, body):
        ids = {
            post(client, body, "one").json()["invoice"]["id"],
            post(client, body, "two").json()["invoice"]["id"],
            client.post(URL, body).json()["invoice"]["id"],
            client.post(URL, body).json()["invoice"]["id"],
        }

        assert len(ids) == 4
        assert IdempotencyRecord.objects.count() == 2

    def test_the_key_of_another_customer_is_another_key(self, client, signed_in, body):
        other = UserFactory()
        mine = post(client, body)

        theirs = post(signed_in(other), body)

        assert theirs.status_code == 201
        assert "Idempotency-Replayed" not in theirs
        assert theirs.json()["invoice"]["user_id"] == str(other.id)
        assert theirs.json()["invoice"]["id"] != mine.json()["invoice"]["id"]

    def test_with_another_body_is_refused(self, client, body):
        post(client, body)
        before = rows_of_billing()

        response = post(client, {**body, "currency": "USD"})

        assert response.status_code == 422
        assert response.json() == {
            "error": "This Idempotency-Key was used with another body before.",
            "code": "idempotency_key_reused",
        }
        assert rows_of_billing() == before

    def test_of_the_same_bundles_in_another_order_is_another_body(self, client):
        one, two = str(TokenBundleFactory().id), str(TokenBundleFactory().id)
        post(client, {"token_bundle_ids": [one, two]})

        response = post(client, {"token_bundle_ids": [two, one]})

        assert response.status_code == 422


@pytest.mark.django_db
class TestKey:
    @pytest.mark.parametrize(
        "key", ["", "a" * 256, "tab\there", "caf\u00e9", "del\x7f", "nul\x00", "line\nbreak"]
    )
    def test_that_is_not_1_to_255_printable_characters_is_refused(self, client, body, key):
        before = rows_of_billing()

        response = post(client, body, key)

        assert response.status_code == 400
        assert response.json() == {
            "error": "Idempotency-Key must be 1 to 255 printable characters.",
            "code": "invalid_idempotency_key",
        }
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        "key", ["a", "a" * 255, "two words", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"]
    )
    def test_of_1_to_255_printable_characters_is_taken(self, client, body, key):
        first = post(client, body, key)

        second = post(client, body, key)

        assert first.status_code == 201
        assert second.content == first.content

    def test_is_free_again_after_a_refusal(self, client, body):
        refused = post(client, {"plan_id": NOWHERE})

        response = post(client, body)

        assert refused.status_code == 400
        assert response.status_code == 201
        assert "Idempotency-Replayed" not in response

    def test_is_free_again_after_a_failure(self, clock, client, customer, signed_in, body):
        # The last number of the day that the column can hold; tomorrow there are new ones.
        InvoiceSeries.objects.create(day=NOON.date(), series=1, last_number=2**31 - 1)
        failed = post(client, body)
        clock.shift(86_400)

        response = post(signed_in(customer), body)

        assert failed.status_code == 500
        assert response.status_code == 201
        assert "Idempotency-Replayed" not in response

    def test_a_refused_repeat_is_no_failed_checkout(self, client, body):
        post(client, body)

        post(client, {"plan_id": NOWHERE})

        assert events_named("checkout.failed") == []


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_the_first_is_still_running(self, client, customer, body):
        before = rows_of_billing()
        running = connection.copy()
        running.set_autocommit(False)
        try:
            with running.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                    [f"idempotency:{customer.id}:a-key"],
                )

            response = post(client, body)
        finally:
            running.rollback()
            running.close()

        assert response.status_code == 409
        assert response.json() == {
            "error": "A request with this Idempotency-Key is still running.",
            "code": "idempotency_in_progress",
        }
        assert rows_of_billing() == before
        assert post(client, body).status_code == 201

    def test_the_constraint_decides_who_was_first(self, client, customer, body):
        """Without the advisory lock too: whoever comes second gets the first one's answer."""
        order = Order(plan_id=UUID(body["plan_id"]))
        key = idempotency.Key.of(
            user_id=customer.id, text="a-key", content=json.dumps(order.as_json())
        )
        first = connection.copy()
        first.set_autocommit(False)
        with first.cursor() as cursor:
            cursor.execute(
                "INSERT INTO billing_idempotencyrecord"
                " (id, user_id, key, fingerprint, status_code, body, created_at)"
                " VALUES (gen_random_uuid(), %s, %s, %s, 201, %s, now())",
                [customer.id, key.text, key.fingerprint, b'{"the": "first"}'],
            )
        # psycopg2's own commit: Django's is only for the thread that opened the connection.
        committing = threading.Timer(0.3, first.connection.commit)
        committing.start()

        response = post(client, body)

        committing.join()
        first.close()
        assert response.status_code == 201
        assert response.content == b'{"the": "first"}'
        assert response["Idempotency-Replayed"] == "true"
        assert not Invoice.objects.exists()
        assert not Subscription.objects.exists()
        assert events_named("checkout.failed") == []
