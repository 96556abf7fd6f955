from datetime import UTC, datetime

import pytest

from accounts.models import BillingDetails, Session
from accounts.services import details
from tests.factories import StaffFactory, UserFactory
from tests.threads import at_once

PROFILE = "/api/v1/user/profile"
DETAILS = "/api/v1/user/details"
NOTHING = {
    "language": "en",
    "first_name": "",
    "last_name": "",
    "company": "",
    "vat_id": "",
    "phone": "",
    "address_line_1": "",
    "address_line_2": "",
    "city": "",
    "postal_code": "",
    "country": "",
}
ANN = {
    "language": "de",
    "first_name": "Ann",
    "last_name": "Müller-O’Brien",
    "company": "Ann & Co.",
    "vat_id": "DE123456789",
    "phone": "+49 228 1234",
    "address_line_1": "Markt 1",
    "address_line_2": "Hinterhaus",
    "city": "Bonn",
    "postal_code": "53111",
    "country": "DE",
}

# The columns of the billing details: the language is the account's.
ANN_DETAILS = {name: text for name, text in ANN.items() if name != "language"}

pytestmark = pytest.mark.django_db


class TestProfile:
    @pytest.mark.parametrize("address", [PROFILE, PROFILE + "/"])
    def test_without_details(self, signed_in, address):
        customer = UserFactory(
            email="ann@example.com", created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        )

        answer = signed_in(customer).get(address)

        assert answer.status_code == 200
        assert answer.json() == {
            "email": "ann@example.com",
            "user": {
                "id": str(customer.pk),
                "email": "ann@example.com",
                "status": "active",
                "role": "user",
                "language": "en",
                "created_at": "2026-01-02T03:04:05Z",
            },
            "details": None,
        }

    def test_with_details(self, customer, signed_in):
        BillingDetails.objects.create(user=customer, **ANN_DETAILS)

        answer = signed_in(customer).get(PROFILE)

        assert answer.json()["details"] == ANN_DETAILS

    def test_staff_are_admins(self, signed_in):
        answer = signed_in(StaffFactory()).get(PROFILE)

        assert answer.json()["user"]["role"] == "admin"

    def test_says_that_somebody_is_pending(self, signed_in):
        answer = signed_in(UserFactory(status="pending")).get(PROFILE)

        assert answer.json()["user"]["status"] == "pending"

    @pytest.mark.parametrize("with_details", [True, False])
    @pytest.mark.parametrize("address", [PROFILE, DETAILS])
    def test_costs_one_statement(
        self, customer, signed_in, django_assert_num_queries, address, with_details
    ):
        if with_details:
            BillingDetails.objects.create(user=customer)
        client = signed_in(customer)

        with django_assert_num_queries(1):
            client.get(address)

    @pytest.mark.parametrize("address", [PROFILE, DETAILS])
    def test_is_for_whoever_is_signed_in(self, api, address):
        assert api.get(address).status_code == 401
        assert api.put(address, ANN).status_code == 401
        assert not BillingDetails.objects.exists()

    def test_cannot_be_written(self, customer, signed_in):
        answer = signed_in(customer).put(PROFILE, {"email": "other@example.com"})

        assert answer.status_code == 405
        customer.refresh_from_db()
        assert customer.email == "customer@example.com"


