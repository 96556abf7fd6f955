"""
Where people are signed in.

A session is one sign-in of one client. Its tokens are signed statements about it, and the row
decides: an access token is as dead as its session, and of the refresh tokens only the one whose
``jti`` the row holds is good. See docs/adr/0007-sessions.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.models import BillingDetails, Session, User
from config.errors import DomainError
from config.prepared import Prepared

AnyToken = TypeVar("AnyToken", bound=Token)
AnyModel = TypeVar("AnyModel", bound=Model)


class WrongCredentials(DomainError):
    code = "wrong_credentials"
    http_status = 401


class InvalidAccessToken(DomainError):
    code = "invalid_access_token"
    http_status = 401


class InvalidRefreshToken(DomainError):
    code = "invalid_refresh_token"
    http_status = 401


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client holds of its session: ``access`` for minutes, ``refresh`` for days."""

    access: str
    refresh: str
    user_id: UUID


@transaction.atomic
def sign_in(*, user: User | None, password: str, now: datetime) -> Tokens:
    """
    Open a session for whom ``authenticate()`` has just let in.

    The row is locked and looked at again: a password that was replaced or an account that was
    suspended since then has had all its sessions ended, and must not get one more.

    :param user: None where ``authenticate()`` found nobody
    :param password: the one that was checked
    :raises WrongCredentials: without a word about what is wrong
    """
    refusal = WrongCredentials("The e-mail or the password is wrong.")
    if user is None:
        raise refusal
    locked = User.objects.lock(user.pk)
    # A hash can change without the password: another sign-in upgrades it to a better method.
    has_password = locked.password == user.password or locked.check_password(password)
    if not (locked.is_active and has_password):
        raise refusal
    locked.last_login = now
    locked.save(update_fields=["last_login"])
    return open(user=locked, now=now)


def open(*, user: User, now: datetime) -> Tokens:  # noqa: A001 - read as sessions.open()
    """Open a session, without asking whether the user may have one: ``sign_in`` does."""
    session = Session(user=user, created_at=now, expires_at=now + RefreshToken.lifetime)
    refresh = _token(RefreshToken, session=session, now=now)
    session.token_id = UUID(refresh["jti"])
    session.save(force_insert=True)
    return _tokens(refresh, session=session, now=now)


def rotate(*, refresh_token: str, now: datetime) -> Tokens:
    """
    Take a refresh token for a new pair; the session lives on from ``now``.

    A token that was used before is in two hands, and nobody can tell which are the customer's:
    the whole session ends (RFC 9700, section 4.14.2). One guarded UPDATE decides, so of several
    that use the same token at once exactly one gets through.

    Not for use inside a transaction: the end of the session must stay when this raises.

    :raises InvalidRefreshToken: for every reason alike
    """
    refusal = InvalidRefreshToken("refresh_token: It is not valid, or not any longer.")
    try:
        session_id, token_id = _claims(RefreshToken, refresh_token)
    except TokenError:
        raise refusal from None
    session = Session.objects.select_related("user").filter(pk=session_id).first()
    if session is None:
        raise refusal
    fresh = _token(RefreshToken, session=session, now=now)
    good = Session.objects.filter(
        pk=session_id, token_id=token_id, ended_at=None, expires_at__gt=now
    )
    if not session.user.is_active or not good.update(
        token_id=UUID(fresh["jti"]), expires_at=now + RefreshToken.lifetime
    ):
        _end(session_id, now)
        raise refusal
    return _tokens(fresh, session=session, now=now)


def end(*, refresh_token: str, now: datetime) -> None:
    """
    End the session that the token belongs to; one that is over already stays as it is.

    Any refresh token of the session will do, a used or expired one too.

    :raises InvalidRefreshToken: if it is no refresh token of ours
    """
    try:
        session_id, _ = _claims(RefreshToken, refresh_token)
    except ExpiredTokenError:
        return  # no session outlives its tokens
    except TokenError:
        raise InvalidRefreshToken("refresh_token: It is not valid.") from None
    _end(session_id, now)


def end_all(*, user: User, now: datetime, but: Session | None = None) -> None:
    """
    End every session of the user, but for one.

    The caller holds the lock on the user's row, or a sign-in may slip in behind.
    """
    live = Session.objects.filter(user=user, ended_at=None)
    if but is not None:
        live = live.exclude(pk=but.pk)
    live.update(ended_at=now)


