"""The outbox: mails are put with what they tell of, and sent after it, each once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from billing.models import Event, Mail, TestClock
from billing.services import events
from billing.services.envelopes import Delivery, Outcome
from config.errors import DomainError

# After the first attempt, the second, …; after the last of them a person has to look.
WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
# What is still being sent after this was left by a process that died. Longer than any server takes.
LONGEST_SENDING = timedelta(minutes=10)
UNKNOWN = "Nobody knows whether it was sent: the sender was interrupted."


class MailNotParked(DomainError):
    code = "mail_not_parked"


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A mail to be put.

    :param reference: what it tells of; there is one mail of a kind and a reference
    :param context: what the templates of its kind are filled with; see ``letters.write``
    """

    kind: str
    user: User
    reference: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """
    :param parked: left for a person
    :param failed: to be tried again
    """

    sent: int = 0
    parked: int = 0
    failed: int = 0


def put(
    *, kind: str, user: User, reference: str, context: Mapping[str, Any], now: datetime
) -> None:
    """
    Put a mail into the outbox, in the caller's transaction. A second one of the same kind and
    reference is the same mail.
    """
    put_all(drafts=[Draft(kind, user, reference, context)], now=now)


def put_all(*, drafts: Iterable[Draft], now: datetime) -> None:
    """``put``, in one statement for all of them."""
    Mail.objects.bulk_create(
        [
            Mail(
                user=draft.user,
                kind=draft.kind,
                reference=draft.reference,
                to=draft.user.email,
                language=draft.user.language,
                context=dict(draft.context),
                next_attempt_at=now,
                created_at=now,
            )
            for draft in drafts
        ],
        ignore_conflicts=True,
    )


def due(*, now: datetime, user: User | None = None) -> QuerySet[Mail]:
    """
    What is to be sent now.

    :param user: only theirs; without one, nothing of those who have a test clock
    """
    return _of(user).filter(status=Mail.Status.WAITING, next_attempt_at__lte=now)


def send_due(
    *,
    now: datetime,
    limit: int,
    user: User | None = None,
    must_stop: Callable[[], bool] = lambda: False,
) -> Sent:
    """
    Send what is due, the longest due first; what another sender has taken is left to it.

    Each mail is committed as ``sending`` before the mail server hears of it, and what became of it
    after: where the process dies between the two, nobody knows, and a person decides. Not to be
    called inside a transaction. It stops early where the mail server cannot be reached: what was
    not tried yet waits, and loses none of its attempts.

    :param limit: how many at most
    :param user: as for ``due``
    :param must_stop: asked before each mail
    """
    clock = _Clock(now)
    sent = failed = 0
    parked = _park_lost(now=now, user=user)
    with Delivery() as delivery:
        for _ in range(limit):
            if must_stop():
                break
            mail = _claim(now=clock.now(), due=due(now=now, user=user))
            if mail is None:
                break
            outcome = delivery.deliver(mail)
            status = _record(mail, outcome, now=clock.now())
            sent += status == Mail.Status.SENT
            parked += status == Mail.Status.PARKED
            failed += status == Mail.Status.WAITING
            if outcome.is_unreachable:
                break
    return Sent(sent=sent, parked=parked, failed=failed)


@transaction.atomic
def retry(*, mail: Mail, by: User, reason: str = "", now: datetime) -> Mail:
    """
    Send a parked mail again, whatever became of it before.

    :param by: the member of staff who decided so
    :raises MailNotParked: if it is sent, or waits already
    """
    locked = Mail.objects.lock(mail.pk)
    if locked.status != Mail.Status.PARKED:
        raise MailNotParked(f"A mail that is {locked.status} is not to be retried.")
    locked.status = Mail.Status.WAITING
    locked.next_attempt_at = now
    locked.save(update_fields=["status", "next_attempt_at"])
    events.record(
        Event(
            name="mail.retried",
            user_id=locked.user_id,
            subject_id=locked.pk,
            payload={
                "kind": locked.kind,
                "to": locked.to,
                "after": locked.failure,
                "by": str(by.pk),
                "reason": reason,
            },
            created_at=now,
        )
    )
    return locked


class _Clock:
    """The caller's time, going on while mails are sent: a mail server takes its time."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._began = time.monotonic()

    def now(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._began)


def _of(user: User | None) -> QuerySet[Mail]:
    if user:
        return Mail.objects.filter(user=user)
    return Mail.objects.filter(~Exists(TestClock.objects.filter(user_id=OuterRef("user_id"))))


def _park_lost(*, now: datetime, user: User | None) -> int:
    """Leave to a person what a sender left in the middle."""
    lost = _of(user).filter(status=Mail.Status.SENDING, next_attempt_at__lte=now)
    return lost.update(status=Mail.Status.PARKED, next_attempt_at=None, failure=UNKNOWN)


@transaction.atomic(durable=True)
def _claim(*, now: datetime, due: QuerySet[Mail]) -> Mail | None:
    waiting = due.select_for_update(of=("self",), no_key=True, skip_locked=True)
    mail = waiting.order_by("next_attempt_at", "id").first()
    if mail:
        mail.status = Mail.Status.SENDING
        mail.attempts += 1
        mail.next_attempt_at = now + LONGEST_SENDING
        mail.save(update_fields=["status", "attempts", "next_attempt_at"])
    return mail


@transaction.atomic(durable=True)
def _record(mail: Mail, outcome: Outcome, *, now: datetime) -> str:
    """
    Keep what became of the attempt, and return the mail's status.

    Where it was taken for lost meanwhile, this is better known; where a person had it sent again
    and another sender has it, that one's word counts.
    """
    if outcome.is_sent:
        values: dict[str, Any] = {"status": Mail.Status.SENT, "sent_at": now, "failure": ""}
    elif outcome.is_unknown or mail.attempts > len(WAITS):
        values = {"status": Mail.Status.PARKED, "failure": outcome.failure}
    else:
        wait = WAITS[mail.attempts - 1]
        values = {"status": Mail.Status.WAITING, "failure": outcome.failure}
        values["next_attempt_at"] = now + wait
    of_this_attempt = Mail.objects.filter(pk=mail.pk, attempts=mail.attempts)
    of_this_attempt.exclude(status=Mail.Status.SENT).update(**{"next_attempt_at": None} | values)
    return str(values["status"])
