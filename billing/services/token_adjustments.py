"""Tokens that staff grant or take by hand."""

from __future__ import annotations

from datetime import datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Abs

from accounts.models import User
from billing.models import Event, TokenTransaction
from billing.services import events, tokens
from billing.services.invoices import require_reason
from billing.services.tokens import InvalidTokenAmount, TokenReferenceReused
from config import history
from config.errors import DomainError

Type = TokenTransaction.Type
_TYPES = (Type.BONUS, Type.ADJUSTMENT)
_EVENT = "tokens.adjusted"


class TokenLimitExceeded(DomainError):
    code = "token_limit_exceeded"
    http_status = 403


@transaction.atomic
def adjust(
    *, user_id: UUID, amount: int, reference: str, reason: str, by: User, now: datetime
) -> TokenTransaction:
    """
    Grant tokens to a customer, or take some. The same reference again moves nothing more.

    The customer's row is locked: of two who adjust at once, the second sees what the first moved.

    :param amount: whole tokens; more than zero grants them, less takes them
    :raises InvalidTokenAmount: if it is zero
    :raises TokenLimitExceeded: if ``by`` would have granted to and taken from this customer more
        tokens today than their role may move
    :raises NotEnoughTokens: if fewer are there than would be taken
    :raises TokenReferenceReused: if the reference was used for another amount
    :raises ReasonMissing: without a reason
    """
    require_reason(reason)
    if amount == 0:
        raise InvalidTokenAmount("The number of tokens must not be zero.")
    with history.noted(by=by.pk, reason=reason):
        User.objects.lock(user_id)
        if before := _before(user_id, reference):
            if before.amount != amount:
                raise TokenReferenceReused(
                    f"The reference {reference!r:.60} was used for {before.amount:+} tokens before."
                )
            return before
        _require_within_limit(user_id, amount, by, now)
        moved = _move(user_id, amount, reference, now)
        events.record(
            Event(
                name=_EVENT,
                user_id=user_id,
                subject_id=moved.pk,
                payload={"tokens": amount, "by": str(by.pk), "reason": reason},
                created_at=now,
            )
        )
        return moved


def limit_of(user: User) -> int | None:
    """
    How many tokens somebody may move for one customer in one day; None is any number.

    The largest of what BILLING_TOKEN_LIMITS gives their groups; none for a group it does not name.
    """
    if user.is_superuser:
        return None
    limits: dict[str, int] = settings.BILLING_TOKEN_LIMITS
    return max((limits.get(group.name, 0) for group in user.groups.all()), default=0)


def _before(user_id: UUID, reference: str) -> TokenTransaction | None:
    return TokenTransaction.objects.filter(
        account_id=user_id, transaction_type__in=_TYPES, reference_id=reference
    ).first()


def _require_within_limit(user_id: UUID, amount: int, by: User, now: datetime) -> None:
    limit = limit_of(by)
    if limit is None:
        return
    zone = ZoneInfo(settings.BILLING_TIME_ZONE)
    midnight = datetime.combine(now.astimezone(zone).date(), time(), zone)
    own = Event.objects.filter(
        name=_EVENT, user_id=user_id, payload__by=str(by.pk), created_at__gte=midnight
    )
    moved = TokenTransaction.objects.filter(
        account_id=user_id, pk__in=own.values("subject_id")
    ).aggregate(total=Sum(Abs("amount")))["total"]
    left = max(0, limit - (moved or 0))
    if abs(amount) > left:
        raise TokenLimitExceeded(
            f"Your role may move {limit:,} tokens a day for one customer, and {left:,} are left.",
            limit=limit,
            left=left,
        )


def _move(user_id: UUID, amount: int, reference: str, now: datetime) -> TokenTransaction:
    """The customer sees the movement, and not the reason: that is for colleagues."""
    if amount < 0:
        return tokens.spend(
            user_id=user_id,
            amount=-amount,
            reference=reference,
            description="Taken by our staff",
            transaction_type=Type.ADJUSTMENT,
            now=now,
        )
    [moved] = tokens.credit(
        user_id=user_id,
        movements=[tokens.Movement(amount, reference, "Granted by our staff")],
        transaction_type=Type.BONUS,
        now=now,
    )
    return moved
