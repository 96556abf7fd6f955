"""One question, every answer: customers and what belongs to them, by whatever somebody quotes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Upper

from accounts.models import NAMES, BillingDetails, User
from billing.models import AddOnSubscription, Invoice, Payment, Subscription, TokenBundlePurchase

MOST = 20  # rows of a kind; whoever gets as many writes some more of what they know
SHORTEST = 2  # characters of a part; one alone is in half of all names
TRIGRAM = 3

# The distinct providers, each by one step into the index of (provider, reference): a reference
# alone could not use that, and a DISTINCT would read the whole of it.
_PROVIDERS = """
    WITH RECURSIVE known AS (
        (SELECT provider FROM billing_payment ORDER BY provider LIMIT 1)
        UNION ALL
        SELECT (SELECT provider FROM billing_payment
                 WHERE provider > known.provider ORDER BY provider LIMIT 1)
          FROM known WHERE known.provider IS NOT NULL
    )
    SELECT provider FROM known WHERE provider IS NOT NULL
"""


class Kind(StrEnum):
    """What can be found, in the order in which it is shown."""

    CUSTOMER = "customer"
    SUBSCRIPTION = "subscription"
    INVOICE = "invoice"
    PAYMENT = "payment"
    ADD_ON = "add-on"
    PURCHASE = "token purchase"


@dataclass(frozen=True, slots=True)
class Hit:
    """One row. ``is_exact``: it has exactly what was typed, not merely as a part."""

    kind: Kind
    row: Any
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Exact hits first, then by kind, the newest first. ``cut``: kinds that have more."""

    hits: tuple[Hit, ...]
    cut: frozenset[Kind]

    @property
    def only(self) -> Hit | None:
        """The one that was meant: the only one, or the only one that is exact."""
        exact = [hit for hit in self.hits if hit.is_exact]
        for meant in (exact, self.hits):
            if len(meant) == 1:
                return meant[0]
        return None


def find(*, text: str, kinds: Collection[Kind]) -> Found:
    """
    Find by e-mail, name or company (a part is enough), invoice number (its beginning is enough),
    payment reference, or the id of anything.

    Every statement goes to an index, and there are at most eleven, whatever there is to find.

    :param kinds: what whoever asks may see; nothing else is looked for
    """
    text = text.strip()
    if not text or "\x00" in text:
        return Found((), frozenset())
    found: dict[tuple[Kind, UUID], Hit] = {}
    counts = dict.fromkeys(Kind, 0)
    for hit in _all(text, kinds):
        # A row that is found twice counts once: the exact hit comes first and stays.
        if (hit.kind, hit.row.pk) not in found:
            counts[hit.kind] += 1
            if counts[hit.kind] <= MOST:
                found[hit.kind, hit.row.pk] = hit
    order = {kind: position for position, kind in enumerate(Kind)}
    hits = sorted(found.values(), key=lambda hit: (not hit.is_exact, order[hit.kind]))
    cut = frozenset(kind for kind, count in counts.items() if count > MOST)
    return Found(tuple(hits), cut)


def customers(*, among: QuerySet[User], text: str) -> QuerySet[User]:
    """Those who have this as their id or e-mail, or as a part of their e-mail, name or company."""
    by_id = Q(pk=_id_of(text)) if _id_of(text) else Q()
    named = _named(BillingDetails.objects.all(), text).values("user_id")
    mailed = _mailed(User.objects.all(), text).values("pk")
    # Two questions to two indexes; an OR over a join could use neither.
    return among.filter(by_id or Q(pk__in=mailed.union(named, all=True)))


def providers() -> list[str]:
    """The providers that payments came from, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_PROVIDERS)
        return [name for (name,) in cursor.fetchall()]


def _all(text: str, kinds: Collection[Kind]) -> Iterator[Hit]:
    yield from _by_id(text, kinds)
    if Kind.CUSTOMER in kinds:
        yield from _people(text)
    if Kind.INVOICE in kinds:
        yield from _invoices(text)
    if Kind.PAYMENT in kinds:
        payments = Payment.objects.select_related("user", "invoice").filter(
            provider__in=RawSQL(_PROVIDERS, ()),  # noqa: S611 - nothing of it was typed
            reference=text,
        )
        yield from _exact(Kind.PAYMENT, payments)


def _by_id(text: str, kinds: Collection[Kind]) -> Iterator[Hit]:
    pk = _id_of(text)
    if pk is None:
        return
    rows: dict[Kind, QuerySet[Any]] = {
        Kind.CUSTOMER: User.objects.select_related("billing_details"),
        Kind.SUBSCRIPTION: Subscription.objects.select_related("user"),
        Kind.INVOICE: Invoice.objects.select_related("user"),
        Kind.PAYMENT: Payment.objects.select_related("user", "invoice"),
        Kind.ADD_ON: AddOnSubscription.objects.select_related("user"),
        Kind.PURCHASE: TokenBundlePurchase.objects.select_related("user"),
    }
    for kind, queryset in rows.items():
        if kind in kinds:
            yield from _exact(kind, queryset.filter(pk=pk))


def _people(text: str) -> Iterator[Hit]:
    people = User.objects.select_related("billing_details").order_by("-id")
    email = text.lower()
    seen = list(people.filter(email=email))
    yield from _exact(Kind.CUSTOMER, seen)
    if len(text) < SHORTEST:
        return
    for user in _mailed(people, text)[: MOST + 1]:
        yield Hit(Kind.CUSTOMER, user, is_exact=False)
    details = _named(BillingDetails.objects.select_related("user").order_by("-user_id"), text)
    for row in details[: MOST + 1]:
        row.user.billing_details = row
        yield Hit(Kind.CUSTOMER, row.user, is_exact=_is_name(row, text))


def _invoices(text: str) -> Iterator[Hit]:
    """By number, without its "INV-" too."""
    number = text.upper()
    if number[0].isdigit():
        number = f"INV-{number}"
    if not number.startswith("INV-"):
        return
    begun = Invoice.objects.select_related("user").filter(number__startswith=number)
    for invoice in begun.order_by("-id")[: MOST + 1]:
        yield Hit(Kind.INVOICE, invoice, is_exact=invoice.number == number)


def _exact(kind: Kind, rows: Iterable[Any]) -> Iterator[Hit]:
    for row in rows:
        yield Hit(kind, row, is_exact=True)


def _mailed(people: QuerySet[User], text: str) -> QuerySet[User]:
    part = text.strip().lower()
    # Fewer than three characters are no trigram: only a beginning has an index.
    return people.filter(
        Q(email__contains=part) if len(part) >= TRIGRAM else Q(email__startswith=part)
    )


def _named(details: QuerySet[BillingDetails], text: str) -> QuerySet[BillingDetails]:
    """With every word of it in their names or company, in any order; short ones as beginnings."""
    details = details.annotate(names=NAMES)
    for word in text.split():
        part = word if len(word) >= TRIGRAM else f" {word}"
        details = details.filter(names__contains=Upper(Value(part)))
    return details


def _is_name(row: BillingDetails, text: str) -> bool:
    names = (row.company, f"{row.first_name} {row.last_name}")
    return " ".join(text.split()).casefold() in [name.strip().casefold() for name in names]


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
