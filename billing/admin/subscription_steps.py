"""What support does to a subscription: cancel it, prolong it, bring it back to life."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
)

from accounts.models import User
from billing.admin import renewal_steps
from billing.admin.columns import day
from billing.admin.steps import ReasonForm, Step
from billing.models import Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import staff_subscriptions
from billing.services.staff_subscriptions import MOST_DAYS

Status = SubscriptionStatus


class CancelForm(ReasonForm):
    """When it is to be over. One that was never paid has no time left to choose from."""

    when = forms.ChoiceField(
        choices=[
            ("end", "At the end of what is paid for"),
            ("now", "At once, and nothing is given back"),
            ("credit", "At once, and the rest of what was paid goes on the customer's account"),
        ],
        initial="end",
        widget=UnfoldAdminRadioSelectWidget,
    )
    field_order = ["when", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.row.status == Status.PENDING:
            del self.fields["when"]
        elif self.row.status == Status.CANCELLED:  # only its end can come earlier
            self.fields["when"].choices = self.fields["when"].choices[1:]
            self.fields["when"].initial = "now"


class ExtendForm(ReasonForm):
    """``seen``: the end as it was when the form was opened, so that two clicks do not add up."""

    days = forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, widget=UnfoldAdminIntegerFieldWidget
    )
    seen = forms.CharField(widget=forms.HiddenInput, max_length=40)
    field_order = ["days", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"].initial = self._end()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        seen = given.pop("seen", None)
        if seen is not None and seen != self._end():
            raise ValidationError(
                f"It ends on {day(self.row.expires_at)} by now: open this page anew."
            )
        return given

    def _end(self) -> str:
        return self.row.expires_at.isoformat()


def _cancel(
    subscription: Subscription, *, by: User, now: datetime, reason: str, when: str = "end"
) -> str:
    cancelled = staff_subscriptions.cancel(
        subscription=subscription,
        at_once=when != "end",
        with_credit=when == "credit",
        by=by,
        reason=reason,
        now=now,
    )
    if cancelled.is_running_at(now):
        return f"Cancelled: it runs until {day(cancelled.expires_at)}."
    return "Cancelled: it is over."


def _extend(subscription: Subscription, *, by: User, now: datetime, reason: str, days: int) -> str:
    extended = staff_subscriptions.extend(
        subscription=subscription, days=days, by=by, reason=reason, now=now
    )
    return f"Extended: it runs until {day(extended.expires_at)}."


def _activate(subscription: Subscription, *, by: User, now: datetime, reason: str) -> str:
    staff_subscriptions.activate(subscription=subscription, by=by, reason=reason, now=now)
    return "Activated."


def _pause(subscription: Subscription, *, by: User, now: datetime, reason: str) -> str:
    staff_subscriptions.pause(subscription=subscription, by=by, reason=reason, now=now)
    return "Paused: its time stands still until it is activated again."


def _can_be_paused(subscription: Subscription) -> bool:
    is_active = subscription.status == Status.ACTIVE and _runs(subscription)
    return is_active and subscription.past_due_since is None


def _can_be_activated(subscription: Subscription) -> bool:
    if subscription.status in (Status.PENDING, Status.PAUSED):
        return True
    return subscription.status == Status.CANCELLED and _runs(subscription)


def _can_be_cancelled(subscription: Subscription) -> bool:
    return subscription.status in (Status.PENDING, *LIVE) or _runs(subscription)


def _can_be_extended(subscription: Subscription) -> bool:
    unfinished = subscription.status in LIVE or _runs(subscription)
    return unfinished and subscription.expires_at is not None


def _runs(subscription: Subscription) -> bool:
    return subscription.is_running_at(timezone.now())


def _asks_to_activate(subscription: Subscription) -> str:
    match subscription.status:
        case Status.PENDING:
            return (
                "Its invoice is marked as paid by hand, and all that is on it begins now. Do this"
                " only for money that has arrived."
            )
        case Status.PAUSED:
            return "It goes on, and ends as much later as it was paused."
    return f"Its cancellation is taken back: on {day(subscription.expires_at)} it does not end."


def _asks_to_cancel(subscription: Subscription) -> str:
    if subscription.status == Status.PENDING:
        return "It was never paid: it is given up, with its invoice and all that is on that."
    return (
        f"{subscription.name} is paid for until {day(subscription.expires_at)}."
        if subscription.expires_at
        else f"{subscription.name} has no end: it ends at once, whatever you choose."
    ) + " Money is sent back only by refunding the invoice."


STEPS = (
    Step(
        name="activate",
        label="Activate",
        icon="play_arrow",
        permission="billing.change_subscription",
        question=_asks_to_activate,
        run=_activate,
        fits=_can_be_activated,
        looks="primary",
    ),
    Step(
        name="extend",
        label="Extend",
        icon="more_time",
        permission="billing.change_subscription",
        question=lambda subscription: (
            f"It ends on {day(subscription.expires_at)}. It ends so many days later, for nothing,"
            " and the add-ons that end with it do so too."
        ),
        form=ExtendForm,
        run=_extend,
        fits=_can_be_extended,
    ),
    *renewal_steps.STEPS,
    Step(
        name="pause",
        label="Pause",
        icon="pause",
        permission="billing.change_subscription",
        question=lambda subscription: (
            f"{subscription.name} and its add-ons cannot be used until somebody activates it again,"
            " and it ends as much later. A renewal or a change that waits for its payment is"
            " withdrawn."
        ),
        run=_pause,
        fits=_can_be_paused,
    ),
    Step(
        name="cancel",
        label="Cancel subscription",
        icon="cancel",
        permission="billing.change_subscription",
        question=_asks_to_cancel,
        form=CancelForm,
        run=_cancel,
        fits=_can_be_cancelled,
        looks="danger",
    ),
)
