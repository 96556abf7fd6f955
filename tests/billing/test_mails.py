import socketserver
import threading
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction

from accounts.models import BillingDetails
from billing.models import Event, Invoice
from billing.services import documents, invoices, mails, refunds
from billing.services.documents import press as presses
from billing.services.documents.press import DocumentNotPrinted, press
from billing.services.mails import MailNotSent
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import PlanFactory, StaffFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBER = "INV-20260301-01-000001"


@pytest.fixture
def invoice(db):
    user = UserFactory(email="ada@example.com")
    BillingDetails.objects.create(user=user, first_name="Ada <b>", company="Engines & Co")
    return check_out(user, plan=PlanFactory(name="Pro"), now=NOON).invoice


def events_of_mail():
    return [
        (event.name, event.payload)
        for event in Event.objects.filter(name__startswith="invoice.").order_by("id")
        if "to" in event.payload
    ]


class RefusingServer(socketserver.StreamRequestHandler):
    """A mail server that takes nobody's mail."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            command = line[:4].upper()
            answer = {b"RCPT": b"550 secret-host says no", b"QUIT": b"221 bye"}
            self.wfile.write(answer.get(command, b"250 fine") + b"\r\n")
            if command == b"QUIT":
                return


@pytest.fixture
def refusing_server(settings):
    with socketserver.TCPServer(("127.0.0.1", 0), RefusingServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        yield
        server.shutdown()


class TestSendInvoice:
    def test_mails_the_pdf_to_the_buyer(self, invoice):
        mails.send_invoice(invoice=invoice, by=None, now=NOON)

        [sent] = mail.outbox
        assert sent.to == ["ada@example.com"]
        assert sent.reply_to == ["billing@example.com"]
        assert sent.subject == f"Invoice {NUMBER} from Example Ltd"
        assert sent.body == (
            "Hello Ada <b>,\n\n"
            f"here is the invoice {NUMBER} over $29.00, to be paid by 31 March 2026.\n"
            "It says how to pay.\n"
            "The invoice is attached.\n\n"
            "Example Ltd\n"
        )
        [page] = sent.alternatives
        assert page.mimetype == "text/html"
        assert "Hello Ada &lt;b&gt;," in page.content
        assert f"<b>{NUMBER}</b> over <b>$29.00</b>" in page.content
        [attached] = sent.attachments
        assert (attached.filename, attached.mimetype) == (f"{NUMBER}.pdf", "application/pdf")
        assert attached.content == documents.render(invoice=invoice)

    def test_tells_that_it_was_asked_for_and_sent(self, invoice):
        by = StaffFactory()

        mails.send_invoice(invoice=invoice, by=by, now=NOON)

        told = {"number": NUMBER, "by": str(by.pk), "to": "ada@example.com"}
        assert events_of_mail() == [("invoice.sending", told), ("invoice.sent", told)]
        event = Event.objects.get(name="invoice.sent")
        assert (event.user_id, event.subject_id) == (invoice.user_id, invoice.pk)
        assert event.created_at == NOON

    def test_by_nobody_says_so(self, invoice):
        mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert Event.objects.get(name="invoice.sent").payload["by"] is None

    def test_goes_to_the_address_of_the_invoice_not_to_a_later_one(self, invoice):
        invoice.user.email = "later@example.com"
        invoice.user.save()

        mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert mail.outbox[0].to == ["ada@example.com"]

    def test_without_one_goes_to_the_accounts(self, invoice):
        invoice.buyer = {**invoice.buyer, "email": ""}

        mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert mail.outbox[0].to == ["ada@example.com"]

    def test_of_a_paid_one_thanks(self, invoice):
        pay(invoice, now=NOON)

        mails.send_invoice(invoice=Invoice.objects.get(pk=invoice.pk), by=None, now=NOON)

        assert (
            f"here is the invoice {NUMBER} over $29.00. It is paid; thank you."
            in mail.outbox[0].body
        )

    def test_of_a_refunded_one_says_so(self, invoice):
        pay(invoice, now=NOON)
        refunded = refunds.refund(
            invoice=invoice, reference="RE-1", by=StaffFactory(), reason="asked for", now=NOON
        )

        mails.send_invoice(invoice=refunded, by=None, now=NOON)

        assert f"the invoice {NUMBER} over $29.00 was refunded." in mail.outbox[0].body

    def test_of_a_void_one_asks_for_nothing(self, invoice):
        void = invoices.void(invoice=invoice, by=StaffFactory(), reason="a mistake", now=NOON)

        mails.send_invoice(invoice=void, by=None, now=NOON)

        assert (
            f"the invoice {NUMBER} over $29.00 is cancelled. Nothing is to be paid."
            in mail.outbox[0].body
        )

    def test_that_the_server_refuses_says_so(self, invoice, refusing_server):
        by = StaffFactory()

        with pytest.raises(MailNotSent) as refused:
            mails.send_invoice(invoice=invoice, by=by, now=NOON)

        assert refused.value.code == "mail_not_sent"
        assert refused.value.message == (
            f"The invoice {NUMBER} was not sent to ada@example.com: "
            "the mail server did not take it."
        )
        told = {"number": NUMBER, "by": str(by.pk), "to": "ada@example.com"}
        reason = {"reason": "the mail server did not take it"}
        assert events_of_mail() == [
            ("invoice.sending", told),
            ("invoice.not_sent", told | reason),
        ]

    def test_without_a_server_says_so(self, invoice, settings, unused_port):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", unused_port

        with pytest.raises(MailNotSent):
            mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert [name for name, _told in events_of_mail()] == [
            "invoice.sending",
            "invoice.not_sent",
        ]

    @pytest.mark.parametrize(
        "address",
        ["nobody", "a@b", "ada@example.com\nBcc: all@example.com", "a@example.com,b@c.de"],
    )
    def test_to_what_is_no_address_is_refused(self, invoice, address):
        invoice.buyer = {**invoice.buyer, "email": address}

        with pytest.raises(MailNotSent) as refused:
            mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert refused.value.message.endswith("this is not an e-mail address.")
        assert mail.outbox == []
        assert [name for name, _told in events_of_mail()] == [
            "invoice.sending",
            "invoice.not_sent",
        ]

    def test_without_a_pdf_is_not_begun(self, invoice, monkeypatch, tmp_path):
        before = rows_of_billing()
        monkeypatch.setattr(presses, "FOLDER", tmp_path)
        press.forget()

        with pytest.raises(DocumentNotPrinted):
            mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert mail.outbox == []
        assert rows_of_billing() == before


@pytest.fixture
def unused_port():
    """Nobody listens there once it is closed."""
    with socketserver.TCPServer(("127.0.0.1", 0), RefusingServer) as server:
        return server.server_address[1]


@pytest.mark.django_db(transaction=True)
class TestOrder:
    def test_the_intent_is_committed_when_the_server_is_called(self, invoice, settings):
        settings.EMAIL_BACKEND = f"{__name__}.LookingBackend"

        mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert LookingBackend.seen == (False, ["invoice.sending"])

    def test_is_not_for_the_inside_of_a_transaction(self, invoice):
        with pytest.raises(RuntimeError), transaction.atomic():
            mails.send_invoice(invoice=invoice, by=None, now=NOON)

        assert mail.outbox == []
        assert events_of_mail() == []


class LookingBackend(BaseEmailBackend):
    """Looks into the database, on a connection of its own, when a mail is sent."""

    seen = None

    def send_messages(self, messages):
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT name FROM billing_event WHERE payload ? 'to' ORDER BY id")
                names = [name for (name,) in cursor.fetchall()]
        finally:
            other.close()
        LookingBackend.seen = (connection.in_atomic_block, names)
        return len(messages)
