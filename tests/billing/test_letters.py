import pytest

from billing.models import Mail
from billing.services import letters
from billing.services.letters import LetterNotWritten

USD_29 = {"amount": "29.00", "currency": "USD"}
RECEIPT = {
    "invoice_id": "0190-id",
    "number": "INV-20260301-01-000001",
    "total": USD_29,
    "paid_at": "2026-03-01T12:00:00+00:00",
}
FAILED = {
    "invoice_id": "0190-id",
    "number": "INV-20260301-01-000001",
    "plan": "Pro",
    "total": USD_29,
    "next_attempt_at": "2026-03-04T12:00:00+00:00",
    "ends_at": "2026-03-17T12:00:00+00:00",
}
TRIAL = {
    "plan": "Pro",
    "ends_at": "2026-03-15T12:00:00+00:00",
    "period": "monthly",
    "total": USD_29,
    "is_discounted": False,
}
RENEWAL = {
    "plan": "Pro",
    "renews_at": "2026-03-15T12:00:00+00:00",
    "period": "yearly",
    "total": {"amount": "1290.00", "currency": "EUR"},
    "is_discounted": False,
}
CANCELLED = {
    "plan": "Pro",
    "ends_at": "2026-03-31T12:00:00+00:00",
    "is_over": False,
    "is_unpaid": False,
}
NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def customers_page(settings):
    settings.BILLING_CUSTOMER_URL = "https://app.example.com/billing"


def text_of(kind, language, context, name="Ada"):
    letter = letters.write(kind=kind, language=language, context=context, name=name)
    return letter.subject, letter.text


class TestReceipt:
    def test_in_english(self):
        assert text_of("receipt", "en", RECEIPT) == (
            "Your receipt: invoice INV-20260301-01-000001 from Example Ltd",
            "Hello Ada,\n\n"
            "thank you: your payment of $29.00 for the invoice INV-20260301-01-000001 arrived on "
            "1 March 2026.\n\n"
            "The invoice is attached, for your records.\n\n"
            "Example Ltd\n",
        )

    def test_in_german(self):
        assert text_of("receipt", "de", RECEIPT) == (
            "Ihr Beleg: Rechnung INV-20260301-01-000001 von Example Ltd",
            "Guten Tag Ada,\n\n"
            f"vielen Dank: Ihre Zahlung über 29,00{NBSP}$ für die Rechnung INV-20260301-01-000001 "
            "ist am 1. März 2026 eingegangen.\n\n"
            "Die Rechnung liegt für Ihre Unterlagen bei.\n\n"
            "Example Ltd\n",
        )


class TestPaymentFailed:
    def test_in_english(self, customers_page):
        assert text_of("payment_failed", "en", FAILED) == (
            "Your payment for Pro did not go through",
            "Hello Ada,\n\n"
            "we could not collect $29.00 for the invoice INV-20260301-01-000001 (Pro).\n\n"
            "We try again on 4 March 2026. Please make sure by then that your means of payment is "
            "good for it, or pay the invoice yourself. Without a payment your subscription ends on "
            "17 March 2026.\n\n"
            "Pay now:\nhttps://app.example.com/billing?invoice=0190-id\n\n"
            "If you have paid in the meantime, there is nothing more to do.\n\n"
            "Example Ltd\n",
        )

    def test_in_german(self, customers_page):
        assert text_of("payment_failed", "de", FAILED) == (
            "Ihre Zahlung für Pro ist fehlgeschlagen",
            "Guten Tag Ada,\n\n"
            f"wir konnten 29,00{NBSP}$ für die Rechnung INV-20260301-01-000001 (Pro) nicht "
            "einziehen.\n\n"
            "Am 4. März 2026 versuchen wir es noch einmal. Bitte sorgen Sie dafür, dass Ihr "
            "Zahlungsmittel bis dahin gedeckt ist, oder bezahlen Sie die Rechnung selbst. Ohne "
            "Zahlung endet Ihr Abonnement am 17. März 2026.\n\n"
            "Jetzt bezahlen:\nhttps://app.example.com/billing?invoice=0190-id\n\n"
            "Falls Sie inzwischen bezahlt haben, ist nichts weiter zu tun.\n\n"
            "Example Ltd\n",
        )

    @pytest.mark.parametrize(
        ("language", "sentence"),
        [
            (
                "en",
                "This was the last time that we tried. Please pay the invoice yourself. Without a "
                "payment your subscription ends on 17 March 2026.\n",
            ),
            (
                "de",
                "Das war unser letzter Versuch. Bitte bezahlen Sie die Rechnung selbst. Ohne "
                "Zahlung endet Ihr Abonnement am 17. März 2026.\n",
            ),
        ],
    )
    def test_after_the_last_attempt(self, language, sentence):
        _subject, text = text_of("payment_failed", language, FAILED | {"next_attempt_at": ""})

        assert sentence in text
        assert "http" not in text


