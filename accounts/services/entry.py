"""Signing in to the API: the password, and for staff the second factor."""

from __future__ import annotations

from datetime import datetime

from accounts.models import User
from accounts.services import second_factor, sessions
from accounts.services.sessions import Tokens


def enter(*, user: User | None, password: str, code: str, now: datetime) -> Tokens:
    """
    Open a session for whom ``authenticate()`` has just let in.

    Not for use inside a transaction: that a wrong code was tried is to be remembered.

    :param user: None where ``authenticate()`` found nobody
    :param password: the one that was checked
    :param code: of the phone or a recovery code; looked at where somebody of staff has them
    :raises WrongCredentials: without a word about what is wrong
    :raises SecondFactorRequired: if only the code is missing
    :raises WrongCode: if it is wrong
    :raises TooManyCodes: if it has to wait
    """
    if user is not None and user.is_staff and second_factor.is_set_up(user=user):
        second_factor.ask(user=user, code=code)
    return sessions.sign_in(user=user, password=password, now=now)
