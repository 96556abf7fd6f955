"""How an account comes to be."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.models import Language, User
from accounts.services import passwords, sessions
from accounts.services.sessions import Tokens
from config.errors import DomainError


class EmailTaken(DomainError):
    code = "email_taken"


def register(
    *, email: str, password: str, language: str = Language.ENGLISH, now: datetime
) -> Tokens:
    """
    Open an account, and sign its owner in.

    :param email: in any case; kept in lower case
    :param language: of the mails to them, one of ``Language``
    :raises EmailTaken: if there is an account with this e-mail, whatever its status
    :raises WeakPassword: if a password validator refuses the password
    """
    email = User.objects.normalize_email(email)
    refusal = EmailTaken("email: There is an account with this e-mail already.")
    if _is_taken(email):
        raise refusal
    passwords.check_strength(password=password, user=User(email=email), field="password")
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                email=email,
                password=password,
                language=language,
                created_at=now,
                last_login=now,
            )
            return sessions.open(user=user, now=now)
    except IntegrityError:
        if not _is_taken(email):
            raise
        raise refusal from None


def _is_taken(email: str) -> bool:
    return User.objects.filter(email=email).exists()