class TestTrialEnding:
    def test_in_english(self, customers_page):
        assert text_of("trial_ending", "en", TRIAL) == (
            "Your trial of Pro ends on 15 March 2026",
            "Hello Ada,\n\n"
            "your trial of Pro ends on 15 March 2026. After that your subscription goes on for "
            "$29.00 a month.\n\n"
            "If you want to keep it, there is nothing to do. If you do not, cancel before that "
            "day, and nothing is charged.\n\n"
            "Your subscription:\nhttps://app.example.com/billing\n\n"
            "Example Ltd\n",
        )

    def test_in_german(self, customers_page):
        assert text_of("trial_ending", "de", TRIAL) == (
            "Ihre Testphase von Pro endet am 15. März 2026",
            "Guten Tag Ada,\n\n"
            "Ihre Testphase von Pro endet am 15. März 2026. Danach läuft Ihr Abonnement weiter, "
            f"für 29,00{NBSP}$ pro Monat.\n\n"
            "Wenn Sie es behalten möchten, ist nichts zu tun. Wenn nicht, kündigen Sie vor diesem "
            "Tag; dann wird nichts berechnet.\n\n"
            "Ihr Abonnement:\nhttps://app.example.com/billing\n\n"
            "Example Ltd\n",
        )

    @pytest.mark.parametrize(
        ("language", "sentence"),
        [
            (
                "en",
                "goes on for $29.00 a month, and a one-time set-up fee of $10.00. Your discount is "
                "taken off that.\n",
            ),
            (
                "de",
                f"für 29,00{NBSP}$ pro Monat und eine einmalige Einrichtungsgebühr von "
                f"10,00{NBSP}$. Ihr Rabatt wird davon abgezogen.\n",
            ),
        ],
    )
    def test_names_a_fee_and_a_discount(self, language, sentence):
        more = {"setup_fee": {"amount": "10.00", "currency": "USD"}, "is_discounted": True}

        assert sentence in text_of("trial_ending", language, TRIAL | more)[1]


class TestRenewalComing:
    def test_in_english(self, customers_page):
        assert text_of("renewal_coming", "en", RENEWAL) == (
            "Your subscription to Pro renews on 15 March 2026",
            "Hello Ada,\n\n"
            "your subscription to Pro renews on 15 March 2026 for €1,290.00, for another year.\n\n"
            "If you want to keep it, there is nothing to do. If you do not, cancel before that "
            "day.\n\n"
            "Your subscription:\nhttps://app.example.com/billing\n\n"
            "Example Ltd\n",
        )

    def test_in_german(self, customers_page):
        assert text_of("renewal_coming", "de", RENEWAL) == (
            "Ihr Abonnement von Pro verlängert sich am 15. März 2026",
            "Guten Tag Ada,\n\n"
            f"Ihr Abonnement von Pro verlängert sich am 15. März 2026 für 1.290,00{NBSP}€ um ein "
            "Jahr.\n\n"
            "Wenn Sie es behalten möchten, ist nichts zu tun. Wenn nicht, kündigen Sie vor diesem "
            "Tag.\n\n"
            "Ihr Abonnement:\nhttps://app.example.com/billing\n\n"
            "Example Ltd\n",
        )


