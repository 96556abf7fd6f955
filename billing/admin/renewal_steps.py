"""What staff do to what a subscription is and costs from now on: plan, seats, coupon, payment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import User
from billing.admin.columns import day
from billing.admin.steps import ReasonForm, Step
from billing.models import CouponRedemption, PaymentAttempt, Subscription
from billing.models.subscription import LIVE, SubscriptionStatus
from billing.services import (
    change_quotes,
    changes,
    coupons,
    renewed,
    retries,
    staff_changes,
)
from billing.services.change_quotes import Quote
from billing.services.selection import MOST_SEATS
from catalog.models import Plan
from config.errors import DomainError

Status = SubscriptionStatus
CONFIRM_WITHIN = timedelta(minutes=15)
_SALT = "billing.admin.change-plan"


class ChangeForm(ReasonForm):
    """
    What to, and when. The first time it is sent it says what that costs, and asks again.

    ``seen`` are the terms that were said, signed. What is left of a period is worth less by the
    second, so the amounts are not among them: whoever has 10,000 seats could never confirm any.
    """

    plan = forms.ModelChoiceField(
        Plan.objects.filter(is_active=True).order_by("sort_order", "name"),
        required=False,
        empty_label="The plan that it has",
        widget=UnfoldAdminSelectWidget,
    )
    quantity = forms.IntegerField(
        label="Seats", min_value=1, max_value=MOST_SEATS, widget=UnfoldAdminIntegerFieldWidget
    )
    when = forms.ChoiceField(
        choices=[("now", "Now, once the difference is paid"), ("end", "When its period ends")],
        initial="now",
        widget=UnfoldAdminRadioSelectWidget,
    )
    seen = forms.CharField(widget=forms.HiddenInput, max_length=1000, required=False)
    field_order = ["plan", "quantity", "when", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["quantity"].initial = self.row.quantity

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        seen = given.pop("seen", "")
        if self.errors:
            return given
        if given["plan"] is None and given["quantity"] == self.row.quantity:
            raise ValidationError("Choose another plan, or another number of seats.")
        try:
            said, terms = self._terms(given)
        except DomainError as refusal:
            raise ValidationError(refusal.message) from None
        if not _is_signed(seen, terms):
            self.notice = said
            self.data = {**self.data.dict(), "seen": signing.dumps(terms, salt=_SALT)}
        return given

    def _terms(self, given: dict[str, Any]) -> tuple[str, list[str]]:
        """
        What a change costs, as a sentence, and what must still be so when it is confirmed.

        :raises DomainError: if it cannot be done
        """
        wanted = {"plan": given["plan"], "quantity": given["quantity"], "now": timezone.now()}
        terms = [str(self.row.pk), str(given["plan"]), str(given["quantity"]), given["when"]]
        terms += [str(self.row.period_start), str(self.row.period_value)]
        if given["when"] == "end":
            target = change_quotes.target(subscription=self.row, add_on=None, **wanted)
            said = (
                f"Nothing is charged now. From its next renewal on it is {target.name}, at"
                f" {target.price.for_people()} a period."
            )
            return said, [*terms, str(target.price)]
        quote = changes.quote(subscription=self.row, **wanted)
        return _told(quote), [*terms, str(quote.value), quote.takes_effect]


def _told(quote: Quote) -> str:
    if quote.takes_effect == "period_end":
        return "One moves to this plan when a period ends: nothing is charged now."
    if quote.is_in_trial:
        return "It is on trial: nothing is charged until that ends, and then the new price is."
    period = "A new period begins." if quote.begins_new_period else "The period stays."
    left = quote.credit - quote.charge
    if left.amount > 0:
        what = f"{left.for_people()} go on the customer's account."
    elif quote.on_account.amount:
        used = quote.on_account.for_people()
        what = f"{quote.to_pay.for_people()} to pay, after {used} of the customer's account."
    else:
        what = f"{quote.to_pay.for_people()} to pay."
    return (
        f"At this moment {quote.charge.for_people()} are charged{_with(quote.coupon)} and"
        f" {quote.credit.for_people()} given back: {what} {period}"
    )


def _with(coupon: CouponRedemption | None) -> str:
    return f" (less a period of the coupon {coupon.name})" if coupon else ""


def _is_signed(seen: str, terms: list[str]) -> bool:
    """Whether it is what this form has said, and not long ago."""
    try:
        return bool(signing.loads(seen, salt=_SALT, max_age=CONFIRM_WITHIN) == terms)
    except signing.BadSignature:
        return False


class CouponForm(ReasonForm):
    code = forms.CharField(
        max_length=50,
        help_text="In any case of letters.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    field_order = ["code", "reason"]


def _change(
    subscription: Subscription,
    *,
    by: User,
    now: datetime,
    reason: str,
    plan: Plan | None,
    quantity: int | None,
    when: str,
) -> str:
    wanted: dict[str, Any] = {
        "subscription": subscription,
        "plan": plan,
        "quantity": quantity,
        "by": by,
        "reason": reason,
        "now": now,
    }
    if when == "end":
        staff_changes.change_at_period_end(**wanted)
        return "It changes when its period ends."
    done = staff_changes.change(**wanted)
    if done.quote.takes_effect == "period_end":
        return "It changes when its period ends: that is how one moves to this plan."
    if done.is_applied:
        return "It has changed."
    assert done.invoice  # noqa: S101 - what is not applied waits for it
    due = done.invoice.total.for_people()
    return f"It changes when invoice {done.invoice} over {due} is paid."


def _withdraw_change(subscription: Subscription, *, by: User, now: datetime, reason: str) -> str:
    staff_changes.withdraw(subscription=subscription, by=by, reason=reason, now=now)
    return f"{subscription.name} stays as it is."


def _unpark(subscription: Subscription, *, by: User, now: datetime, reason: str) -> str:
    retries.unpark(subscription=subscription, by=by, reason=reason, now=now)
    return "The next run of the billing tries it again."


def _take_payment(subscription: Subscription, *, by: User, now: datetime, reason: str) -> str:
    renewal = subscription.invoices.filter(pk__in=renewed.open_invoices(subscription)).first()
    if renewal is None:
        raise retries.NotPastDue("Nothing is owed by now.")
    return took(retries.take_payment(invoice=renewal, by=by, reason=reason, now=now))


def took(attempt: PaymentAttempt) -> str:
    """What to say of an attempt that is over."""
    if attempt.outcome == PaymentAttempt.Outcome.PAID:
        return f"Invoice {attempt.invoice} is paid."
    again = attempt.invoice.next_attempt_at
    later = f" The next try is on {day(again)}." if again else ""
    return f"Invoice {attempt.invoice} is not paid: {attempt.failure}{later}"


def _put_coupon_on(
    subscription: Subscription, *, by: User, now: datetime, reason: str, code: str
) -> str:
    redemption = staff_changes.put_coupon_on(
        subscription=subscription, code=code, by=by, reason=reason, now=now
    )
    return f"Coupon {redemption.coupon.code} lessens the next renewal."


def _take_coupon_off(subscription: Subscription, *, by: User, now: datetime, reason: str) -> str:
    taken = staff_changes.take_coupon_off(subscription=subscription, by=by, reason=reason, now=now)
    return f"Coupon {taken.coupon.code} lessens nothing more."


def _has_coupon(subscription: Subscription) -> bool:
    return coupons.of(subscription_id=subscription.pk) is not None


def _can_be_changed(subscription: Subscription) -> bool:
    is_live = subscription.status in (Status.TRIALING, Status.ACTIVE)
    return is_live and subscription.past_due_since is None


def _asks_to_change(subscription: Subscription) -> str:
    until = f" until {day(subscription.expires_at)}" if subscription.expires_at else ""
    return (
        f"It is {subscription.name}, {subscription.quantity} of it, paid for{until}. What a change"
        " costs is shown before anything is done."
    )


STEPS = (
    Step(
        name="change-plan",
        label="Change plan or seats",
        icon="swap_horiz",
        permission="billing.change_subscription",
        question=_asks_to_change,
        form=ChangeForm,
        run=_change,
        fits=_can_be_changed,
    ),
    Step(
        name="withdraw-change",
        label="Take the change back",
        icon="undo",
        permission="billing.change_subscription",
        question=lambda subscription: (
            f"{subscription.name} stays as it is: what was to become of it is withdrawn, with an"
            " invoice that waits for that."
        ),
        run=_withdraw_change,
        fits=staff_changes.is_waiting,
    ),
    Step(
        name="put-coupon-on",
        label="Put a coupon on",
        icon="local_offer",
        permission="billing.change_subscription",
        question=lambda subscription: (
            f"From its next renewal on, {subscription.name} and its add-ons cost less."
        ),
        form=CouponForm,
        run=_put_coupon_on,
        fits=lambda subscription: subscription.status in LIVE and not _has_coupon(subscription),
    ),
    Step(
        name="take-coupon-off",
        label="Take the coupon off",
        icon="layers_clear",
        permission="billing.change_subscription",
        question=lambda subscription: (
            f"The next renewal of {subscription.name} is at its full price. The coupon counts as"
            " used all the same."
        ),
        run=_take_coupon_off,
        fits=_has_coupon,
    ),
    Step(
        name="take-payment",
        label="Try payment now",
        icon="credit_card",
        permission="billing.retry_parked",
        question=lambda subscription: (
            f"Its renewal has not been paid since {day(subscription.past_due_since)}. The provider"
            " is asked for the money once more, now. The days of the other tries stay."
        ),
        run=_take_payment,
        fits=lambda subscription: subscription.past_due_since is not None,
        looks="primary",
    ),
    Step(
        name="unpark",
        label="Retry renewal",
        icon="replay",
        permission="billing.retry_parked",
        question=lambda subscription: (
            f"Its renewal was left alone: “{subscription.parked_reason}” The next run of the"
            " billing tries it again."
        ),
        run=_unpark,
        fits=lambda subscription: subscription.parked_at is not None,
        looks="primary",
    ),
)
