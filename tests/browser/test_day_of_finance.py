"""A day of the accountant: what came in, what is owed no more, what goes back, and the month."""

from __future__ import annotations

import csv
import io
import re
import zipfile

import pytest
from django.core import mail
from openpyxl import load_workbook
from playwright.sync_api import Locator, Page, expect

from billing.demo import people
from billing.models import Invoice, Payment, Subscription

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("demo", "books_are_clean"),
]

FINANCE = f"finance@{people.DOMAIN}"


def test_day_of_finance(visitor):
    page = visitor.page
    visitor.open("/admin/")
    visitor.look("sign-in")
    visitor.sign_in(FINANCE, people.PASSWORD)
    expect(page.get_by_role("heading", name="Payments to resolve")).to_be_visible()
    visitor.look("finance-dashboard")

    marks_paid(visitor)
    voids(visitor)
    refunds(visitor)
    sends_many(visitor)
    downloads(visitor)
    assigns(visitor)
    closes_the_month(visitor)


def marks_paid(visitor) -> None:
    """Found by its number; a form that was filled in badly says so, and loses nothing."""
    page = visitor.page
    invoice = owed("JPY")
    page.get_by_role("link", name="Invoices").first.click()
    visitor.look("finance-invoices")
    search(page, invoice.number)
    expect(page.get_by_role("heading", name="Sums of all 1 invoice that was found")).to_be_visible()
    page.get_by_role("link", name=invoice.number).click()
    visitor.look("finance-invoice-owed")

    visitor.go_to(page.get_by_role("link", name="Mark paid"))
    page.keyboard.press("Enter")
    reference = page.get_by_label("Reference")
    expect(reference).to_be_focused()
    page.get_by_label("Method").select_option("bank_transfer")
    page.get_by_label("Received on").fill("2099-12-31")
    page.get_by_role("button", name="Mark paid").click()
    expect(page.get_by_text("This day is still to come.")).to_be_visible()
    expect(page.get_by_text("This field is required.")).to_have_count(2)
    visitor.look("finance-mark-paid-faults")
    invoice.refresh_from_db()
    assert invoice.status == "pending"

    reference.fill("statement-7-line-3")
    page.get_by_label("Received on").fill(f"{invoice.invoiced_at:%Y-%m-%d}")
    page.get_by_label("Reason").fill("On the statement of account")
    visitor.go_to(page.get_by_role("button", name="Mark paid"))
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Invoice {invoice.number} is paid.")).to_be_visible()
    visitor.look("finance-invoice-paid")
    payment = Payment.objects.get(reference="statement-7-line-3")
    assert (payment.invoice, payment.provider, payment.method) == (
        invoice,
        "manual",
        "bank_transfer",
    )

    change = page.get_by_role("row").filter(has_text="On the statement of account")
    expect(change.first).to_contain_text(FINANCE)


def voids(visitor) -> None:
    page = visitor.page
    invoice = owed("EUR")
    visitor.open("/admin/billing/invoice/")
    search(page, invoice.user.email)
    page.get_by_role("link", name=invoice.number).click()
    page.get_by_role("link", name="Void").click()
    page.get_by_label("Reason").fill("Ordered twice")
    visitor.look("finance-void")
    page.get_by_role("button", name="Void").click()

    expect(page.get_by_text(f"Invoice {invoice.number} is void.")).to_be_visible()
    expect(page.get_by_role("link", name="Mark paid")).to_have_count(0)
    visitor.look("finance-invoice-void")
    invoice.refresh_from_db()
    assert invoice.status == "cancelled"


