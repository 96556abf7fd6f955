"""What stands on an invoice, as its template reads it: texts, each with its direction."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_symbol
from django.conf import settings
from segno import helpers

from billing.models import Invoice, InvoiceLineItem, Payment
from billing.services.documents.lettering import MISSING, is_right_to_left, printable
from catalog.money import Money

Status = Invoice.Status
Text = dict[str, Any]

# What a bank's app reads from the code, by the European Payments Council's guidelines (EPC069-12).
_CODE_MAXIMUM = Decimal("999999999.99")
_CODE_NAME_LENGTH = 70

_STATES = {
    Status.PENDING: ("Payment due", "open"),
    Status.FAILED: ("Payment due", "open"),
    Status.PAID: ("Paid", "good"),
    Status.REFUNDED: ("Refunded", "calm"),
    Status.CANCELLED: ("Void", "bad"),
}


def contents(*, invoice: Invoice) -> dict[str, Any]:
    """
    Everything that is printed. It follows from the stored rows and the settings alone, and not
    from the clock, so that the same invoice is the same document whenever it is asked for.
    """
    label, tone = _STATES[Status(invoice.status)]
    return {
        "title": f"Invoice {printable(invoice.number)}",
        "number": _text(invoice.number),
        "void": invoice.status == Status.CANCELLED,
        "state": {"label": label, "tone": tone},
        "logo": f"/{Path(settings.BILLING_SELLER_LOGO).name}"
        if settings.BILLING_SELLER_LOGO
        else None,
        "seller": _seller(),
        "buyer": _buyer(invoice),
        "dates": _dates(invoice),
        "lines": [_line(line, invoice.currency) for line in invoice.line_items.all()],
        "currency": invoice.currency,
        "subtotal": _money(invoice.subtotal, invoice.currency),
        "tax": _money(invoice.tax_amount, invoice.currency),
        "total": _money(invoice.total_amount, invoice.currency),
        "payment": _payment(invoice),
    }


def _text(value: Any) -> Text:
    shown = printable(str(value))
    return {"text": shown, "rtl": is_right_to_left(shown)}


def _texts(*values: Any) -> list[Text]:
    """Of those that say anything."""
    return [_text(value) for value in values if str(value or "").strip()]


def _money(amount: Decimal, currency: str) -> str:
    shown = Money(amount, currency).for_people()
    if MISSING not in printable(shown):
        return shown
    # The sign of the Philippine peso is in none of the fonts.
    sign = get_currency_symbol(currency, locale="en_US")
    return shown.replace(sign, f"{currency}\N{NO-BREAK SPACE}")


def day_for_people(moment: datetime) -> str:
    """The seller's day: 1 March 2026."""
    day = moment.astimezone(ZoneInfo(settings.BILLING_TIME_ZONE))
    return format_date(day, "d MMMM y", locale="en")


def _dates(invoice: Invoice) -> list[tuple[str, str]]:
    moments = {
        "Issued": invoice.invoiced_at,
        "Due": invoice.expires_at if invoice.is_payable else None,
        "Paid": invoice.paid_at,
        "Refunded": _refunded_at(invoice),
        "Cancelled": invoice.cancelled_at,
    }
    return [(name, day_for_people(moment)) for name, moment in moments.items() if moment]


# --- Who ---


def _seller() -> dict[str, Any]:
    tax_id = settings.BILLING_SELLER_TAX_ID and f"Tax ID {settings.BILLING_SELLER_TAX_ID}"
    name, email = settings.BILLING_SELLER_NAME, settings.BILLING_SELLER_EMAIL
    return {
        "name": _text(name),
        "lines": _texts(*settings.BILLING_SELLER_ADDRESS, email, tax_id),
        "footer": _text(" · ".join(part for part in (name, email, tax_id) if part)),
    }


def _buyer(invoice: Invoice) -> dict[str, Any]:
    buyer = {name: str(value or "") for name, value in invoice.buyer.items()}
    email = buyer.get("email", "")
    person = f"{buyer.get('first_name', '')} {buyer.get('last_name', '')}".strip()
    names = [name for name in (buyer.get("company", ""), person, email) if name.strip()]
    vat_id = buyer.get("vat_id", "")
    return {
        "name": _text(names[0] if names else "—"),
        "lines": _texts(
            person if names and names[0] != person else "",
            buyer.get("address_line_1"),
            buyer.get("address_line_2"),
            f"{buyer.get('postal_code', '')} {buyer.get('city', '')}",
            _country(buyer.get("country", "")),
            vat_id and f"VAT ID {vat_id}",
            email if names and names[0] != email else "",
        ),
    }


