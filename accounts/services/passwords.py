"""Passwords: how strong they are, and how they are replaced."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

from accounts.models import Session, User
from accounts.services import sessions
from config import background
from config.errors import DomainError


class WeakPassword(DomainError):
    code = "weak_password"

    def __init__(self, field: str, sentences: list[str]) -> None:
        super().__init__(f"{field}: {' '.join(sentences)}")
        self.fields = {field: sentences}


class WrongPassword(DomainError):
    code = "wrong_password"


class InvalidResetToken(DomainError):
    code = "invalid_reset_token"


def check_strength(*, password: str, user: User, field: str) -> None:
    """
    Ask the installed password validators.

    :param user: whose password it will be: it must not resemble their e-mail
    :param field: what the caller calls the password, for the refusal
    :raises WeakPassword: with every reason
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(field, list(error.messages)) from None


@transaction.atomic
def change(
    *, user: User, current_password: str, new_password: str, session: Session, now: datetime
) -> None:
    """
    Replace the password by its owner, who stays signed in here and nowhere else.

    The caller's session is kept: they have just proved that they know the password, and whoever
    changes it because somebody else does wants the others out, not themselves.

    :raises WrongPassword: if the current one is another
    :raises WeakPassword: if a password validator refuses the new one
    """
    locked = User.objects.lock(user.pk)
    if not locked.check_password(current_password):
        raise WrongPassword("current_password: This is not your current password.")
    check_strength(password=new_password, user=locked, field="new_password")
    _replace(locked, new_password)
    sessions.end_all(user=locked, now=now, but=session)


@transaction.atomic
def replace(*, user: User, new_password: str, now: datetime) -> User:
    """
    Set somebody's password without asking for the old one, and end every session: for staff.

    :raises WeakPassword: if a password validator refuses the new one
    """
    check_strength(password=new_password, user=user, field="new_password")
    _replace(user, new_password)
    sessions.end_all(user=user, now=now)
    return user


def forget(*, email: str) -> None:
    """
    Mail a link that sets a new password once, if there is an account with this e-mail.

    Says nothing either way, a mail server that fails included: nobody learns here who is a
    customer. Nor does the time tell: the letter is written for a stranger too, and nobody waits
    for its way.
    """
    email = User.objects.normalize_email(email)
    user = User.objects.filter(email=email).first()
    is_known = user is not None and user.is_active
    reader = user if user and is_known else User(email=email)
    transaction.on_commit(lambda: background.soon(lambda: _mail_link(reader, is_known=is_known)))


@transaction.atomic
def reset(*, token: str, new_password: str, now: datetime) -> None:
    """
    Set a new password by a mailed link, and end every session.

    The row is locked before the token is checked: of two that use it at once, the second one
    finds the password replaced, and with it the token used.

    :raises InvalidResetToken: if the token is used, old or none of ours
    :raises WeakPassword: if a password validator refuses the new one; the token stays good
    """
    refusal = InvalidResetToken("token: The link is not valid, or not any longer.")
    user_id, _, proof = token.partition("-")
    try:
        locked = User.objects.lock(UUID(hex=user_id))
    except (ValueError, User.DoesNotExist):
        raise refusal from None
    if not locked.is_active or not default_token_generator.check_token(locked, proof):
        raise refusal
    check_strength(password=new_password, user=locked, field="new_password")
    _replace(locked, new_password)
    sessions.end_all(user=locked, now=now)


def _replace(user: User, new_password: str) -> None:
    """Write the password, which locks the row: a sign-in waits for the end of the sessions."""
    user.set_password(new_password)
    user.save(update_fields=["password"])


def _mail_link(user: User, *, is_known: bool) -> None:
    token = f"{user.pk.hex}-{default_token_generator.make_token(user)}"
    context = {
        "email": user.email,
        "link": f"{settings.PASSWORD_RESET_URL}{token}",
        "minutes": settings.PASSWORD_RESET_TIMEOUT // 60,
    }
    mail = EmailMultiAlternatives(
        subject="Set a new password",
        body=render_to_string("accounts/password_reset.txt", context),
        to=[user.email],
    )
    mail.attach_alternative(render_to_string("accounts/password_reset.html", context), "text/html")
    if is_known:
        mail.send()
