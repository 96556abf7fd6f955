"""Forgetting a person: the account keeps its row and its id, and nothing that says who it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pghistory.models
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Q, QuerySet

from accounts.models import BillingDetails, Language, Session, User
from config.errors import DomainError

ERASED = "[erased]"
# RFC 2606: a mail to it goes nowhere, and nobody can register it.
DOMAIN = "erased.invalid"
SHORTEST_WORD = 3  # shorter ones are parts of other words
WORDS = ("first_name", "last_name", "company", "vat_id", "phone", "address_line_1") + (
    "address_line_2",
)

Words = re.Pattern[str]


class AccountErased(DomainError):
    """A call of somebody who was forgotten while it was on its way: as if it had come later."""

    code = "account_erased"
    http_status = 401


def placeholder(*, user: User) -> str:
    """What stands in place of the e-mail: unique, and no address."""
    return f"erased-{user.pk.hex}@{DOMAIN}"


def words_of(*, user: User) -> Words:
    """
    All that the person is and was called, as it may stand in a text somebody typed.

    A name counts as a whole word only: who forgets "Ann" must not change "annual".
    """
    emails = {user.email, *_history(User, user).values_list("email", flat=True)}
    names: set[str] = set()
    known = [*BillingDetails.objects.filter(user=user), *_history(BillingDetails, user)]
    for details in known:
        names |= {getattr(details, name).strip() for name in WORDS}
    found = emails | {name for name in names if len(name) >= SHORTEST_WORD}
    found |= {json.dumps(word)[1:-1] for word in found}  # as it stands in a text that is JSON
    longest_first = sorted(found, key=len, reverse=True)
    return re.compile(
        r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)", re.IGNORECASE
    )


def redact(value: Any, *, words: Words) -> Any:
    """Return the text, or what JSON is made of, without these words."""
    if isinstance(value, str):
        return words.sub(ERASED, value)
    if isinstance(value, list):
        return [redact(part, words=words) for part in value]
    if isinstance(value, dict):
        return {name: redact(part, words=words) for name, part in value.items()}
    return value


def redact_rows(*, rows: QuerySet[Any], fields: Iterable[str], words: Words) -> None:
    """Take the words out of these columns, and write only the rows that had any."""
    fields = list(fields)
    for row in rows.iterator(chunk_size=500):
        before = [getattr(row, name) for name in fields]
        after = [redact(value, words=words) for value in before]
        if after == before:
            continue
        for name, value in zip(fields, after, strict=True):
            setattr(row, name, value)
        row.save(update_fields=fields)


@transaction.atomic
def forget(*, user: User, words: Words, now: datetime) -> None:
    """
    Empty the account, and take the person out of all that was kept beside it.

    For a caller that holds the user's row, and whose ``history.noted`` says who and why.
    """
    BillingDetails.objects.filter(user=user).delete()
    Session.objects.filter(user=user).delete()
    user.email = placeholder(user=user)
    user.status = User.Status.DELETED
    user.language = Language.ENGLISH
    user.last_login = None
    user.erased_at = now
    user.set_unusable_password()
    user.save()
    # The triggers have just written down what was erased: so the history comes last.
    _history(BillingDetails, user).delete()
    _history(User, user).update(email=user.email, language=Language.ENGLISH)
    _forget_log_ins(words)
    _forget_staff_log(user, words)


def redact_reasons(*, contexts: Iterable[Any], words: Words) -> None:
    """Take the words out of what staff typed as the reasons of these changes."""
    redact_rows(
        rows=pghistory.models.Context.objects.filter(pk__in=contexts),
        fields=["metadata"],
        words=words,
    )


def _forget_log_ins(words: Words) -> None:
    for model in (AccessAttempt, AccessFailureLog, AccessLog):
        # The pattern's language is Python's: the few rows there are, are compared here.
        found = [
            pk
            for pk, username in model.objects.values_list("pk", "username")
            if username and words.search(username)
        ]
        model.objects.filter(pk__in=found).delete()


def _forget_staff_log(user: User, words: Words) -> None:
    """The admin's log names rows in words: the customer's, and their mails and sessions."""
    own = ContentType.objects.get_for_models(User, BillingDetails).values()
    LogEntry.objects.filter(content_type__in=own, object_id=str(user.pk)).update(
        object_repr=user.email
    )
    redact_rows(
        rows=LogEntry.objects.filter(~Q(object_repr="") | ~Q(change_message="")),
        fields=["object_repr", "change_message"],
        words=words,
    )


def _history(model: type[models.Model], user: User) -> QuerySet[Any]:
    return model.history.rel.related_model.objects.filter(pgh_obj=user.pk)  # type: ignore[attr-defined]