def find_live(*, access_token: str, now: datetime) -> Session:
    """
    Return the session that an access token speaks for, with its user and their billing details.

    One statement: every call of the API that needs a sign-in passes here.

    :raises InvalidAccessToken: for every reason alike
    """
    refusal = InvalidAccessToken("The access token is not valid, or not any longer.")
    try:
        session_id, _ = _claims(AccessToken, access_token)
    except TokenError:
        raise refusal from None
    session = _read_live(session_id, now)
    if session is None or not session.user.is_active:
        raise refusal
    return session


@cache
def _live_statement() -> Prepared:
    """What ``select_related`` gives, built once: every call of the API begins with it."""
    parts = (("session", Session), ("person", User), ("details", BillingDetails))
    columns = ", ".join(
        f'{alias}."{field.column}"'
        for alias, model in parts
        for field in model._meta.concrete_fields
    )
    sql = f"""
        SELECT {columns} FROM accounts_session session
          JOIN accounts_user person ON person.id = session.user_id
          LEFT JOIN accounts_billingdetails details ON details.user_id = person.id
         WHERE session.id = %(id)s AND session.ended_at IS NULL AND session.expires_at > %(now)s
    """  # noqa: S608 - names of columns
    return Prepared("live_session", sql, id="uuid", now="timestamptz")


def _read_live(session_id: UUID, now: datetime) -> Session | None:
    with connection.cursor() as cursor:
        _live_statement().execute(cursor, id=session_id, now=now)
        row = cursor.fetchone()
    if row is None:
        return None
    values = iter(row)
    session = _next_row(Session, values)
    session.user = _next_row(User, values)
    details = _next_row(BillingDetails, values)
    # As select_related leaves it: that there are none is known, too.
    User.billing_details.related.set_cached_value(session.user, details if details.pk else None)
    return session


def _next_row(model: type[AnyModel], values: Iterator[Any]) -> AnyModel:
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, names, [next(values) for _ in names])


def _end(session_id: UUID, now: datetime) -> None:
    Session.objects.filter(pk=session_id, ended_at=None).update(ended_at=now)


def _tokens(refresh: RefreshToken, *, session: Session, now: datetime) -> Tokens:
    access = _token(AccessToken, session=session, now=now)
    return Tokens(access=str(access), refresh=str(refresh), user_id=session.user_id)


def _token(kind: type[AnyToken], *, session: Session, now: datetime) -> AnyToken:
    token = kind()
    token["sid"] = str(session.pk)
    token["sub"] = str(session.user_id)
    token.set_exp(from_time=now)
    # A server whose clock is a second behind would refuse a token that is "from the future".
    del token["iat"]
    return token


def _claims(kind: type[Token], encoded: str) -> tuple[UUID, UUID]:
    """
    Check the signature, the kind and the age of a token, and return its session and its own id.

    :raises ExpiredTokenError: if it is ours, but too old
    :raises TokenError: if it is anything else
    """
    try:
        token = _decoded(kind, encoded)
        return UUID(token["sid"]), UUID(token["jti"])
    except (KeyError, ValueError, AttributeError) as error:
        raise TokenError("The token does not say what ours say.") from error


def _decoded(kind: type[Token], encoded: str) -> Token:
    """
    Check a token with our key, and with those that were replaced: nobody is signed out by that.

    :raises TokenError: of the present key, where none of them signed it
    """
    try:
        return kind(encoded)  # type: ignore[arg-type]  # it takes the encoded one
    except ExpiredTokenError:
        raise
    except TokenError as refusal:
        for key in settings.SECRET_KEY_FALLBACKS:
            try:
                return _signed_with(key, kind)(encoded)  # type: ignore[arg-type]
            except ExpiredTokenError:
                raise
            except TokenError:
                continue
        raise refusal


@cache
def _signed_with(key: str, kind: type[Token]) -> type[Token]:
    """A token of this kind that was signed with this key: the library knows of one key alone."""
    backend = TokenBackend(str(settings.SIMPLE_JWT["ALGORITHM"]), key)
    return type(kind.__name__, (kind,), {"_token_backend": backend})