class TestDetails:
    @pytest.mark.parametrize("address", [DETAILS, DETAILS + "/"])
    def test_are_empty_texts_where_nothing_was_given(self, customer, signed_in, address):
        answer = signed_in(customer).get(address)

        assert answer.status_code == 200
        assert answer.json() == NOTHING
        assert not BillingDetails.objects.exists()

    @pytest.mark.parametrize("address", [DETAILS, DETAILS + "/"])
    def test_are_written_and_read(self, customer, signed_in, address):
        client = signed_in(customer)

        answer = client.put(address, ANN)

        assert answer.status_code == 200
        assert answer.json() == ANN
        assert client.get(address).json() == ANN

    def test_fields_that_are_not_named_stay(self, customer, signed_in):
        client = signed_in(customer)
        client.put(DETAILS, ANN)

        answer = client.put(DETAILS, {"city": "Köln", "address_line_2": ""})

        assert answer.json() == ANN | {"city": "Köln", "address_line_2": ""}

    def test_naming_nothing_changes_nothing(self, customer, signed_in):
        client = signed_in(customer)
        assert client.put(DETAILS, {}).json() == NOTHING
        client.put(DETAILS, ANN)

        answer = client.put(DETAILS, {"favourite_colour": "blue"})

        assert answer.status_code == 200
        assert answer.json() == ANN

    def test_are_each_customers_own(self, customer, signed_in):
        other = UserFactory()
        BillingDetails.objects.create(user=other, city="Rome")

        signed_in(customer).put(DETAILS, {"user": str(other.pk), "user_id": str(other.pk)} | ANN)

        assert BillingDetails.objects.get(user=other).city == "Rome"
        assert BillingDetails.objects.get(user=customer).city == "Bonn"

    def test_have_the_language_of_the_mails(self, customer, signed_in):
        client = signed_in(customer)

        answer = client.put(DETAILS, {"language": "de"})

        assert answer.status_code == 200
        assert answer.json() == NOTHING | {"language": "de"}
        assert client.get(PROFILE).json()["user"]["language"] == "de"
        customer.refresh_from_db()
        assert customer.language == "de"

    @pytest.mark.parametrize("language", ["fr", "", "DE", "de-DE", None, 5, True, ["de"], {}])
    def test_refuse_a_language_that_there_is_none_in(self, customer, signed_in, language):
        answer = signed_in(customer).put(DETAILS, {"language": language, "city": "Bonn"})

        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"
        assert list(answer.json()["fields"]) == ["language"]
        customer.refresh_from_db()
        assert customer.language == "en"
        assert not BillingDetails.objects.exists()

    def test_a_refused_update_leaves_the_language(self, customer, signed_in):
        signed_in(customer).put(DETAILS, {"language": "de", "country": "XX"})

        customer.refresh_from_db()
        assert customer.language == "en"

    def test_blanks_at_the_ends_are_dropped(self, customer, signed_in):
        answer = signed_in(customer).put(DETAILS, {"city": "  Bonn "})

        assert answer.json()["city"] == "Bonn"

    @pytest.mark.parametrize(
        ("given", "kept"), [("de", "DE"), ("At", "AT"), ("XK", "XK"), ("", "")]
    )
    def test_countries_are_kept_in_upper_case(self, customer, signed_in, given, kept):
        answer = signed_in(customer).put(DETAILS, {"country": given})

        assert answer.status_code == 200
        assert answer.json()["country"] == kept

    @pytest.mark.parametrize("country", ["XX", "ZZ", "EU", "UN", "UK", "D", "12", "ß", "ſs", "😀"])
    def test_refuses_what_is_no_country(self, customer, signed_in, country):
        answer = signed_in(customer).put(DETAILS, {"city": "Bonn", "country": country})

        assert answer.status_code == 400
        assert answer.json()["code"] == "unknown_country"
        sentence = f"'{country}' is not an ISO 3166 alpha-2 country code."
        assert answer.json()["fields"] == {"country": [sentence]}
        assert answer.json()["error"] == f"country: {sentence}"
        assert not BillingDetails.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("first_name", "x" * 101),
            ("company", "x" * 201),
            ("vat_id", "x" * 51),
            ("postal_code", "x" * 21),
            ("country", "DEU"),
            ("city", 5),
            ("city", 5.5),
            ("city", True),
            ("city", None),
            ("city", ["Bonn"]),
            ("city", {"name": "Bonn"}),
            ("city", "Bo\x00nn"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, customer, signed_in, field, value):
        answer = signed_in(customer).put(DETAILS, {field: value, "phone": "1"})

        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"
        assert list(answer.json()["fields"]) == [field]
        assert not BillingDetails.objects.exists()

    @pytest.mark.parametrize("body", ['"text"', "5", "[]", "[1]"])
    def test_refuses_what_is_no_object(self, customer, signed_in, body):
        answer = signed_in(customer).put(DETAILS, body, content_type="application/json")

        assert answer.status_code == 400
        assert not BillingDetails.objects.exists()

    def test_a_refused_update_changes_nothing(self, customer, signed_in):
        client = signed_in(customer)
        client.put(DETAILS, ANN)

        client.put(DETAILS, {"city": "Köln", "country": "XX"})

        assert client.get(DETAILS).json() == ANN

    def test_keeps_what_the_row_was_before(self, customer):
        details.update(user=customer, city="Bonn")
        details.update(user=customer, city="Köln")

        row = BillingDetails.objects.get()
        assert [before.city for before in row.history.all()] == ["Bonn"]


class TestUpdate:
    @pytest.mark.django_db(transaction=True)
    def test_ten_at_once_each_change_only_their_own(self, customer):
        fields = list(ANN_DETAILS)

        at_once(
            len(fields),
            lambda n: details.update(user=customer, **{fields[n]: ANN_DETAILS[fields[n]]}),
        )

        row = BillingDetails.objects.get()
        assert {field: getattr(row, field) for field in fields} == ANN_DETAILS

    def test_is_one_statement_and_a_look(self, customer, django_assert_num_queries):
        with django_assert_num_queries(2):
            details.update(user=customer, **ANN_DETAILS)

    def test_ends_no_session(self, customer, signed_in):
        client = signed_in(customer)

        client.put(DETAILS, ANN)

        assert Session.objects.get().ended_at is None


class TestCountries:
    def test_are_those_of_iso_3166_and_kosovo(self):
        assert len(details.countries()) == 250
        assert {"DE", "GB", "GR", "TW", "PS", "VA", "AQ", "XK"} <= details.countries()