class TestCancelled:
    def test_in_english(self):
        assert text_of("cancelled", "en", CANCELLED) == (
            "Your subscription to Pro is cancelled",
            "Hello Ada,\n\n"
            "your subscription to Pro is cancelled. You can use it until 31 March 2026; it does "
            "not renew, and nothing more is charged.\n\n"
            "Example Ltd\n",
        )

    def test_in_german(self):
        assert text_of("cancelled", "de", CANCELLED) == (
            "Ihr Abonnement von Pro ist gekündigt",
            "Guten Tag Ada,\n\n"
            "Ihr Abonnement von Pro ist gekündigt. Sie können es bis zum 31. März 2026 nutzen; es "
            "verlängert sich nicht, und es wird nichts mehr berechnet.\n\n"
            "Example Ltd\n",
        )

    @pytest.mark.parametrize(
        ("language", "is_unpaid", "subject", "sentence", "label"),
        [
            (
                "en",
                False,
                "Your subscription to Pro has ended",
                "your subscription to Pro has ended. Nothing more is charged.\n",
                "Subscribe again:\nhttps://",
            ),
            (
                "en",
                True,
                "Your subscription to Pro has ended",
                "your subscription to Pro has ended, because its renewal was not paid.\n",
                "Subscribe again:\nhttps://",
            ),
            (
                "de",
                False,
                "Ihr Abonnement von Pro ist beendet",
                "Ihr Abonnement von Pro ist beendet. Es wird nichts mehr berechnet.\n",
                "Neu abonnieren:\nhttps://",
            ),
            (
                "de",
                True,
                "Ihr Abonnement von Pro ist beendet",
                "Ihr Abonnement von Pro ist beendet, weil die Verlängerung nicht bezahlt wurde.\n",
                "Neu abonnieren:\nhttps://",
            ),
        ],
    )
    def test_that_is_over(self, customers_page, language, is_unpaid, subject, sentence, label):
        over = CANCELLED | {"is_over": True, "is_unpaid": is_unpaid}

        written, text = text_of("cancelled", language, over)

        assert written == subject
        assert sentence in text
        assert label in text


class TestHtml:
    def test_says_what_the_text_says_with_a_button(self, customers_page):
        page = letters.write(kind="payment_failed", language="de", context=FAILED, name="Ada").html

        assert '<html lang="de">' in page
        assert "<title>Ihre Zahlung für Pro ist fehlgeschlagen</title>" in page
        assert "<p>Guten Tag Ada,</p>" in page
        assert 'href="https://app.example.com/billing?invoice=0190-id"' in page
        assert ">Jetzt bezahlen</a>" in page

    def test_shows_the_name_of_a_plan_as_it_is(self):
        letter = letters.write(kind="cancelled", language="en", context=CANCELLED | {"plan": "<b>"})

        assert "your subscription to &lt;b&gt; is cancelled" in letter.html
        assert "your subscription to <b> is cancelled" in letter.text

    @pytest.mark.parametrize("kind", Mail.Kind.values)
    @pytest.mark.parametrize("language", ["en", "de"])
    def test_has_no_script_and_nothing_from_elsewhere(self, kind, language):
        context = RECEIPT | FAILED | TRIAL | RENEWAL | CANCELLED

        page = letters.write(kind=kind, language=language, context=context).html

        assert "<script" not in page
        assert "src=" not in page
        assert "http" not in page


