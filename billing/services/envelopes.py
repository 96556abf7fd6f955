"""What is handed to the mail server, and what the server says to it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from smtplib import SMTPException
from types import TracebackType
from typing import Self
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from billing.models import Invoice, Mail
from billing.services import documents, letters
from billing.services.letters import LetterNotWritten
from config.errors import DomainError
from config.smtp import AnswerMissing

logger = logging.getLogger(__name__)

# The server's own words may name hosts and accounts of ours: they are for the log.
NO_ADDRESS = "this is not an e-mail address"
NOT_TAKEN = "the mail server did not take it"
UNREACHABLE = "the mail server could not be reached"
NO_ANSWER = "nobody knows whether it was sent: the mail server did not say"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a mail.

    :param failure: why it was not sent, or ""
    :param is_unknown: whether it may have been sent all the same
    :param is_unreachable: whether no other mail will fare better now
    """

    failure: str = ""
    is_unknown: bool = False
    is_unreachable: bool = False

    @property
    def is_sent(self) -> bool:
        return not self.failure


def pack(
    *, subject: str, text: str, html: str, to: str, invoice: Invoice | None = None
) -> EmailMultiAlternatives:
    """
    Make the message, in text and HTML; answers to it go to the seller.

    :param invoice: whose PDF is attached, as it stands now
    :raises DocumentNotPrinted: if there is no PDF now
    """
    seller = settings.BILLING_SELLER_EMAIL
    message = EmailMultiAlternatives(
        subject=subject, body=text, to=[to], reply_to=[seller] if seller else None
    )
    message.attach_alternative(html, "text/html")
    if invoice:
        message.attach(
            documents.file_name(invoice=invoice),
            documents.render(invoice=invoice),
            "application/pdf",
        )
    return message


class Delivery:
    """One connection to the mail server for many mails; ``with Delivery() as delivery:``."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend = get_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def deliver(self, mail: Mail) -> Outcome:
        """Write a mail of the outbox and hand it over."""
        try:
            message = _message(mail)
        except DomainError as refusal:
            logger.warning("The mail %s could not be written.", mail.pk, exc_info=refusal)
            return Outcome(refusal.message[:255])
        return self.hand_over(message)

    def hand_over(self, message: EmailMultiAlternatives) -> Outcome:
        try:
            validate_email(message.to[0])
        except ValidationError:
            return Outcome(NO_ADDRESS)
        try:
            self._connection.open()
        except (SMTPException, OSError) as error:
            logger.warning("%s", UNREACHABLE, exc_info=error)
            return Outcome(UNREACHABLE, is_unreachable=True)
        try:
            self._connection.send_messages([message])
        except AnswerMissing as error:
            logger.warning("The mail %s: no answer.", message.subject, exc_info=error)
            self._close()
            return Outcome(NO_ANSWER, is_unknown=True)
        except (SMTPException, OSError, ValueError) as error:
            # ValueError: an address that mail cannot carry (IDNA), found before anything is sent.
            logger.warning("The mail %s was not sent.", message.subject, exc_info=error)
            self._close()
            return Outcome(NOT_TAKEN)
        return Outcome()

    def _close(self) -> None:
        """What was taken stays taken, however the server says goodbye."""
        try:
            self._connection.close()
        except (SMTPException, OSError) as error:
            logger.info("The mail server did not close the connection well.", exc_info=error)


def _message(mail: Mail) -> EmailMultiAlternatives:
    details = getattr(mail.user, "billing_details", None)
    letter = letters.write(
        kind=mail.kind,
        language=mail.language,
        context=mail.context,
        name=details.first_name if details else "",
    )
    return pack(
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        to=mail.to,
        invoice=_attached(mail),
    )


def _attached(mail: Mail) -> Invoice | None:
    """Of a receipt, its invoice: as it stands when it is sent."""
    if mail.kind != Mail.Kind.RECEIPT:
        return None
    try:
        return Invoice.objects.get(pk=UUID(mail.context["invoice_id"]))
    except (LookupError, ValueError, Invoice.DoesNotExist) as failure:
        raise LetterNotWritten("The receipt names no invoice.") from failure
