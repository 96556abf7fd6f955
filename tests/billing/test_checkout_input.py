import pytest

from billing.models import Invoice
from tests.billing.purchases import rows_of_billing
from tests.factories import PlanFactory

URL = "/api/v1/user/checkout"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.mark.django_db
class TestBadInput:
    """What is no request at all: 400 in the shape of every error, and not a row is written."""

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"null", "body"),
            (b"[]", "body"),
            (b"5", "body"),
            (b'"plan_id"', "body"),
            (b'{"plan_id": "not-a-uuid"}', "plan_id"),
            (b'{"plan_id": ""}', "plan_id"),
            (b'{"plan_id": 5}', "plan_id"),
            (b'{"plan_id": 1e300}', "plan_id"),
            (b'{"plan_id": 99999999999999999999999999999999999999999999}', "plan_id"),
            (b'{"plan_id": true}', "plan_id"),
            (b'{"plan_id": []}', "plan_id"),
            (b'{"plan_id": {}}', "plan_id"),
            (b'{"plan_id": "019b0000-0000-7000-8000-00000000000\\u0000"}', "plan_id"),
            pytest.param(b'{"plan_id": "%s"}' % (b"a" * 100_000), "plan_id", id="long"),
            (b'{"token_bundle_ids": null}', "token_bundle_ids"),
            (b'{"token_bundle_ids": "019b0000-0000-7000-8000-000000000000"}', "token_bundle_ids"),
            (b'{"token_bundle_ids": {"a": 1}}', "token_bundle_ids"),
            (b'{"token_bundle_ids": 5}', "token_bundle_ids"),
            (b'{"token_bundle_ids": [5]}', "token_bundle_ids.0"),
            (b'{"token_bundle_ids": [null]}', "token_bundle_ids.0"),
            (b'{"token_bundle_ids": [[]]}', "token_bundle_ids.0"),
            (b'{"add_on_ids": ["x"]}', "add_on_ids.0"),
            (b'{"add_on_ids": [{"id": 1}]}', "add_on_ids.0"),
            (b'{"quantity": 0}', "quantity"),
            (b'{"quantity": 10001}', "quantity"),
            (b'{"quantity": 1.5}', "quantity"),
            (b'{"quantity": "3"}', "quantity"),
            (b'{"quantity": true}', "quantity"),
            (b'{"quantity": [1]}', "quantity"),
            (b'{"add_on_quantities": [1]}', "add_on_quantities"),
            (b'{"add_on_quantities": {"x": 1}}', "add_on_quantities"),
            (
                b'{"add_on_quantities": {"019b0000-0000-7000-8000-000000000000": 0}}',
                "add_on_quantities.019b0000-0000-7000-8000-000000000000",
            ),
            (b'{"currency": ""}', "currency"),
            (b'{"currency": "DOLLARS"}', "currency"),
            (b'{"currency": "U\\u0000D"}', "currency"),
            (b'{"currency": ["USD"]}', "currency"),
            (b'{"currency": {"code": "USD"}}', "currency"),
            (b'{"currency": true}', "currency"),
        ],
    )
    def test_of_the_wrong_shape_names_the_field(self, client, body, field):
        before = rows_of_billing()

        response = client.post(URL, body, content_type="application/json")

        assert response.status_code == 400
        answer = response.json()
        assert answer["code"] == "validation_error"
        assert list(answer["fields"]) == [field]
        assert answer["error"].startswith(f"{field}: ")
        assert set(answer) == {"error", "code", "fields"}
        assert rows_of_billing() == before

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"{'plan_id': 1}",
            b'{"plan_id": NaN}',
            b'{"plan_id": 1e400}',
            b'{"currency": "\\ud800"}',
            b"\xff\xfe{}",
            b'{"currency": "USD", "currency": "EUR"}',
        ],
    )
    def test_that_is_not_json(self, client, body):
        response = client.post(URL, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] == "malformed_json"
        assert set(response.json()) == {"error", "code"}

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b'{"a":' * 100_000, id="deep-objects"),
            pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep-arrays"),
        ],
    )
    def test_that_is_too_deep(self, client, body):
        response = client.post(URL, body, content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] == "body_too_complex"
        assert set(response.json()) == {"error", "code"}

    @pytest.mark.parametrize("charset", ["hex", "rot13", "utf-16", "no-such-charset"])
    def test_a_charset_has_no_meaning_for_json(self, client, charset):
        body = b'{"plan_id": "%s"}' % str(PlanFactory().id).encode()

        response = client.post(URL, body, content_type=f"application/json; charset={charset}")

        assert response.status_code == 201

    def test_an_empty_body_chooses_nothing(self, client):
        response = client.post(URL, b"", content_type="application/json")

        assert response.status_code == 400
        assert response.json()["code"] == "nothing_chosen"

    def test_another_media_type(self, client):
        response = client.post(URL, b"plan_id=1", content_type="text/plain")

        assert response.status_code == 415
        assert response.json()["code"] == "unsupported_media_type"

    def test_a_body_over_the_limit(self, client):
        response = client.post(URL, b" " * 1_048_577 + b"{}", content_type="application/json")

        assert response.status_code == 413
        assert response.json()["code"] == "request_too_large"

    def test_unknown_keys_are_ignored(self, client):
        response = client.post(URL, {"plan_id": str(PlanFactory().id), "coupon": "HALF"})

        assert response.status_code == 201

    @pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
    def test_another_method(self, client, method):
        response = getattr(client, method)(URL)

        assert response.status_code == 405
        assert response.json()["code"] == "method_not_allowed"


@pytest.mark.django_db
class TestSignedOut:
    def test_gets_401_and_leaves_nothing(self, api):
        before = rows_of_billing()

        response = api.post(URL, {"plan_id": str(PlanFactory().id)})

        assert response.status_code == 401
        assert response.json()["code"] == "not_authenticated"
        assert rows_of_billing() == before

    def test_gets_401_for_a_suspended_account(self, client, customer):
        customer.status = "suspended"
        customer.save()

        response = client.post(URL, {"plan_id": str(PlanFactory().id)})

        assert response.status_code == 401
        assert not Invoice.objects.exists()
