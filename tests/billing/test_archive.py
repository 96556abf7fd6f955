import zipfile
from datetime import UTC, datetime
from io import BytesIO

import pytest

from billing.models import Invoice
from billing.services import documents
from billing.services.documents import press as presses
from billing.services.documents.press import DocumentNotPrinted, press
from tests.billing.purchases import check_out
from tests.factories import PlanFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.django_db
class TestArchive:
    def test_has_the_pdf_of_each(self):
        user = UserFactory()
        bundle = TokenBundleFactory(prices={"USD": "10"})
        made = [check_out(user, bundles=[bundle], now=NOON).invoice for _number in range(3)]

        parts = list(documents.archive(invoices=Invoice.objects.order_by("number")))

        file = zipfile.ZipFile(BytesIO(b"".join(parts)))
        assert file.testzip() is None
        assert file.namelist() == [
            "INV-20260301-01-000001.pdf",
            "INV-20260301-01-000002.pdf",
            "INV-20260301-01-000003.pdf",
        ]
        assert file.infolist()[0].date_time == (2026, 3, 1, 12, 0, 0)
        for invoice in made:
            assert file.read(f"{invoice.number}.pdf") == documents.render(invoice=invoice)

    def test_gives_each_away_before_the_next(self):
        invoice = check_out(UserFactory(), plan=PlanFactory(), now=NOON).invoice

        parts = documents.archive(invoices=(invoice for _number in range(2)))

        assert len(next(parts)) > 10_000

    def test_of_none_is_an_empty_archive(self):
        content = b"".join(documents.archive(invoices=Invoice.objects.none()))

        assert zipfile.ZipFile(BytesIO(content)).namelist() == []

    @pytest.mark.parametrize("number", [2, 6])
    def test_reads_lines_and_payments_for_all_at_once(self, number, django_assert_num_queries):
        user = UserFactory()
        bundle = TokenBundleFactory(prices={"USD": "10"})
        for _number in range(number):
            check_out(user, bundles=[bundle], now=NOON)

        with django_assert_num_queries(3):
            list(documents.archive(invoices=Invoice.objects.order_by("number")))

    def test_breaks_off_where_one_cannot_be_printed(self, monkeypatch, tmp_path):
        invoice = check_out(UserFactory(), plan=PlanFactory(), now=NOON).invoice
        parts = documents.archive(invoices=[invoice, invoice])
        first = next(parts)
        monkeypatch.setattr(presses, "FOLDER", tmp_path)
        press.forget()

        with pytest.raises(DocumentNotPrinted):
            next(parts)

        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(BytesIO(first))
        press.forget()
