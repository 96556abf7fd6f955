"""What the accountant does to invoices, one or many: asked first, permitted, told and kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from io import BytesIO
from uuid import uuid4
from zipfile import ZipFile

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.admin import bulk as bulk_pages
from billing.admin import invoice_bulks, invoices
from billing.models import Event, Invoice, Payment
from tests.billing.admin_pages import NOW, browser_of, keep_unmatched, page_of, text_of
from tests.billing.purchases import check_out, pay, rows_of_billing
from tests.factories import PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db

PAGE = "/admin/billing/invoice/"
LATER = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
STEPS = {
    "mark-paid": "billing.take_payment",
    "send": "billing.send_invoice",
    "refund": "billing.refund_invoice",
    "void": "billing.void_invoice",
}
# What its form asks for, beside why.
TYPED = {
    "mark-paid": {"reference": "TR-1", "method": "bank_transfer", "received_on": "2026-03-09"},
    "send": {},
    "refund": {"reference": "RF-1"},
    "void": {},
}
EVERY_STEP = pytest.mark.parametrize("name", list(STEPS))
SEES = ["billing.view_invoice", "billing.view_payment", "billing.view_event"]
SCRIPT = {"accept": "application/json"}


@pytest.fixture
def clerk(clock):
    clock.move_to(LATER)
    return StaffFactory(email="clara@example.com", permissions=[*SEES, *STEPS.values()])


@pytest.fixture
def plan(db):
    return PlanFactory(name="Pro")


def order(plan, count: int = 1) -> list[Invoice]:
    return [check_out(UserFactory(), plan=plan, now=NOW).invoice for _ in range(count)]


def invoice_for(name: str, plan) -> Invoice:
    """One that this step can be done to."""
    (invoice,) = order(plan)
    if name == "refund":
        pay(invoice, now=NOW)
        invoice.refresh_from_db()
    return invoice


def step(invoice: Invoice, name: str) -> str:
    return f"{PAGE}{invoice.pk}/{name}/"


def run(name: str) -> str:
    return f"{PAGE}bulk/{name}/"


def typed(name: str, *invoices: Invoice) -> dict[str, str]:
    """What the page of a run sends for these."""
    own = {"ids": ",".join(str(invoice.pk) for invoice in invoices), "reason": "As agreed"}
    for invoice in invoices:
        own[f"each-{invoice.pk}"] = f"TR-{invoice.number}"
    return TYPED[name] | own


def choose(name: str, *invoices: Invoice, across: bool = False) -> dict:
    return {
        "action": f"bulk_{name.replace('-', '_')}",
        "select_across": "1" if across else "0",
        "_selected_action": [str(invoice.pk) for invoice in invoices],
    }


class TestEveryStep:
    @EVERY_STEP
    def test_is_neither_offered_nor_done_without_its_permission(self, clock, plan, name):
        invoice = invoice_for(name, plan)
        others = [permission for permission in STEPS.values() if permission != STEPS[name]]
        viewer = browser_of(StaffFactory(permissions=[*SEES, *others]))
        before = rows_of_billing()

        page = viewer.get(page_of(invoice)).content.decode()
        answers = [
            viewer.get(step(invoice, name)),
            viewer.post(step(invoice, name), TYPED[name] | {"reason": "Why"}),
        ]

        assert step(invoice, name) not in page
        assert [answer.status_code for answer in answers] == [403, 403]
        assert rows_of_billing() == before
        assert mail.outbox == []

    @EVERY_STEP
    def test_is_refused_without_the_right_to_view_invoices(self, clock, plan, name):
        invoice = invoice_for(name, plan)
        blind = browser_of(StaffFactory(permissions=[STEPS[name]]))

        answer = blind.post(step(invoice, name), TYPED[name] | {"reason": "Why"})

        assert answer.status_code == 403

    @EVERY_STEP
    def test_is_offered_asks_first_and_wants_a_reason(self, clerk, plan, name):
        invoice = invoice_for(name, plan)
        visitor = browser_of(clerk)
        before = rows_of_billing()

        page = visitor.get(page_of(invoice)).content.decode()
        asked = visitor.get(step(invoice, name))
        no_reason = visitor.post(step(invoice, name), TYPED[name] | {"reason": " "})

        assert f'href="{step(invoice, name)}"' in page
        assert invoice.number in text_of(asked)
        assert len(re.findall("autofocus", asked.content.decode())) == 1
        assert no_reason.context["form"].errors == {"reason": ["This field is required."]}
        assert rows_of_billing() == before

    @EVERY_STEP
    def test_is_done_and_the_timeline_says_by_whom(self, clerk, plan, name):
        invoice = invoice_for(name, plan)

        answer = browser_of(clerk).post(
            step(invoice, name), TYPED[name] | {"reason": "As agreed"}, follow=True
        )

        events = text_of(answer).split("Events")[-1]
        assert "by clara@example.com" in events
        invoice.refresh_from_db()
        done = {"mark-paid": "paid", "send": "pending", "refund": "refunded", "void": "cancelled"}
        assert invoice.status == done[name]

    @pytest.mark.parametrize("name", ["mark-paid", "refund", "void"])
    def test_twice_is_done_once(self, clerk, plan, name):
        invoice = invoice_for(name, plan)
        visitor = browser_of(clerk)
        sent = TYPED[name] | {"reason": "As agreed"}
        visitor.post(step(invoice, name), sent)
        before = rows_of_billing()

        again = visitor.post(step(invoice, name), sent, follow=True)

        assert "not as it is now" in text_of(again)
        assert rows_of_billing() == before

    @EVERY_STEP
    def test_of_an_invoice_that_there_is_not_leads_to_the_index(self, clerk, name):
        answer = browser_of(clerk).get(f"{PAGE}{uuid4()}/{name}/")

        assert (answer.status_code, answer.url) == (302, "/admin/")


class TestMarkPaid:
    def test_takes_the_payment_with_who_and_why(self, clerk, plan):
        (invoice,) = order(plan)

        answer = browser_of(clerk).post(
            step(invoice, "mark-paid"),
            TYPED["mark-paid"] | {"reason": "On the statement of 9 March"},
            follow=True,
        )

        payment = Payment.objects.get()
        assert (payment.provider, payment.reference, payment.method, payment.status) == (
            "manual",
            "TR-1",
            "bank_transfer",
            "captured",
        )
        assert payment.received_at == datetime(2026, 3, 9, tzinfo=UTC)
        event = Event.objects.get(name="payment.captured")
        assert event.payload["by"] == str(clerk.pk)
        assert event.payload["note"] == "On the statement of 9 March"
        text = text_of(answer)
        assert "clara@example.com Status: Pending → became Paid" in text
        assert "On the statement of 9 March" in text

    @pytest.mark.parametrize(
        ("received_on", "received_at"),
        [
            ("2026-03-10", LATER),
            ("2026-03-01", NOW),
            ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        ],
    )
    def test_today_is_now_and_no_payment_is_earlier_on_the_day_than_its_invoice(
        self, clerk, plan, received_on, received_at
    ):
        (invoice,) = order(plan)
        sent = TYPED["mark-paid"] | {"received_on": received_on, "reason": "Seen"}

        browser_of(clerk).post(step(invoice, "mark-paid"), sent)

        assert Payment.objects.get().received_at == received_at

    @pytest.mark.parametrize(
        ("field", "value", "fault"),
        [
            ("received_on", "2026-03-11", "This day is still to come."),
            ("received_on", "1999-12-31", "greater than or equal to"),
            ("received_on", "soon", "Enter a valid date."),
            ("reference", "", "This field is required."),
            ("reference", "x" * 256, "at most 255 characters"),
            ("reference", "\x00", "Null characters are not allowed."),
            ("method", "barter", "Select a valid choice."),
        ],
    )
    def test_says_what_is_wrong_and_takes_nothing(self, clerk, plan, field, value, fault):
        (invoice,) = order(plan)
        sent = TYPED["mark-paid"] | {"reason": "Seen", field: value}

        answer = browser_of(clerk).post(step(invoice, "mark-paid"), sent)

        assert fault in text_of(answer)
        assert not Payment.objects.exists()

    def test_shows_the_refusal_of_a_reference_that_another_payment_has(self, clerk, plan):
        first, second = order(plan, 2)
        visitor = browser_of(clerk)
        sent = TYPED["mark-paid"] | {"reason": "Seen"}
        visitor.post(step(first, "mark-paid"), sent)

        answer = visitor.post(step(second, "mark-paid"), sent)

        assert "this reference is of another payment" in text_of(answer)
        second.refresh_from_db()
        assert second.status == "pending"


class TestVoid:
    def test_keeps_who_and_why(self, clerk, plan):
        (invoice,) = order(plan)

        answer = browser_of(clerk).post(
            step(invoice, "void"), {"reason": "Ordered twice"}, follow=True
        )

        event = Event.objects.get(name="invoice.voided")
        assert (event.payload["by"], event.payload["reason"]) == (str(clerk.pk), "Ordered twice")
        assert "clara@example.com Status: Pending → became Cancelled" in text_of(answer)


class TestRefund:
    def test_keeps_who_and_why(self, clerk, plan):
        invoice = invoice_for("refund", plan)

        answer = browser_of(clerk).post(
            step(invoice, "refund"), {"reference": "RF-1", "reason": "Broken"}, follow=True
        )

        event = Event.objects.get(name="invoice.refunded")
        assert (event.payload["by"], event.payload["reason"]) == (str(clerk.pk), "Broken")
        assert "clara@example.com Status: Paid → became Refunded" in text_of(answer)
        assert Payment.objects.get().refund_reference == "RF-1"


class TestSend:
    def test_mails_it_with_its_pdf_and_keeps_why(self, clerk, plan):
        (invoice,) = order(plan)
        visitor = browser_of(clerk)

        visitor.post(step(invoice, "send"), {"reason": "Lost by the customer"})

        (sent,) = mail.outbox
        assert sent.to == [invoice.user.email]
        assert [name for name, _content, _type in sent.attachments] == [f"{invoice.number}.pdf"]
        assert "Sent again: Lost by the customer" in text_of(
            visitor.get(f"{PAGE}{invoice.pk}/history/")
        )

    def test_shows_the_refusal_of_the_mail_server(self, clerk, plan, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        (invoice,) = order(plan)

        answer = browser_of(clerk).post(step(invoice, "send"), {"reason": "Lost"})

        assert "was not sent to" in text_of(answer)


class TestPdf:
    def test_is_printed_for_who_may_view_it(self, clock, plan):
        (invoice,) = order(plan)
        viewer = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        page = viewer.get(page_of(invoice)).content.decode()
        answer = viewer.get(f"{PAGE}{invoice.pk}/pdf/")

        assert f'href="{PAGE}{invoice.pk}/pdf/"' in page
        assert answer["Content-Type"] == "application/pdf"
        assert answer["Content-Disposition"] == f'attachment; filename="{invoice.number}.pdf"'
        assert answer.content.startswith(b"%PDF-")

    def test_is_refused_without_that_right(self, clock, plan):
        (invoice,) = order(plan)
        stranger = browser_of(StaffFactory(permissions=["catalog.view_plan"]))

        assert stranger.get(f"{PAGE}{invoice.pk}/pdf/").status_code == 403

    def test_of_many_is_one_archive(self, clock, plan):
        first, second, _third = order(plan, 3)
        viewer = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        answer = viewer.post(
            PAGE,
            {"action": "download_pdfs", "_selected_action": [str(first.pk), str(second.pk)]},
        )

        with ZipFile(BytesIO(b"".join(answer.streaming_content))) as archive:
            assert archive.namelist() == [f"{first.number}.pdf", f"{second.number}.pdf"]
            assert archive.read(f"{first.number}.pdf").startswith(b"%PDF-")

    def test_of_too_many_is_refused_with_a_sentence(self, clock, plan, monkeypatch):
        chosen = order(plan, 3)
        monkeypatch.setattr(invoices, "MOST_DOCUMENTS", 2)
        viewer = browser_of(StaffFactory(permissions=["billing.view_invoice"]))

        answer = viewer.post(
            PAGE,
            {"action": "download_pdfs", "_selected_action": [str(each.pk) for each in chosen]},
            follow=True,
        )

        assert "Download PDFs: at most 2 at once." in text_of(answer)


class TestEveryRun:
    @EVERY_STEP
    def test_is_neither_offered_nor_done_without_its_permission(self, clock, plan, name):
        invoice = invoice_for(name, plan)
        others = [permission for permission in STEPS.values() if permission != STEPS[name]]
        viewer = browser_of(StaffFactory(permissions=[*SEES, *others]))
        before = rows_of_billing()

        page = viewer.get(PAGE).content.decode()
        answers = [
            viewer.post(PAGE, choose(name, invoice)),
            viewer.get(run(name)),
            viewer.post(run(name), typed(name, invoice)),
            viewer.post(run(name), typed(name, invoice), headers=SCRIPT),
        ]

        assert choose(name)["action"] not in page
        assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
        assert rows_of_billing() == before
        assert mail.outbox == []

    @EVERY_STEP
    def test_is_refused_without_the_right_to_view_invoices(self, clock, plan, name):
        invoice = invoice_for(name, plan)
        blind = browser_of(StaffFactory(permissions=[STEPS[name]]))

        answer = blind.post(run(name), typed(name, invoice), headers=SCRIPT)

        assert answer.status_code == 403

    @EVERY_STEP
    def test_asks_first(self, clerk, plan, name):
        chosen = [invoice_for(name, plan) for _ in range(2)]
        visitor = browser_of(clerk)
        before = rows_of_billing()

        asked = visitor.post(PAGE, choose(name, *chosen))

        state = "Paid" if name == "refund" else "Pending"
        assert f"Chosen: 2 Status Invoices Total {state} 2 $58.00" in text_of(asked)
        assert rows_of_billing() == before

    @EVERY_STEP
    def test_is_done_to_each_and_keeps_who_and_why(self, clerk, plan, name):
        chosen = [invoice_for(name, plan) for _ in range(2)]

        answer = browser_of(clerk).post(run(name), typed(name, *chosen), headers=SCRIPT)

        assert answer.json() == {"done": 2, "failed": []}
        events = {
            "mark-paid": "payment.captured",
            "send": "invoice.sent",
            "refund": "invoice.refunded",
            "void": "invoice.voided",
        }
        why = {"mark-paid": "note", "send": None, "refund": "reason", "void": "reason"}[name]
        happened = [event.payload for event in Event.objects.filter(name=events[name])]
        by_staff = [payload for payload in happened if payload.get("by") == str(clerk.pk)]
        assert len(by_staff) == 2
        if why:
            assert [payload[why] for payload in by_staff] == ["As agreed", "As agreed"]
        else:
            notes = LogEntry.objects.values_list("change_message", flat=True)
            assert list(notes) == ["Sent again: As agreed", "Sent again: As agreed"]

    @EVERY_STEP
    def test_works_without_the_script_too(self, clerk, plan, name):
        chosen = [invoice_for(name, plan) for _ in range(2)]

        answer = browser_of(clerk).post(run(name), typed(name, *chosen))

        assert "2 done, 0 not done." in text_of(answer)

    @EVERY_STEP
    @pytest.mark.parametrize("ids", ["", "nonsense", "\x00", ",", "1" * 40])
    def test_of_ids_that_are_none_does_nothing(self, clerk, name, ids):
        sent = TYPED[name] | {"ids": ids, "reason": "Why"}
        visitor = browser_of(clerk)

        told = visitor.post(run(name), sent, headers=SCRIPT)

        assert told.status_code == 400
        assert list(told.json()["errors"]) == ["ids"]
        assert visitor.post(run(name), sent).status_code == 302

    def test_opened_by_its_address_alone_leads_to_the_list(self, clerk):
        answer = browser_of(clerk).get(run("void"), follow=True)

        assert "Void: choose them in the list first." in text_of(answer)

    def test_needs_the_token_of_its_page(self, clerk, plan):
        (invoice,) = order(plan)
        visitor = browser_of(clerk)
        visitor.handler.enforce_csrf_checks = True

        answer = visitor.post(run("void"), typed("void", invoice), headers=SCRIPT)

        assert answer.status_code == 403
        invoice.refresh_from_db()
        assert invoice.status == "pending"


class TestRun:
    def test_tells_one_by_one_what_was_refused_and_does_the_rest(self, clerk, plan):
        good, paid, late = order(plan, 3)
        pay(paid, now=NOW)
        unknown = uuid4()
        sent = typed("void", good, paid, late)
        sent["ids"] += f",{unknown}"

        answer = browser_of(clerk).post(run("void"), sent, headers=SCRIPT)

        assert answer.json() == {
            "done": 2,
            "failed": [
                {
                    "label": paid.number,
                    "address": page_of(paid),
                    "message": "An invoice that is paid cannot be voided.",
                },
                {"label": str(unknown), "address": "", "message": "There is no such row."},
            ],
        }
        statuses = Invoice.objects.order_by("id").values_list("status", flat=True)
        assert list(statuses) == ["cancelled", "paid", "cancelled"]

    def test_tells_it_without_the_script_too(self, clerk, plan):
        good, paid = order(plan, 2)
        pay(paid, now=NOW)

        answer = browser_of(clerk).post(run("void"), typed("void", good, paid))

        assert "1 done, 1 not done." in text_of(answer)
        assert f"{paid.number} An invoice that is paid cannot be voided." in text_of(answer)
        assert f'href="{page_of(paid)}"' in answer.content.decode()

    def test_of_the_same_part_again_does_nothing_more(self, clerk, plan):
        chosen = order(plan, 2)
        visitor = browser_of(clerk)
        visitor.post(run("mark-paid"), typed("mark-paid", *chosen), headers=SCRIPT)
        before = rows_of_billing()

        again = visitor.post(run("mark-paid"), typed("mark-paid", *chosen), headers=SCRIPT)

        assert again.json() == {"done": 2, "failed": []}
        assert rows_of_billing() == before

    def test_takes_an_id_once(self, clerk, plan):
        (invoice,) = order(plan)
        sent = typed("send", invoice)
        sent["ids"] += f",{invoice.pk}"

        answer = browser_of(clerk).post(run("send"), sent, headers=SCRIPT)

        assert answer.json() == {"done": 1, "failed": []}
        assert len(mail.outbox) == 1

    def test_without_a_reason_shows_the_form_again_with_what_was_typed(self, clerk, plan):
        (invoice,) = order(plan)
        sent = typed("mark-paid", invoice) | {"reason": ""}
        visitor = browser_of(clerk)

        told = visitor.post(run("mark-paid"), sent, headers=SCRIPT)
        shown = visitor.post(run("mark-paid"), sent)

        assert told.status_code == 400
        assert told.json() == {"errors": {"reason": ["This field is required."]}}
        assert "This field is required." in text_of(shown)
        assert f'value="TR-{invoice.number}"' in shown.content.decode()
        assert f'value="{invoice.pk}"' in shown.content.decode()
        assert not Payment.objects.exists()

    def test_of_all_that_were_found_goes_over_every_page(self, clerk, plan):
        first, *_others = order(plan, 51)
        visitor = browser_of(clerk)

        asked = visitor.post(f"{PAGE}?status__exact=pending", choose("void", first, across=True))

        assert "Chosen: 51" in text_of(asked)
        assert asked.content.decode().count(",") > 50

    def test_of_too_many_is_refused_with_a_sentence(self, clerk, plan, monkeypatch):
        chosen = order(plan, 3)
        monkeypatch.setattr(bulk_pages, "MOST", 2)
        visitor = browser_of(clerk)

        answer = visitor.post(run("void"), typed("void", *chosen), headers=SCRIPT)

        assert answer.json() == {"errors": {"ids": ["Too many at once."]}}

    def test_of_more_to_type_in_than_a_page_holds_is_refused_in_the_list(self, clerk, plan):
        assert invoice_bulks.MOST_TYPED == 200
        first, *_others = order(plan, 201)
        visitor = browser_of(clerk)

        answer = visitor.post(PAGE, choose("mark-paid", first, across=True), follow=True)

        assert "Mark paid: at most 200 at once." in text_of(answer)

    def test_leaves_what_has_no_reference_of_its_own(self, clerk, plan):
        first, second, third = order(plan, 3)
        sent = typed("mark-paid", first, second, third)
        sent[f"each-{second.pk}"] = " "
        sent[f"each-{third.pk}"] = "x" * 256

        answer = browser_of(clerk).post(run("mark-paid"), sent, headers=SCRIPT).json()

        assert answer["done"] == 1
        assert [(each["label"], each["message"][:21]) for each in answer["failed"]] == [
            (second.number, "Left as it is: it has"),
            (third.number, "Ensure this value has"),
        ]
        assert Payment.objects.get().reference == f"TR-{first.number}"

    def test_page_asks_as_many_queries_for_many_as_for_few(self, clerk, plan):
        few = order(plan)
        visitor = browser_of(clerk)
        visitor.post(PAGE, choose("mark-paid", *few))
        with CaptureQueriesContext(connection) as for_few:
            visitor.post(PAGE, choose("mark-paid", *few))
        many = order(plan, 6)

        with CaptureQueriesContext(connection) as for_many:
            visitor.post(PAGE, choose("mark-paid", *many))

        assert len(for_many) == len(for_few)


def test_an_unmatched_payment_is_left_alone_by_what_staff_do_to_its_invoice(clerk, plan):
    (invoice,) = order(plan)
    waiting = keep_unmatched(reference="bank-1", invoice_reference=str(invoice.pk), amount="28.00")

    browser_of(clerk).post(step(invoice, "void"), {"reason": "Ordered twice"})

    waiting.refresh_from_db()
    assert (waiting.status, waiting.received_at) == ("unmatched", NOW)
