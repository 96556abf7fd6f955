import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from accounts.models import BillingDetails
from billing.admin import mail_samples
from billing.models import Event, Mail
from billing.services import outbox
from tests.billing.admin_pages import browser_of, text_of
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, StaffFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIST = "/admin/billing/mail/"
SAMPLES = f"{LIST}samples/"
CANCELLED = {"plan": "Pro", "ends_at": "2026-03-31T12:00:00+00:00", "is_over": False}
POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)

pytestmark = pytest.mark.django_db


def put(user, *, reference="one", kind="cancelled", context=CANCELLED, now=NOON):
    outbox.put(kind=kind, user=user, reference=reference, context=context, now=now)
    return Mail.objects.get(reference=reference)


def found(page):
    return [mail.reference for mail in page.context["cl"].result_list]


@pytest.fixture
def ada(db):
    user = UserFactory(email="ada@example.com", language="de")
    BillingDetails.objects.create(user=user, first_name="Ada <b>", company="Engines Ltd")
    return user


@pytest.fixture
def parked(ada):
    mail = put(ada)
    Mail.objects.filter(pk=mail.pk).update(
        status="parked",
        attempts=5,
        failure="the mail server did not take it",
        next_attempt_at=None,
    )
    mail.refresh_from_db()
    return mail


class TestList:
    def test_shows_what_becomes_of_each(self, finance, ada, parked):
        put(ada, reference="two")

        page = finance.get(LIST)

        assert page.status_code == 200
        text = text_of(page)
        assert "ada@example.com" in text
        assert "Subscription cancelled" in text
        assert "Parked" in text
        assert "the mail server did not take it" in text

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"status__exact": "parked"}, ["one"]),
            ({"status__exact": "waiting"}, ["german", "receipt"]),
            ({"kind__exact": "receipt"}, ["receipt"]),
            ({"language": "en"}, ["receipt"]),
            ({"created_at_from": "2026-03-02"}, ["german"]),
            ({"created_at_to": "2026-03-01"}, ["receipt", "one"]),
            ({"status__exact": "eaten"}, []),
        ],
    )
    def test_is_filtered(self, finance, ada, parked, query, expected):
        put(UserFactory(), reference="receipt", kind="receipt")
        put(ada, reference="german", now=NOON + timedelta(days=1))

        assert found(finance.get(LIST, query)) == expected

    @pytest.mark.parametrize("text", ["ADA@", "engines", "ada@example.com"])
    def test_is_searched_by_customer(self, finance, ada, text):
        put(ada)
        put(UserFactory(email="bob@example.com"), reference="two")

        assert found(finance.get(LIST, {"q": text})) == ["one"]

    def test_is_searched_by_invoice_and_id(self, finance, ada):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice
        pay(invoice, now=NOON)
        put(ada)
        receipt = Mail.objects.get(kind="receipt")

        for text in (invoice.number, invoice.number.lower(), str(invoice.pk), str(receipt.pk)):
            assert found(finance.get(LIST, {"q": text})) == [str(invoice.pk)], text
        assert len(found(finance.get(LIST, {"q": str(ada.pk)}))) == 2
        assert found(finance.get(LIST, {"q": "INV-1"})) == []

    def test_costs_the_same_whatever_its_length(self, finance, django_assert_max_num_queries):
        for n in range(20):
            put(UserFactory(), reference=str(n))

        with django_assert_max_num_queries(8):
            finance.get(LIST)

    def test_is_closed_without_the_right_to_view(self, parked):
        staff = browser_of(StaffFactory(permissions=["billing.retry_parked"]))

        for address in (LIST, SAMPLES, f"{LIST}sample/", f"{LIST}{parked.pk}/preview/"):
            assert staff.get(address).status_code == 403, address


class TestPage:
    def test_shows_the_mail_as_it_is(self, finance, parked):
        page = finance.get(f"{LIST}{parked.pk}/change/")

        assert page.status_code == 200
        assert page.context["letter"].subject == "Ihr Abonnement von Pro ist gekündigt"
        html = page.content.decode()
        assert f'src="{LIST}{parked.pk}/preview/" sandbox' in html
        assert "Ihr Abonnement von Pro ist gekündigt. Sie können es bis zum" in text_of(page)

    def test_says_that_a_mail_is_broken(self, finance, ada, caplog):
        mail = put(ada, context={"ends_at": "some day"})

        with caplog.at_level(logging.WARNING):
            page = finance.get(f"{LIST}{mail.pk}/change/")

        assert page.status_code == 200
        assert "The mail cannot be written" in text_of(page)
        assert "ends_at is nothing that can be shown." in caplog.text
        assert finance.get(f"{LIST}{mail.pk}/preview/").status_code == 503


