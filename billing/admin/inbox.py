"""To resolve: everything that waits for a person, oldest first, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.http import require_safe

from billing.admin.links import Links
from billing.models import Mail, Payment, Subscription
from billing.services.payments import UNMATCHED

ROWS = 50  # of each kind; the lists have the rest


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    One row that waits.

    :param step: the page on which it is resolved; "" for whoever may not
    """

    link: SafeString
    customer: SafeString | str
    why: str
    since: datetime
    step: str


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What waits for the same reason.

    :param permission: to resolve it
    :param rows: those that wait, oldest first, with their customers
    :param query: of the list that has them all
    """

    name: str
    title: str
    hint: str
    nothing: str
    model: type[Any]
    permission: str
    rows: Callable[[], QuerySet[Any]]
    query: str
    all_of_them: str
    button: str
    step: str
    told: Callable[[Any], tuple[str, str, datetime]]

    def may_see(self, request: HttpRequest) -> bool:
        return Links(request.user).may_open(self.model)

    @property
    def list_address(self) -> str:
        return f"{reverse(f'admin:billing_{self.model._meta.model_name}_changelist')}?{self.query}"

    def waiting(self, request: HttpRequest) -> list[Waiting]:
        links = Links(request.user)
        may_resolve = request.user.has_perm(self.permission)
        found = []
        for row in self.rows()[:ROWS]:
            called, why, since = self.told(row)
            step = f"admin:billing_{self.model._meta.model_name}_{self.step}"
            found.append(
                Waiting(
                    link=links.to(row, called),
                    customer=links.to(row.user) if row.user else "—",
                    why=why,
                    since=since,
                    step=reverse(step, args=[row.pk]) if may_resolve else "",
                )
            )
        return found


def _payments() -> QuerySet[Payment]:
    unmatched = Payment.objects.filter(status=Payment.Status.UNMATCHED)
    return unmatched.select_related("user").order_by("received_at", "pk")


def _renewals() -> QuerySet[Subscription]:
    parked = Subscription.objects.filter(parked_at__isnull=False)
    return parked.select_related("user").order_by("parked_at", "pk")


def _mails() -> QuerySet[Mail]:
    parked = Mail.objects.filter(status=Mail.Status.PARKED)
    return parked.select_related("user").order_by("created_at", "pk")


def _of_payment(payment: Payment) -> tuple[str, str, datetime]:
    refusal = UNMATCHED.get(payment.unmatched_reason)
    why = refusal.sentence if refusal else payment.unmatched_reason
    return f"{payment.money.for_people()}, {payment.reference}", why, payment.received_at


def _of_renewal(subscription: Subscription) -> tuple[str, str, datetime]:
    assert subscription.parked_at  # noqa: S101 - it is parked
    return subscription.name, subscription.parked_reason, subscription.parked_at


def _of_mail(mail: Mail) -> tuple[str, str, datetime]:
    return capfirst(mail.get_kind_display()), mail.failure, mail.created_at


KINDS = (
    Kind(
        name="payments",
        title="Payments that fit nothing",
        hint="Money that is here, and whose invoice is not known or not to be paid",
        nothing="Every payment has its invoice.",
        model=Payment,
        permission="billing.take_payment",
        rows=_payments,
        query="status__exact=unmatched",
        all_of_them="The list of them, to search and to filter",
        button="Assign",
        step="assign",
        told=_of_payment,
    ),
    Kind(
        name="renewals",
        title="Renewals that cannot be invoiced",
        hint="Left alone until somebody has mended what is in their way, and retries them",
        nothing="Every renewal is invoiced when it is due.",
        model=Subscription,
        permission="billing.retry_parked",
        rows=_renewals,
        query="standing=parked",
        all_of_them="The list of them, to retry many at once",
        button="Retry",
        step="unpark",
        told=_of_renewal,
    ),
    Kind(
        name="mails",
        title="Mails that were not sent",
        hint="Refused by the mail server again and again, or nobody knows whether they were sent",
        nothing="Every mail is sent, or is tried again by itself.",
        model=Mail,
        permission="billing.retry_parked",
        rows=_mails,
        query="status__exact=parked",
        all_of_them="The list of them, to send many at once",
        button="Send again",
        step="retry",
        told=_of_mail,
    ),
)


@require_safe
def inbox_view(request: HttpRequest) -> HttpResponse:
    kinds = seen(request)
    if not kinds:
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": "To resolve",
        "sections": [
            {"kind": kind, "rows": kind.waiting(request), "count": kind.rows().count()}
            for kind in kinds
        ],
    }
    return TemplateResponse(request, "admin/billing/inbox.html", context)


def seen(request: HttpRequest) -> list[Kind]:
    return [kind for kind in KINDS if kind.may_see(request)]


def count(request: HttpRequest) -> int:
    """How many wait, for the side bar of every page: one statement, by indexes of what waits."""
    rows = [kind.rows().order_by().values("pk") for kind in seen(request)]
    if not rows:
        return 0
    first, *others = rows
    return first.union(*others, all=True).count() if others else first.count()


urlpatterns = [path("to-resolve/", admin.site.admin_view(inbox_view), name="inbox")]
