from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import BillingDetails
from billing.models import Invoice
from billing.services import documents, invoices, payments, refunds
from billing.services.documents.lettering import is_right_to_left, printable
from billing.services.documents.press import press
from catalog.money import Money, known_currencies
from tests.billing.pages import Pdf, order_of
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import PlanFactory, StaffFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = (
    '#read("/etc/passwd") $ x^2 $ #import "@preview/a:1.0.0": * `raw` = Head *b* _i_ \\ @a <b> '
    "// c /* d */ ~ -- --- ... #{panic()} [x] ]#"
)


def buyer(**details):
    user = UserFactory(email="ada@example.com")
    BillingDetails.objects.create(user=user, **details)
    return user


def invoice_of(user=None, *, name="Pro", currency="USD", price="29.00", bundles=(), now=NOON):
    plan = PlanFactory(name=name, prices={currency: price})
    made = check_out(user or UserFactory(), plan=plan, bundles=bundles, currency=currency, now=now)
    return made.invoice


def printed(invoice):
    return Pdf(documents.render(invoice=Invoice.objects.get(pk=invoice.pk)))


@pytest.mark.django_db
class TestRender:
    def test_of_an_open_invoice_has_all_of_it(self):
        user = buyer(
            first_name="Ada",
            last_name="Lovelace",
            company="Analytical Engines Ltd",
            vat_id="GB123456789",
            address_line_1="12 St James's Square",
            city="London",
            postal_code="SW1Y 4LB",
            country="GB",
        )
        bundle = TokenBundleFactory(name="500 tokens", prices={"USD": "1234.50"})

        lines = printed(invoice_of(user, bundles=[bundle, bundle])).lines

        assert lines == [
            "Example Ltd Invoice",
            "INV-20260301-01-000001",
            "FROM",
            "Example Ltd",
            "1 Example Street",
            "10115 Berlin",
            "Germany",
            "billing@example.com",
            "Tax ID DE123456789",
            "BILLED TO",
            "Analytical Engines Ltd",
            "Ada Lovelace",
            "12 St James's Square",
            "SW1Y 4LB London",
            "United Kingdom",
            "VAT ID GB123456789",
            "ada@example.com",
            "Payment due",
            "Issued 1 March 2026",
            "Due 31 March 2026",
            "Description Quantity Unit price Amount",
            "Pro 1 $29.00 $29.00",
            "500 tokens 1 $1,234.50 $1,234.50",
            "500 tokens 1 $1,234.50 $1,234.50",
            "Subtotal $2,498.00",
            "Tax $0.00",
            "Total USD $2,498.00",
            "Please pay $2,498.00 by 31 March 2026",
            "By bank transfer, with the number of the invoice as the reference:",
            "To Example Ltd",
            "IBAN DE02 1203 0000 0000 2020 51",
            "BIC BYLADEM1001",
            "Reference INV-20260301-01-000001",
            "Example Ltd · billing@example.com · Tax ID DE123456789"
            " INV-20260301-01-000001 · Page 1 of 1",
        ]

    @pytest.mark.parametrize(
        ("currency", "price", "line", "total"),
        [
            ("EUR", "1234.50", "Pro 1 €1,234.50 €1,234.50", "Total EUR €1,234.50"),
            ("JPY", "2900", "Pro 1 ¥2,900 ¥2,900", "Total JPY ¥2,900"),
            ("KWD", "2.900", "Pro 1 KWD\xa02.900 KWD\xa02.900", "Total KWD KWD\xa02.900"),
            ("PHP", "1500", "Pro 1 PHP\xa01,500.00 PHP\xa01,500.00", "Total PHP PHP\xa01,500.00"),
        ],
    )
    def test_writes_money_as_people_do(self, currency, price, line, total):
        lines = printed(invoice_of(currency=currency, price=price)).lines

        assert line in lines
        assert total in lines

    def test_shows_a_code_for_banking_apps_for_euros_only(self):
        """A picture more; segno makes it from the texts that stand beside it."""
        euros = printed(invoice_of(currency="EUR"))
        dollars = printed(invoice_of(currency="USD"))

        assert b"A QR code with which" in _strings(euros)
        assert b"A QR code with which" not in _strings(dollars)

    def test_without_an_iban_says_that_one_pays_in_the_account(self, settings):
        settings.BILLING_SELLER_IBAN = ""

        lines = printed(invoice_of(currency="EUR")).lines

        assert "You can pay in your account. The reference is INV-20260301-01-000001." in lines
        assert not [line for line in lines if "IBAN" in line]

    def test_of_a_paid_one_says_when_and_how(self):
        invoice = invoice_of()
        pay(invoice, reference="FT-1", now=NOON + timedelta(days=2))

        lines = printed(invoice).lines

        assert "Paid" in lines
        assert "Paid 3 March 2026" in lines
        assert "Paid on 3 March 2026 by bank transfer" in lines
        assert "Reference of the payment FT-1" in lines
        assert not [line for line in lines if "Please pay" in line or "Due" in line]

    def test_of_nothing_to_pay_says_so(self):
        lines = printed(invoice_of(price="0.00")).lines

        assert "Total USD $0.00" in lines
        assert "Paid on 1 March 2026: the total is zero" in lines

    def test_of_a_refunded_one_says_both(self):
        invoice = invoice_of()
        pay(invoice, reference="FT-1", now=NOON)
        refunds.refund(
            invoice=invoice,
            reference="RE-1",
            by=StaffFactory(),
            reason="asked for",
            now=NOON + timedelta(days=4),
        )

        lines = printed(invoice).lines

        assert "Refunded 5 March 2026" in lines
        assert "Refunded on 5 March 2026" in lines
        assert (
            "It was paid on 1 March 2026 by bank transfer, and the whole amount was paid back."
            in lines
        )
        assert "Reference of the refund RE-1" in lines

    def test_of_a_void_one_says_so_across_the_page(self):
        invoice = invoice_of()
        invoices.void(
            invoice=invoice, by=StaffFactory(), reason="a mistake", now=NOON + timedelta(days=1)
        )

        lines = printed(invoice).lines

        assert "VOID" in lines
        assert "Cancelled 2 March 2026" in lines
        assert "Void: cancelled on 2 March 2026" in lines
        assert "Nothing is to be paid. The invoice is kept for its number." in lines
        assert not [line for line in lines if "IBAN" in line]

    def test_has_the_sellers_day(self, settings):
        settings.BILLING_TIME_ZONE = "Asia/Tokyo"
        invoice = invoice_of(now=datetime(2026, 12, 31, 23, 30, tzinfo=UTC))

        assert "Issued 1 January 2027" in printed(invoice).lines

    def test_has_the_buyer_as_they_were(self):
        user = buyer(company="Before Ltd")
        invoice = invoice_of(user)
        user.billing_details.company = "After Ltd"
        user.billing_details.save()

        lines = printed(invoice).lines

        assert "Before Ltd" in lines
        assert "After Ltd" not in lines

    def test_of_fifty_lines_repeats_the_head_of_the_table(self):
        bundle = TokenBundleFactory(name="500 tokens", prices={"USD": "10.50"})
        invoice = invoice_of(bundles=[bundle] * 49)

        pages = printed(invoice).pages

        assert len(pages) == 2
        assert [page.count("Description Quantity Unit price Amount") for page in pages] == [1, 1]
        assert sum(page.count("500 tokens 1 $10.50 $10.50") for page in pages) == 49
        assert pages[0][-1].endswith("INV-20260301-01-000001 · Page 1 of 2")
        assert pages[1][-1].endswith("INV-20260301-01-000001 · Page 2 of 2")
        assert "Total USD $543.50" in pages[1]

    @pytest.mark.parametrize("kind", ["png", "svg"])
    def test_shows_the_logo_instead_of_the_name(self, settings, tmp_path, kind):
        settings.BILLING_SELLER_LOGO = str(tmp_path / f"logo.{kind}")
        pictures = {"png": PNG, "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9"/>'}
        (tmp_path / f"logo.{kind}").write_bytes(pictures[kind])

        pdf = printed(invoice_of())

        assert pdf.lines[0] == "Invoice"
        assert b"(Example Ltd)" in _strings(pdf)  # what a screen reader says of it

    def test_is_the_same_to_the_byte_each_time(self):
        invoice = invoice_of(buyer(company="株式会社サンプル"), currency="EUR")
        first = printed(invoice).content
        press.forget()

        assert printed(invoice).content == first

    def test_reads_lines_and_payments_and_nothing_else(self, django_assert_num_queries):
        invoice = Invoice.objects.get(pk=invoice_of().pk)

        with django_assert_num_queries(1):
            documents.render(invoice=invoice)

    def test_writes_nothing(self):
        invoice = invoice_of()
        before = rows_of_billing()

        documents.render(invoice=invoice)

        assert rows_of_billing() == before


# One pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)


def _strings(pdf):
    """The alternative texts of its pictures, as they stand in its tree of tags."""
    found = []

    def walk(node, depth=0):
        node = node.get_object() if hasattr(node, "get_object") else node
        if isinstance(node, list):
            for inner in node:
                walk(inner, depth + 1)
        elif isinstance(node, dict):
            if "/Alt" in node:
                found.append(f"({node['/Alt']})")
            walk(node.get("/K", []), depth + 1)

    walk(pdf.reader.trailer["/Root"]["/StructTreeRoot"]["/K"])
    return " ".join(found).encode()


@pytest.mark.django_db
class TestStandard:
    def test_is_pdf_a_3a_and_pdf_ua_1(self):
        metadata = printed(invoice_of()).metadata

        assert "<pdfaid:part>3</pdfaid:part>" in metadata
        assert "<pdfaid:conformance>A</pdfaid:conformance>" in metadata
        assert "<pdfuaid:part>1</pdfuaid:part>" in metadata

    def test_has_what_the_standard_asks_for(self):
        pdf = printed(invoice_of())
        root = pdf.reader.trailer["/Root"]

        intent = root["/OutputIntents"][0].get_object()
        assert intent["/S"] == "/GTS_PDFA1"
        assert intent["/DestOutputProfile"].get_object().get_data()[36:40] == b"acsp"
        assert root["/Lang"] == "en"
        assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712 - of another type
        assert root["/ViewerPreferences"]["/DisplayDocTitle"] == True  # noqa: E712
        assert "/Encrypt" not in pdf.reader.trailer
        assert "/AcroForm" not in root
        assert pdf.reader.metadata.title == "Invoice INV-20260301-01-000001"
        assert pdf.reader.metadata.author == "Example Ltd"
        assert pdf.reader.metadata.creation_date == NOON

    def test_embeds_every_font(self):
        fonts = printed(invoice_of(buyer(company="株式会社", first_name="김"))).fonts

        assert fonts == {
            "FiraGO-Regular": True,
            "FiraGO-Bold": True,
            "DroidSansFallback": True,
            "NotoSansCJKkr-Regular": True,
        }


@pytest.mark.django_db
class TestScripts:
    """A letter without a glyph would be refused by Typst: PDF/A forbids it."""

    @pytest.mark.parametrize(
        ("company", "font"),
        [
            ("ООО «Ромашка» Їжак", "FiraGO-Bold"),
            ("Ελληνική Εταιρεία Α.Ε.", "FiraGO-Bold"),
            ("Công ty Việt Nam ŁÓDŹ Škoda", "FiraGO-Bold"),
            ("北京示例科技有限公司", "DroidSansFallback"),
            ("臺灣範例股份有限公司", "DroidSansFallback"),
            ("株式会社サンプルひらがな", "DroidSansFallback"),
            ("주식회사 예제 ㈜", "NotoSansCJKkr-Regular"),
        ],
    )
    def test_come_out_as_they_went_in(self, company, font):
        pdf = printed(invoice_of(buyer(company=company), name=company))

        assert company in pdf.lines
        assert f"{company} 1 $29.00 $29.00" in pdf.lines
        assert pdf.fonts[font] is True

    @pytest.mark.parametrize(
        "company", ["شركة النور للتجارة", "חברת האור", "شرکت نمونه ایران", "پاکستان ٹریڈرز"]
    )
    def test_from_right_to_left_come_out_as_they_went_in(self, company):
        assert company in printed(invoice_of(buyer(company=company))).lines

    def test_arabic_letters_are_joined(self):
        """Joined letters are narrower than the same ones apart."""
        joined = printed(invoice_of(buyer(company="بيت", first_name="Ada")))
        apart = printed(invoice_of(UserFactory(), name="ب\u200cي\u200cت"))

        assert joined.width_of("بيت") < 0.7 * apart.width_of("بيت")

    def test_without_a_glyph_is_a_square(self):
        pdf = printed(invoice_of(buyer(company="Smile 😀 Ltd", address_line_1="தமிழ்")))

        assert "Smile □ Ltd" in pdf.lines
        assert "□□□" in pdf.lines


@pytest.mark.django_db
class TestHostileText:
    def test_is_text(self):
        user = buyer(company=HOSTILE, first_name="#panic()", address_line_1="= Not a heading")

        pdf = printed(invoice_of(user, name='#eval("1+1")'))

        said = "".join(pdf.lines).replace(" ", "")
        assert HOSTILE.replace(" ", "") in said
        assert "#panic()" in pdf.lines
        assert "= Not a heading" in pdf.lines
        assert '#eval("1+1") 1 $29.00 $29.00' in pdf.lines
        assert "root:" not in said

    def test_moves_nothing_that_follows(self):
        """An override that nobody ends would turn the rest of its line around."""
        user = buyer(company="evil \u202e\u2067 cod.exe\u200f", address_line_1="a\nb\tc\x07\u2028d")

        lines = printed(invoice_of(user)).lines

        assert "evil cod.exe" in [line.rstrip("\u200f") for line in lines]
        assert "a b c d" in lines

    @pytest.mark.parametrize("letter", ["W", "語", "ش", "Ж", "1", "김", "😀"])
    def test_of_the_longest_kind_stays_on_the_page(self, letter):
        user = buyer(
            company=letter * 200,
            first_name=letter * 100,
            last_name=letter * 100,
            address_line_1=letter * 200,
            vat_id=letter * 50,
            city=letter * 100,
        )
        invoice = invoice_of(user, name=letter * 100, currency="KWD", price="99999999999999.000")
        payments.capture(
            notice=payments.Notice(
                "bank", letter * 255, str(invoice.id), invoice.total, letter * 50
            ),
            now=NOON,
        )

        pdf = printed(invoice)

        assert pdf.rightmost <= 595 - 56  # the margin is 20 mm


class TestPrintable:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("Ada", "Ada"),
            ("  a \n b\x00\x1b[0m ", "a b[0m"),
            ("e\u0301", "é"),
            ("\ufa19\uf900", "\ufa19\uf900"),
            ("\u1100\u1161\u11a8", "각"),  # in pieces, as some systems send it
            ("한\u0301", "한"),
            ("\ue000", "□"),
            ("𠮷野家", "□野家"),
            ("\ufeffa\u00ad\u202e\u2066b", "ab"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("\u0301", "\u0301"),
            ("", ""),
        ],
    )
    def test_is(self, text, shown):
        assert printable(text) == shown

    def test_has_the_sign_of_every_currency_but_one(self):
        signs = {Money(Decimal(1), currency).for_people() for currency in known_currencies()}

        assert [sign for sign in signs if "□" in printable(sign)] == ["₱1.00"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("Ada", False), ("شركة", True), ("12 שלום", True), ("2026", False), ("", False)],
    )
    def test_direction_is_that_of_the_first_letter(self, text, expected):
        assert is_right_to_left(text) is expected

    @given(st.lists(st.text(max_size=60), min_size=1, max_size=20))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_can_always_be_printed(self, texts):
        shown = [printable(text) for text in texts]

        press.print(order_of(*shown))