def refunds(visitor) -> None:
    page = visitor.page
    subscription = Subscription.objects.get(user__email=people.ANNA.email, status="active")
    invoice = subscription.invoices.filter(status="paid").latest("pk")
    visitor.open("/admin/billing/invoice/")
    search(page, people.ANNA.details["company"])
    page.get_by_role("link", name=invoice.number).click()
    page.get_by_role("link", name="Refund").click()
    page.get_by_label("Reference").fill("transfer-back-1")
    page.get_by_label("Reason").fill("Within the 14 days")
    visitor.look("finance-refund")
    page.get_by_role("button", name="Refund").click()

    expect(page.get_by_text(f"Invoice {invoice.number} is refunded.")).to_be_visible()
    visitor.look("finance-invoice-refunded")
    subscription.refresh_from_db()
    assert subscription.status == "cancelled"


def sends_many(visitor) -> None:
    """All that a search found, with progress."""
    page = visitor.page
    count = Invoice.objects.filter(user__email=people.CAROL.email).count()
    visitor.open("/admin/billing/invoice/")
    search(page, "carol.jones")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Send again")
    visitor.look("finance-invoices-chosen")
    page.get_by_role("button", name="Run").click()
    page.get_by_label("Reason").fill("She lost them")
    visitor.look("finance-send-many")
    page.get_by_role("button", name=f"Send again: {count}").click()

    said = page.get_by_role("status").filter(has_text="Finished")
    expect(said).to_have_text(f"Finished: {count} done, 0 not done.")
    visitor.look("finance-sent-many")
    assert [letter.to for letter in mail.outbox] == [[people.CAROL.email]] * count


def downloads(visitor) -> None:
    """The PDF of one, and of many in one file."""
    page = visitor.page
    numbers = Invoice.objects.filter(user__email=people.CAROL.email).values_list(
        "number", flat=True
    )
    visitor.open("/admin/billing/invoice/")
    search(page, "carol.jones")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Download PDFs")
    name, archive = visitor.download(page.get_by_role("button", name="Run"))
    assert name == f"invoices-{len(numbers)}.zip"
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert len(files.namelist()) == len(numbers)

    page.get_by_role("link", name=numbers.first()).click()
    name, document = visitor.download(page.get_by_role("link", name="PDF"))
    assert numbers.first() in name
    assert document.startswith(b"%PDF-")


def assigns(visitor) -> None:
    page = visitor.page
    payment = Payment.objects.get(reference="transfer-too-late")
    invoice = Invoice.objects.get(
        status="pending", total_amount=payment.amount, currency=payment.currency
    )
    page.get_by_role("link", name="To resolve").click()
    visitor.look("finance-to-resolve")
    page.get_by_role("link", name="transfer-too-late").click()
    visitor.look("finance-payment")
    page.get_by_role("link", name="Assign to an invoice").click()
    page.get_by_label("Reason").fill("The payer confirmed it on the telephone")
    page.get_by_role("button", name="Assign to an invoice").click()
    expect(page.get_by_text("Say which invoice it paid.")).to_be_visible()
    page.get_by_label(invoice.number).check()
    visitor.look("finance-assign")
    page.get_by_role("button", name="Assign to an invoice").click()

    expect(page.get_by_text(f"paid invoice {invoice.number}.")).to_be_visible()
    visitor.look("finance-payment-assigned")
    payment.refresh_from_db()
    assert payment.invoice == invoice


def closes_the_month(visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="Month report").click()
    visitor.go_to(page.get_by_role("link", name="Month before"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("month="))
    visitor.look("finance-month")

    def issued(kind: str) -> Locator:
        return page.get_by_role("row", name="Invoices that were issued").get_by_text(kind).first

    name, text = visitor.download(issued("CSV"))
    assert name.endswith(".csv")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))
    name, book = visitor.download(issued("XLSX"))
    assert name.endswith(".xlsx")
    sheet = load_workbook(io.BytesIO(book), read_only=True).worksheets[0]
    assert len(list(sheet.rows)) == len(rows) > 1


def owed(currency: str) -> Invoice:
    return Invoice.objects.get(status="pending", currency=currency)


def search(page: Page, text: str) -> None:
    page.locator("#searchbar").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("[?&]q="))
