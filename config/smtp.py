"""Mail by SMTP that tells a mail which was not taken from one of which nobody knows."""

from __future__ import annotations

import smtplib
from typing import Any

from django.core.mail.backends import smtp


class AnswerMissing(smtplib.SMTPException):
    """The whole mail was handed over, and whether the server took it was not heard any more."""


class _HearsAnswers(smtplib.SMTP):
    def data(self, msg: Any) -> tuple[int, bytes]:
        """
        Hand the mail over (RFC 5321, 4.1.1.4).

        A line that breaks from here on leaves open who has the mail (RFC 5321, 4.5.3.2.6): sending
        it again could be sending it twice.
        """
        try:
            return super().data(msg)
        except smtplib.SMTPDataError:
            raise
        except (smtplib.SMTPServerDisconnected, OSError) as failure:
            raise AnswerMissing("The mail server did not say whether it took the mail.") from (
                failure
            )


class _HearsAnswersOverTls(_HearsAnswers, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    """
    Django's own, but for ``AnswerMissing``.

    Any other error means that the mail was not taken.
    """

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _HearsAnswersOverTls if self.use_ssl else _HearsAnswers