class TestPreview:
    def test_is_the_html_in_a_frame_that_can_do_nothing(self, finance, ada):
        mail = put(ada, context=CANCELLED | {"plan": "<script>alert(1)</script>"})

        page = finance.get(f"{LIST}{mail.pk}/preview/")

        assert page.status_code == 200
        assert page["Content-Type"] == "text/html; charset=utf-8"
        assert page["X-Frame-Options"] == "SAMEORIGIN"
        assert page["Content-Security-Policy"] == POLICY
        text = page.content.decode()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<script>" not in text

    def test_of_no_mail_goes_back(self, finance):
        page = finance.get(f"{LIST}01900000-0000-7000-8000-000000000000/preview/")

        assert (page.status_code, page.url) == (302, "/admin/")


class TestRetry:
    def test_sends_it_again(self, finance, parked):
        page = finance.get(f"{LIST}{parked.pk}/retry/")
        assert page.status_code == 200
        assert "It is sent to ada@example.com once more" in text_of(page)

        answer = finance.post(f"{LIST}{parked.pk}/retry/", {"reason": "The server is back."})

        assert answer.status_code == 302
        parked.refresh_from_db()
        assert parked.status == "waiting"
        event = Event.objects.get(name="mail.retried")
        assert event.payload["reason"] == "The server is back."
        shown = text_of(finance.get(f"{LIST}{parked.pk}/change/"))
        assert "Mail to ada@example.com is to be sent again" in shown
        assert "The server is back." in shown

    def test_wants_a_reason(self, finance, parked):
        page = finance.post(f"{LIST}{parked.pk}/retry/", {"reason": " "})

        assert page.status_code == 200
        parked.refresh_from_db()
        assert parked.status == "parked"

    def test_is_offered_for_parked_ones(self, finance, ada, parked):
        waiting = put(ada, reference="two")
        button = "admin:billing_mail_retry"

        page = finance.get(f"{LIST}{parked.pk}/change/").content.decode()
        assert reverse(button, args=[parked.pk]) in page
        page = finance.get(f"{LIST}{waiting.pk}/change/").content.decode()
        assert reverse(button, args=[waiting.pk]) not in page
        assert finance.post(f"{LIST}{waiting.pk}/retry/", {"reason": "x"}).status_code == 302
        assert not Event.objects.filter(name="mail.retried").exists()

    def test_wants_the_right(self, parked):
        staff = browser_of(StaffFactory(permissions=["billing.view_mail"]))

        answer = staff.post(f"{LIST}{parked.pk}/retry/", {"reason": "x"})

        assert answer.status_code == 403
        parked.refresh_from_db()
        assert parked.status == "parked"


class TestSamples:
    def test_show_the_first_at_first(self, finance):
        page = finance.get(SAMPLES)

        assert page.status_code == 200
        assert page.context["letter"].subject == (
            "Your receipt: invoice INV-20260301-01-000001 from Example Ltd"
        )

    @pytest.mark.parametrize(
        ("sample", "language", "subject"),
        [
            ("receipt", "de", "Ihr Beleg: Rechnung INV-20260301-01-000001 von Example Ltd"),
            ("payment-failed", "en", "Your payment for Pro did not go through"),
            ("payment-failed-last", "de", "Ihre Zahlung für Pro ist fehlgeschlagen"),
            ("trial-ending", "en", "Your trial of Pro ends on 15 March 2026"),
            ("trial-ending-fee", "de", "Ihre Testphase von Pro endet am 15. März 2026"),
            ("renewal-coming", "en", "Your subscription to Pro renews on 15 March 2026"),
            ("cancelled", "de", "Ihr Abonnement von Pro ist gekündigt"),
            ("ended", "en", "Your subscription to Pro has ended"),
            ("ended-unpaid", "de", "Ihr Abonnement von Pro ist beendet"),
        ],
    )
    def test_show_every_mail_in_every_language(self, finance, sample, language, subject):
        page = finance.get(SAMPLES, {"sample": sample, "language": language})
        frame = finance.get(page.context["preview"])

        assert page.context["letter"].subject == subject
        assert f"<title>{subject}</title>" in frame.content.decode()
        assert frame["Content-Security-Policy"] == POLICY
        assert frame["X-Frame-Options"] == "SAMEORIGIN"

    def test_are_of_every_kind(self, finance):
        kinds = {sample.kind for sample in mail_samples.SAMPLES.values()}

        assert kinds == set(Mail.Kind.values)

    @pytest.mark.parametrize("query", [{"sample": "x"}, {"language": "fr"}, {"sample": "\x00"}])
    def test_of_what_there_is_none_show_the_first(self, finance, query):
        page = finance.get(SAMPLES, query)

        assert page.status_code == 200
        assert page.context["letter"].subject.startswith("Your receipt")

    def test_send_nothing(self, finance, mailoutbox):
        finance.get(SAMPLES)

        assert mailoutbox == []
        assert not Mail.objects.exists()