@cache
def _country(code: str) -> str:
    return str(Locale("en").territories.get(code, code))


# --- What for ---


def _line(line: InvoiceLineItem, currency: str) -> dict[str, Any]:
    return {
        "description": _text(line.description),
        "quantity": format_decimal(line.quantity, locale="en"),
        "unit_price": _money(line.unit_price, currency),
        "amount": _money(line.amount, currency),
    }


# --- How it stands ---


def _payment(invoice: Invoice) -> dict[str, Any]:
    match Status(invoice.status):
        case Status.PAID:
            return _block(f"Paid{_on(invoice.paid_at)}{_by(invoice)}", rows=_reference(invoice))
        case Status.REFUNDED:
            refund = _refund(invoice)
            return _block(
                f"Refunded{_on(_refunded_at(invoice))}",
                f"It was paid{_on(invoice.paid_at)}{_by(invoice)}, and the whole amount was "
                "paid back.",
                rows=_reference(invoice)
                + _rows(("Reference of the refund", refund.refund_reference if refund else "")),
            )
        case Status.CANCELLED:
            return _block(
                f"Void: cancelled{_on(invoice.cancelled_at)}",
                "Nothing is to be paid. The invoice is kept for its number.",
            )
        case _:
            return _how_to_pay(invoice)


def _block(heading: str, *sentences: str, rows: list[Any] | None = None) -> dict[str, Any]:
    return {
        "heading": _text(heading),
        "sentences": [_text(sentence) for sentence in sentences],
        "rows": rows or [],
        "code": None,
    }


def _rows(*rows: tuple[str, str]) -> list[tuple[str, Text]]:
    return [(name, _text(value)) for name, value in rows if value]


def _on(moment: datetime | None) -> str:
    return f" on {day_for_people(moment)}" if moment else ""


def _by(invoice: Invoice) -> str:
    if not invoice.total_amount:
        return ": the total is zero"
    method = invoice.payment_method.replace("_", " ")
    return f" by {method}" if method else ""


def _reference(invoice: Invoice) -> list[tuple[str, Text]]:
    return _rows(("Reference of the payment", invoice.payment_ref))


def _refund(invoice: Invoice) -> Payment | None:
    refunds = [row for row in invoice.payments.all() if row.status == Payment.Status.REFUNDED]
    return max(refunds, key=lambda row: (row.refunded_at, row.pk), default=None)


def _refunded_at(invoice: Invoice) -> datetime | None:
    refund = _refund(invoice) if invoice.status == Status.REFUNDED else None
    return refund.refunded_at if refund else None


def _how_to_pay(invoice: Invoice) -> dict[str, Any]:
    by = f" by {day_for_people(invoice.expires_at)}" if invoice.expires_at else ""
    heading = f"Please pay {_money(invoice.total_amount, invoice.currency)}{by}"
    if not settings.BILLING_SELLER_IBAN:
        sentence = f"You can pay in your account. The reference is {invoice.number}."
        return _block(heading, sentence)
    iban = settings.BILLING_SELLER_IBAN
    block = _block(
        heading,
        "By bank transfer, with the number of the invoice as the reference:",
        rows=_rows(
            ("To", settings.BILLING_SELLER_NAME),
            ("IBAN", " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))),
            ("BIC", settings.BILLING_SELLER_BIC),
            ("Reference", invoice.number),
        ),
    )
    return block | {"code": _code(invoice)}


def _code(invoice: Invoice) -> str | None:
    """A picture (SVG) that fills in a SEPA transfer; there is one for euros only."""
    if invoice.currency != "EUR" or not 0 < invoice.total_amount <= _CODE_MAXIMUM:
        return None
    code = helpers.make_epc_qr(
        name=settings.BILLING_SELLER_NAME[:_CODE_NAME_LENGTH],
        iban=settings.BILLING_SELLER_IBAN,
        amount=invoice.total_amount,
        text=invoice.number,
        bic=settings.BILLING_SELLER_BIC or None,
    )
    picture = BytesIO()
    code.save(picture, kind="svg", border=0, xmldecl=False, dark="#16202e")
    return picture.getvalue().decode()
