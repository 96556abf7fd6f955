"""
Finding invoices and payments in their lists by what people quote.

One OR over joins could use no index; so each question is put to its own, and the ids that they
answer with are taken together. What a term can be decides which questions there are.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Upper

from accounts.models import NAMES, BillingDetails, User
from billing.models import Invoice, Mail, Payment
from billing.services import search

_MOST_NAMED = 1_000  # invoices whose number begins like that
_SHORTEST = 2  # characters of a part; one alone is in half of all names


def invoices(*, among: QuerySet[Invoice], text: str) -> QuerySet[Invoice]:
    """By number, e-mail, name, company, payment reference, or an id of theirs."""
    text = text.strip()
    if pk := _id_of(text):
        ids = _ids(Invoice.objects.filter(Q(pk=pk) | Q(user_id=pk) | Q(subscription_id=pk)))
        return among.filter(pk__in=ids.union(_paid_with(text), all=True))
    if "@" in text:
        return among.filter(user_id__in=_customers(text))
    if text.upper().startswith("INV-"):
        return among.filter(number__startswith=text.upper())
    answers = [_paid_with(text), _ids(Invoice.objects.filter(user_id__in=_customers(text)))]
    if text[:1].isdigit():  # a number without its "INV-"
        answers.append(_ids(Invoice.objects.filter(number__startswith=f"INV-{text.upper()}")))
    return among.filter(pk__in=answers[0].union(*answers[1:], all=True))


def payments(*, among: QuerySet[Payment], text: str) -> QuerySet[Payment]:
    """By reference, e-mail, name, company, the number of their invoice, or an id of theirs."""
    text = text.strip()
    if pk := _id_of(text):
        named = Q(status=Payment.Status.UNMATCHED, invoice_reference=text)
        ids = _ids(Payment.objects.filter(Q(pk=pk) | Q(user_id=pk) | Q(invoice_id=pk) | named))
        return among.filter(pk__in=ids.union(_ids(_referred_to(text)), all=True))
    if "@" in text:
        return among.filter(user_id__in=_customers(text))
    begun = Invoice.objects.filter(number__startswith=text.upper()).order_by().values("pk")
    of_invoice = _ids(Payment.objects.filter(invoice_id__in=begun))
    answers = [_ids(_referred_to(text)), _named_by_payer(text)]
    if text.upper().startswith("INV-"):
        return among.filter(pk__in=of_invoice.union(*answers, all=True))
    of_customers = _ids(Payment.objects.filter(user_id__in=_customers(text)))
    return among.filter(pk__in=of_customers.union(*answers, all=True))


def mails(*, among: QuerySet[Mail], text: str) -> QuerySet[Mail]:
    """By e-mail, name, company, the number of the invoice of a receipt, or an id of theirs."""
    text = text.strip()
    if pk := _id_of(text):
        return among.filter(
            Q(pk=pk) | Q(user_id=pk) | Q(kind__in=Mail.Kind.values, reference=str(pk))
        )
    if text.upper().startswith("INV-"):
        named = Invoice.objects.filter(number__startswith=text.upper()).order_by()
        ids = [str(pk) for pk in named.values_list("pk", flat=True)[:_MOST_NAMED]]
        return among.filter(kind=Mail.Kind.RECEIPT, reference__in=ids)
    return among.filter(user_id__in=_customers(text))


def _customers(text: str) -> QuerySet:
    """
    Ids of those with this in their e-mail, name or company, now or formerly.

    What stands on an invoice as its buyer stood in the billing details then; if it was changed
    since, the history of these has it. So no index over all invoices is needed to find it.
    """
    if len(text) < _SHORTEST:
        return User.objects.none().values("pk")
    now = search.customers(among=User.objects.all(), text=text).order_by().values("pk")
    called = BillingDetails.history.rel.related_model.objects.annotate(names=NAMES)  # type: ignore[attr-defined]
    for word in text.split():
        called = called.filter(names__contains=Upper(Value(word)))
    mailed = User.history.rel.related_model.objects.filter(email__contains=text.lower())  # type: ignore[attr-defined]
    formerly = (rows.order_by().values("pgh_obj_id") for rows in (called, mailed))
    return now.union(*formerly, all=True)


def _paid_with(reference: str) -> QuerySet:
    return _referred_to(reference).filter(invoice__isnull=False).order_by().values("invoice_id")


def _referred_to(reference: str) -> QuerySet[Payment]:
    """By the index of (provider, reference), which a reference alone could not use."""
    return Payment.objects.filter(provider__in=search.providers(), reference=reference)


def _named_by_payer(text: str) -> QuerySet:
    """Of what waits to be resolved also by what the payer wrote; there is never much of that."""
    return _ids(
        Payment.objects.filter(status=Payment.Status.UNMATCHED, invoice_reference__icontains=text)
    )


def _ids(rows: QuerySet) -> QuerySet:
    return rows.order_by().values("pk")


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
