from datetime import UTC, datetime

import pytest

from billing.models import Invoice
from billing.services import documents
from billing.services.documents import press as presses
from billing.services.documents.press import press
from tests.billing.purchases import check_out, rows_of_billing
from tests.factories import PlanFactory, StaffFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOWHERE = "019b0000-0000-7000-8000-000000000000"


@pytest.fixture
def invoice(db, customer):
    return check_out(customer, plan=PlanFactory(), now=NOON).invoice


def own(invoice):
    return f"/api/v1/user/invoices/{invoice.pk}/pdf"


def staff(invoice):
    return f"/api/v1/admin/invoices/{invoice.pk}/pdf"


def the_pdf_of(invoice):
    return documents.render(invoice=Invoice.objects.get(pk=invoice.pk))


@pytest.mark.django_db
class TestOwn:
    @pytest.mark.parametrize("slash", ["", "/"])
    def test_is_the_pdf(self, signed_in, customer, invoice, slash):
        response = signed_in(customer).get(own(invoice) + slash)

        assert response.status_code == 200
        assert response.content == the_pdf_of(invoice)
        assert response.headers["Content-Type"] == "application/pdf"
        assert response.headers["Content-Disposition"] == (
            'attachment; filename="INV-20260301-01-000001.pdf"'
        )
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("accept", ["application/pdf", "application/json", "text/html", "*/*"])
    def test_whatever_the_client_accepts(self, signed_in, customer, invoice, accept):
        response = signed_in(customer).get(own(invoice), HTTP_ACCEPT=accept)

        assert response.headers["Content-Type"] == "application/pdf"

    def test_of_somebody_else_is_like_one_that_is_not_there(self, signed_in, invoice):
        client = signed_in(UserFactory())

        other = client.get(own(invoice), HTTP_ACCEPT="application/pdf")
        nowhere = client.get(f"/api/v1/user/invoices/{NOWHERE}/pdf")

        assert (other.status_code, nowhere.status_code) == (404, 404)
        assert other.json() == nowhere.json()
        assert other.json()["code"] == "not_found"

    def test_of_a_customer_is_not_for_staff_at_this_address(self, signed_in, invoice):
        client = signed_in(StaffFactory(permissions=["billing.view_invoice"]))

        assert client.get(own(invoice)).status_code == 404

    @pytest.mark.parametrize("pk", ["not-a-uuid", "%00", "a" * 300])
    def test_of_what_is_no_id_is_refused(self, signed_in, customer, pk):
        response = signed_in(customer).get(f"/api/v1/user/invoices/{pk}/pdf")

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_id"

    def test_for_a_stranger_is_401(self, api, invoice):
        response = api.get(own(invoice), HTTP_ACCEPT="application/pdf")

        assert response.status_code == 401
        assert response.json()["code"] == "not_authenticated"

    def test_writes_nothing(self, signed_in, customer, invoice):
        client = signed_in(customer)
        before = rows_of_billing()

        client.get(own(invoice))

        assert rows_of_billing() == before

    def test_that_cannot_be_printed_now_is_503(
        self, signed_in, customer, invoice, monkeypatch, tmp_path
    ):
        monkeypatch.setattr(presses, "FOLDER", tmp_path)
        press.forget()

        response = signed_in(customer).get(own(invoice))

        assert response.status_code == 503
        assert response.json() == {
            "error": "The document cannot be printed now.",
            "code": "document_not_printed",
        }


@pytest.mark.django_db
class TestForStaff:
    def test_is_the_same_pdf(self, signed_in, invoice):
        client = signed_in(StaffFactory(permissions=["billing.view_invoice"]))

        response = client.get(staff(invoice))

        assert response.status_code == 200
        assert response.content == the_pdf_of(invoice)
        assert response.headers["Content-Disposition"] == (
            'attachment; filename="INV-20260301-01-000001.pdf"'
        )
        assert response.headers["Cache-Control"] == "private, no-store"

    def test_needs_the_permission_to_view_invoices(self, signed_in, invoice):
        client = signed_in(StaffFactory(permissions=["billing.view_payment"]))

        response = client.get(staff(invoice), HTTP_ACCEPT="application/pdf")

        assert response.status_code == 403
        assert response.json()["code"] == "permission_denied"

    def test_is_not_for_the_customer(self, signed_in, customer, invoice):
        assert signed_in(customer).get(staff(invoice)).status_code == 403

    def test_of_nothing_is_404(self, signed_in, db):
        client = signed_in(StaffFactory(permissions=["billing.view_invoice"]))

        assert client.get(f"/api/v1/admin/invoices/{NOWHERE}/pdf").status_code == 404


class TestSchema:
    @pytest.mark.parametrize("area", ["user", "admin"])
    def test_says_that_it_is_binary(self, api, area):
        schema = api.get("/api/v1/schema").json()

        operation = schema["paths"][f"/api/v1/{area}/invoices/{{id}}/pdf"]["get"]
        assert operation["responses"]["200"]["content"] == {
            "application/pdf": {"schema": {"type": "string", "format": "binary"}}
        }
        assert "application/json" in operation["responses"]["503"]["content"]
