"""The customer's page: their account, and on top of it all that support wants to know and do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
)

from accounts.admin import UserAdmin
from accounts.models import BillingDetails, User
from accounts.services import customers, passwords
from billing.admin import changes, glance
from billing.admin.changes import Change
from billing.admin.filters import day_field
from billing.admin.finding import describe, find_view
from billing.admin.history_page import HistoryPage, page_of
from billing.admin.links import Links
from billing.admin.steps import Button, NoReasonForm, ReasonForm, Step, Steps
from billing.models import Invoice, TestClock
from billing.services import (
    clocks,
    erasure,
    mails,
    personal_data,
    search,
    token_adjustments,
    tokens,
)

PAGE = "events"  # of the timeline, in the address
MOST_TOKENS = 10**12  # in a form; what a role may is less


class TokensForm(ReasonForm):
    """How many, which way and why. ``reference`` makes a form that is sent twice count once."""

    direction = forms.ChoiceField(
        choices=[("grant", "Grant"), ("take", "Take")],
        initial="grant",
        widget=UnfoldAdminRadioSelectWidget,
    )
    amount = forms.IntegerField(
        label="Tokens", min_value=1, max_value=MOST_TOKENS, widget=UnfoldAdminIntegerFieldWidget
    )
    reference = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
    field_order = ["direction", "amount", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = token_adjustments.limit_of(self.by)
        self.fields["amount"].help_text = (
            "Your role has no limit."
            if limit is None
            else f"Your role may move up to {limit:,} a day for one customer."
        )


def _suspend(user: User, *, by: User, now: datetime, reason: str) -> str:
    customers.suspend(user=user, by=by, reason=reason, now=now)
    return f"{user} is suspended, and signed out everywhere."


def _activate(user: User, *, by: User, now: datetime, reason: str) -> str:
    customers.activate(user=user, by=by, reason=reason, now=now)
    return f"{user} is active."


def _move_tokens(
    user: User,
    *,
    by: User,
    now: datetime,
    direction: str,
    amount: int,
    reference: Any,
    reason: str,
) -> str:
    signed = amount if direction == "grant" else -amount
    moved = token_adjustments.adjust(
        user_id=user.pk, amount=signed, reference=str(reference), reason=reason, by=by, now=now
    )
    return f"{moved.amount:+,} tokens: {user} has {moved.balance_after:,} now."


def _mail_password_link(user: User, *, by: User, now: datetime) -> str:  # noqa: ARG001 - as all
    passwords.forget(email=user.email)
    # No row changes, so the admin's log keeps who it was.
    LogEntry.objects.log_actions(
        by.pk, [user], CHANGE, "Mailed a link to set a new password.", single_object=True
    )
    return f"A link to set a new password is on its way to {user}."


def _mail_invoice(user: User, *, by: User, now: datetime) -> str:
    invoice = cast(Invoice, _last_invoice(user))
    mails.send_invoice(invoice=invoice, by=by, now=now)
    return f"Invoice {invoice} is on its way to {user}."


def _last_invoice(user: User) -> Invoice | None:
    return Invoice.objects.filter(user=user).order_by("-id").first()


def _has_invoice(user: User) -> bool:
    return Invoice.objects.filter(user=user).exists()


class ClockForm(NoReasonForm):
    """Until when, and how the customer pays meanwhile."""

    to = day_field("Turn to", help_text="Everything that comes due until then is played.")
    behaviour = forms.ChoiceField(
        choices=TestClock.Behaviour.choices, widget=UnfoldAdminSelectWidget
    )


def _turn_clock(user: User, *, by: User, now: datetime, to: date, behaviour: str) -> str:
    done = clocks.turn(
        user=user, to=datetime(to.year, to.month, to.day, tzinfo=UTC), behaviour=behaviour, now=now
    )
    told = f"{done.invoiced:,} invoices, {done.paid:,} payments, {done.failed:,} failures"
    LogEntry.objects.log_actions(
        by.pk, [user], CHANGE, f"Turned the clock to {to}.", single_object=True
    )
    return f"It is {to} for {user} now: {told}."


def _erase(user: User, *, by: User, now: datetime, reason: str) -> str:
    erased = erasure.erase(user=user, by=by, reason=reason, now=now)
    return f"The customer is erased: {erased} is all that the account says."


def _asks_to_erase(user: User) -> str:
    left = erasure.unsettled(user=user)
    first = f" Settle first: {', '.join(left)}." if left else ""
    return (
        "Name, address, e-mail, sessions, mails and the history of them are forgotten for good, and"
        " nobody signs in to this account again. Invoices with their buyer, payments and the"
        " movements of tokens and credit stay, as the law wants them kept; tokens and credit that"
        f" are left are lost to the customer.{first}"
    )


STEPS = (
    Step(
        name="tokens",
        label="Grant or take tokens",
        icon="toll",
        permission="billing.adjust_tokens",
        question=lambda user: (
            f"{user} has {tokens.balance_of(user_id=user.pk):,} tokens. The customer sees the"
            " movement in their transactions, and not the reason."
        ),
        form=TokensForm,
        run=_move_tokens,
        fits=lambda user: user.status != User.Status.DELETED,
    ),
    Step(
        name="send-invoice",
        label="Send last invoice",
        icon="forward_to_inbox",
        permission="billing.send_invoice",
        question=lambda user: f"The last invoice, {_last_invoice(user)}, is mailed to {user}.",
        form=NoReasonForm,
        run=_mail_invoice,
        fits=_has_invoice,
    ),
    Step(
        name="send-password-link",
        label="Send password link",
        icon="lock_reset",
        permission="accounts.change_user",
        question=lambda user: (
            f"A link to set a new password once is mailed to {user}. The old password stays good"
            " until it is used."
        ),
        form=NoReasonForm,
        run=_mail_password_link,
        fits=lambda user: user.is_active,
    ),
    Step(
        name="turn-clock",
        label="Turn clock",
        icon="schedule",
        permission="billing.change_testclock",
        question=lambda user: (
            f"The time of {user} is their own from then on, for good: renewals, retries and ends"
            " until that day are played in order. For development and tests."
        ),
        form=ClockForm,
        run=_turn_clock,
        fits=lambda user: settings.BILLING_TEST_CLOCKS and not user.is_staff,
    ),
    Step(
        name="activate",
        label="Activate",
        icon="check_circle",
        permission="accounts.change_user",
        question=lambda user: f"{user} is {user.status}, and may sign in again from now on.",
        run=_activate,
        fits=lambda user: user.status in (User.Status.SUSPENDED, User.Status.PENDING),
        looks="primary",
    ),
    Step(
        name="suspend",
        label="Suspend",
        icon="block",
        permission="accounts.change_user",
        question=lambda user: (
            f"{user} is signed out everywhere at once, and cannot sign in until somebody activates"
            " the account. Subscriptions and invoices stay as they are."
        ),
        run=_suspend,
        fits=lambda user: user.is_active,
        looks="danger",
    ),
    Step(
        name="erase",
        label="Erase",
        icon="person_remove",
        permission="accounts.erase_user",
        question=_asks_to_erase,
        run=_erase,
        fits=lambda user: user.erased_at is None and not user.is_employed,
        looks="danger",
    ),
)
EXPORT = "accounts.export_user"


class CustomerAdmin(Steps, HistoryPage, UserAdmin):
    """The accounts' page knows nothing of billing, so what it shows of that is added here."""

    steps = STEPS
    change_form_outer_before_template = "admin/billing/customer.html"
    list_display = ("email", "called", "shown_status", "shown_role", "created_at", "last_login")
    list_select_related = ("billing_details",)
    search_help_text = "Part of an e-mail, name or company, or an id"

    def get_urls(self) -> list[URLPattern]:
        find = path("find/", self.admin_site.admin_view(find_view), name="find")
        export = path(
            "<path:object_id>/export/",
            self.admin_site.admin_view(self.export_view),
            name="accounts_user_export",
        )
        return [find, export, *super().get_urls()]

    def buttons(self, request: HttpRequest, row: User) -> list[Button]:
        found = super().buttons(request, row)
        if self.may_export(request, row):
            address = reverse("admin:accounts_user_export", args=[row.pk])
            found.append(Button("Export", address, "default", "download"))
        return found

    def may_export(self, request: HttpRequest, row: User) -> bool:
        return request.user.has_perm(EXPORT) and customers.is_within_reach(
            user=row, by=request.user
        )

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All that is kept of the customer, as a file; the log keeps who took it."""
        user = self.get_object(request, object_id)
        if user is None:
            raise Http404
        if not self.may_export(request, user):
            raise PermissionDenied
        found = personal_data.collect(user=user, now=timezone.now())
        LogEntry.objects.log_actions(
            request.user.pk, [user], CHANGE, "Exported all that is kept.", single_object=True
        )
        return JsonResponse(
            found,
            json_dumps_params={"indent": 2, "ensure_ascii": False},
            headers={
                "Cache-Control": "private, no-store",
                "Content-Disposition": f'attachment; filename="customer-{user.pk}.json"',
            },
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        if not search_term.strip():
            return queryset, False
        return search.customers(among=queryset, text=search_term), False

    @admin.display(description="name, company")
    def called(self, user: User) -> str:
        return describe(getattr(user, "billing_details", None)) or "—"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        context = getattr(response, "context_data", None)
        if context and context.get("original"):
            user = context["original"]
            context |= {
                "glance": glance.at(
                    user,
                    links=Links(request.user),
                    now=timezone.now(),
                    page=page_of(request, PAGE),
                ),
                "page_parameter": PAGE,
            }
        return response

    def may_take(self, request: HttpRequest, step: Step, row: User) -> bool:
        """Staff are out of reach for whoever is no superuser, and everybody is for themselves."""
        return super().may_take(request, step, row) and not customers.refusal_to_change(
            user=row, by=request.user
        )

    def changes_of(self, row: User, most: int) -> list[list[Change]]:
        of_details = BillingDetails.history.rel.related_model.objects.filter(pgh_obj=row.pk)
        return [
            *super().changes_of(row, most),
            changes.of_rows(of_details, "Billing details of", most),
        ]


admin.site.unregister(User)
admin.site.register(User, CustomerAdmin)