class TestWrite:
    @pytest.mark.parametrize(
        ("name", "greeting"),
        [
            ("Ada", "Hello Ada,"),
            (" Ada ", "Hello Ada,"),
            ("José-María O’Neill Jr.", "Hello José-María O’Neill Jr.,"),
            ("नीला", "Hello नीला,"),
            ("", "Hello,"),
            ("x" * 51, "Hello,"),
            ("You won: http://evil.example", "Hello,"),
            ("evil.example", "Hello,"),
            ("ada@evil.example", "Hello,"),
            ("<b>Ada</b>", "Hello,"),
            ("Ada\n\nSend us money", "Hello,"),
            ("Ada\r\nBcc: all@example.com", "Hello,"),
        ],
    )
    def test_greets_by_what_looks_like_a_name(self, name, greeting):
        letter = letters.write(kind="cancelled", language="en", context=CANCELLED, name=name)

        assert letter.text.startswith(f"{greeting}\n")

    def test_a_header_is_one_line(self):
        context = CANCELLED | {"plan": "Pro\r\nBcc: all@example.com"}

        letter = letters.write(kind="cancelled", language="en", context=context)

        assert letter.subject == "Your subscription to Pro Bcc: all@example.com is cancelled"

    def test_a_seller_with_a_line_break_is_one_line(self, settings):
        settings.BILLING_SELLER_NAME = "Example\nLtd"

        letter = letters.write(kind="receipt", language="en", context=RECEIPT)

        assert letter.subject.endswith("from Example Ltd")

    def test_nobodys_words_become_paragraphs(self):
        context = CANCELLED | {"plan": "Pro\n\nSend us money"}

        assert letters.write(kind="cancelled", language="en", context=context).text.count(
            "\n\n"
        ) == text_of("cancelled", "en", CANCELLED)[1].count("\n\n")

    def test_a_language_that_there_is_none_in_is_english(self):
        letter = letters.write(kind="cancelled", language="fr", context=CANCELLED)

        assert letter.subject == "Your subscription to Pro is cancelled"

    @pytest.mark.parametrize(
        ("zone", "day"), [("UTC", "31 March 2026"), ("Pacific/Auckland", "1 April 2026")]
    )
    def test_days_are_the_sellers(self, settings, zone, day):
        settings.BILLING_TIME_ZONE = zone

        letter = letters.write(kind="cancelled", language="en", context=CANCELLED)

        assert f"until {day};" in letter.text

    def test_yen_have_no_cents(self):
        total = {"amount": "2900", "currency": "JPY"}

        english = letters.write(kind="receipt", language="en", context=RECEIPT | {"total": total})
        german = letters.write(kind="receipt", language="de", context=RECEIPT | {"total": total})

        assert "payment of ¥2,900 for" in english.text
        assert f"Zahlung über 2.900{NBSP}¥ für" in german.text

    def test_an_address_with_a_query_gets_another_part(self, settings):
        settings.BILLING_CUSTOMER_URL = "https://app.example.com/?tab=billing"

        letter = letters.write(kind="payment_failed", language="en", context=FAILED)

        assert "\nhttps://app.example.com/?tab=billing&invoice=0190-id\n" in letter.text
        assert 'href="https://app.example.com/?tab=billing&amp;invoice=0190-id"' in letter.html

    @pytest.mark.parametrize(
        "broken",
        [
            {"total": {"amount": "29.00"}},
            {"total": {"amount": "much", "currency": "USD"}},
            {"total": {"amount": "29.00", "currency": "XXX"}},
            {"paid_at": "yesterday"},
            {"paid_at": 5},
        ],
    )
    def test_refuses_what_cannot_be_shown(self, broken):
        with pytest.raises(LetterNotWritten) as refused:
            letters.write(kind="receipt", language="en", context=RECEIPT | broken)

        assert refused.value.code == "letter_not_written"

    def test_refuses_a_kind_without_a_template(self):
        with pytest.raises(LetterNotWritten):
            letters.write(kind="birthday", language="en", context={})

    def test_every_kind_is_there_in_every_language(self):
        context = RECEIPT | FAILED | TRIAL | RENEWAL | CANCELLED
        written = {
            (kind, language): letters.write(kind=kind, language=language, context=context)
            for kind in Mail.Kind.values
            for language in ("en", "de")
        }

        assert len({letter.subject for letter in written.values()}) == 10
