"""What mails to customers say, in their language: from stored values to subject, text and HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_date
from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from accounts.models import Language
from catalog.money import Money
from config.errors import DomainError

# A person's name goes into a mail from us: nothing in it may become a link.
_NO_NAME = re.compile(r"[/:@\\<>\x00-\x1f\x7f]|\.\S")
LONGEST_NAME = 50


class _Locales(NamedTuple):
    money: str
    date: str


# American amounts ($29.00) and dates that nobody misreads (1 March 2026), as on the invoices.
_LOCALES = {
    Language.ENGLISH: _Locales("en_US", "en_GB"),
    Language.GERMAN: _Locales("de_DE", "de_DE"),
}


class LetterNotWritten(DomainError):
    """The template or what it is to say is broken: a person has to look."""

    code = "letter_not_written"
    http_status = 503


@dataclass(frozen=True, slots=True)
class Paragraph:
    """
    :param link: where it leads, if it does; the text is the words for it then
    """

    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str


def write(*, kind: str, language: str, context: Mapping[str, Any], name: str = "") -> Letter:
    """
    Write a mail of one kind in one language; a language that there is none in is English.

    A template ``billing/mail/<kind>.<language>.txt`` has the subject as its first line and then
    paragraphs with an empty line between them; text and HTML are both made of these, so that they
    say the same. A paragraph that ends in a link ("Pay now: https://…") is a button in HTML.

    :param context: as it is stored: amounts as ``{"amount": "29.00", "currency": "USD"}``,
        moments in ISO 8601 under names that end in ``_at``, and plain values
    :param name: the reader's first name, left out where it does not look like one
    :raises LetterNotWritten: if the template or a value is broken
    """
    language = language if language in Language.values else Language.ENGLISH
    values = {key: _shown(key, value, language) for key, value in context.items()}
    values |= {"name": _greetable(name), "seller": settings.BILLING_SELLER_NAME}
    values["link"] = link = _link(context.get("invoice_id"))
    try:
        source = render_to_string(f"billing/mail/{kind}.{language}.txt", values)
    except (TemplateDoesNotExist, TypeError, ValueError, LookupError) as failure:
        raise LetterNotWritten(f"The mail {kind} ({language}) could not be written.") from failure
    subject, *parts = [part.strip() for part in source.strip().split("\n\n") if part.strip()]
    paragraphs = [_paragraph(part, link) for part in parts]
    page = {"language": language, "subject": subject, "paragraphs": paragraphs}
    return Letter(
        # A header is one line, whatever is in the name of a plan or of the seller.
        subject=" ".join(subject.split()),
        text=render_to_string("billing/mail/base.txt", page),
        html=render_to_string("billing/mail/base.html", page),
    )


def day(moment: datetime, *, language: str) -> str:
    """The seller's day: 1 March 2026, 1. März 2026."""
    locale = _LOCALES[Language(language)].date
    return format_date(
        moment.astimezone(ZoneInfo(settings.BILLING_TIME_ZONE)), "long", locale=locale
    )


def stored(money: Money) -> dict[str, str]:
    """Money as a context has it."""
    return {"amount": str(money), "currency": money.currency}


def _shown(key: str, value: Any, language: str) -> Any:
    try:
        if isinstance(value, dict):
            money = Money.parse(value["amount"], value["currency"])
            return money.for_people(_LOCALES[Language(language)].money)
        if key.endswith("_at") and value:
            return day(datetime.fromisoformat(value), language=language)
    except (TypeError, ValueError, LookupError, DomainError) as failure:
        raise LetterNotWritten(f"{key} is nothing that can be shown.") from failure
    if isinstance(value, str):
        return " ".join(value.split())  # no lines, and so no paragraphs, of somebody else's
    return value


def _greetable(name: str) -> str:
    name = name.strip()
    return "" if len(name) > LONGEST_NAME or _NO_NAME.search(name) else name


def _link(invoice_id: str | None) -> str:
    """Where the customer pays this invoice, or sees to what they have."""
    address = settings.BILLING_CUSTOMER_URL
    if not address or not invoice_id:
        return address
    return f"{address}{'&' if '?' in address else '?'}invoice={invoice_id}"


def _paragraph(part: str, link: str) -> Paragraph:
    if link and part.endswith(link):
        return Paragraph(part.removesuffix(link).rstrip(": \n"), link)
    return Paragraph(part)
