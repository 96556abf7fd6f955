"""A subscriber since 31 January 2026 at noon, and what a run of the billing makes of them."""

from __future__ import annotations

from datetime import UTC, datetime

from accounts.models import User
from billing.models import Invoice, Subscription, TestClock
from billing.services.renewals import running
from billing.services.renewals.running import Summary
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, UserFactory

Behaviour = TestClock.Behaviour
BEGUN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(month: int, day: int, hour: int = 12, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def subscriber(
    *, behaviour: str = Behaviour.PAYS, now: datetime = BEGUN, user: User | None = None, **order
) -> Subscription:
    """A customer whose clock is turned, with what they pay for since ``now``."""
    user = user or UserFactory()
    order.setdefault("plan", None)
    order["plan"] = order["plan"] or PlanFactory(name="Pro")
    made = check_out(user, now=now, **order)
    if made.invoice.status != Invoice.Status.PAID:
        pay(made.invoice, now=now)
    TestClock.objects.update_or_create(user=user, defaults={"now_at": now, "behaviour": behaviour})
    made.subscription.refresh_from_db()
    return made.subscription


def run(subscription: Subscription, now: datetime) -> Summary:
    """Run the billing of its customer at this moment, and read it again."""
    done = running.run(now=now, user_id=subscription.user_id)
    subscription.refresh_from_db()
    return done


def renewals(subscription: Subscription) -> list[Invoice]:
    """Its invoices but the checkout's, oldest first."""
    of_it = Invoice.objects.filter(subscription=subscription, reason=Invoice.Reason.RENEWAL)
    return list(of_it.order_by("pk"))


def periods(subscription: Subscription) -> list[tuple[str, str, str]]:
    """Of each renewal: status, and from which day to which it pays for the plan."""
    found = []
    for invoice in renewals(subscription):
        line = invoice.line_items.get(type="subscription")
        found.append(
            (invoice.status, f"{line.period_start:%Y-%m-%d}", f"{line.period_end:%Y-%m-%d}")
        )
    return found
