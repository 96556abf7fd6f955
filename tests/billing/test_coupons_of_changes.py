"""A change that begins a new period is lessened as a renewal is."""

from decimal import Decimal

import pytest

from billing.models import CouponRedemption
from billing.services import changes, coupon_steps
from tests.billing.purchases import pay
from tests.billing.renewals.story import at, renewals, run
from tests.billing.test_coupons import coupon, coupon_of, lines, subscribed
from tests.factories import AddOnFactory, PlanFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def monthly():
    return PlanFactory(name="Month", prices={"USD": "31.00"})


@pytest.fixture
def yearly():
    return PlanFactory(name="Year", prices={"USD": "310.00"}, billing_period="yearly")


def standing():
    redemption = CouponRedemption.objects.get()
    return redemption.periods_left, redemption.status


def test_what_has_lessened_the_old_period_does_not_lessen_the_new_one(monthly, yearly):
    coupon(percent=Decimal(50))  # once
    subscription = subscribed(plan=monthly)

    asked = changes.request(subscription=subscription, plan=yearly, now=at(1, 11))

    # 21 of 31 days are left of 15.50.
    assert lines(asked.invoice) == [("subscription", "-10.50"), ("subscription", "310.00")]


def test_a_coupon_for_ever_lessens_it(monthly, yearly):
    coupon(percent=Decimal(50), duration="forever")
    subscription = subscribed(plan=monthly)

    quoted = changes.quote(subscription=subscription, plan=yearly, now=at(1, 11))
    asked = changes.request(subscription=subscription, plan=yearly, now=at(1, 11))

    assert str(quoted.amount_due) == "144.50"
    assert lines(asked.invoice) == [
        ("subscription", "-10.50"),
        ("subscription", "310.00"),
        ("discount", "-155.00"),
    ]
    pay(asked.invoice, now=at(1, 11))
    subscription.refresh_from_db()
    assert subscription.period_value == Decimal("155.00")


def test_it_uses_a_period_of_the_coupon(monthly, yearly):
    coupon(percent=Decimal(50), duration="periods", periods=2)
    subscription = subscribed(plan=monthly)

    asked = changes.request(subscription=subscription, plan=yearly, now=at(1, 11))
    pay(asked.invoice, now=at(1, 11))

    assert standing() == (0, "used_up")
    run(subscription, at(1, 11, year=2027))
    assert [str(each.total) for each in renewals(subscription)] == ["310.00"]


def test_not_paid_it_gives_the_period_back(monthly, yearly):
    coupon(percent=Decimal(50), duration="periods", periods=2)
    subscription = subscribed(plan=monthly)

    changes.request(subscription=subscription, plan=yearly, now=at(1, 11))
    assert standing() == (0, "used_up")
    changes.withdraw_pending(subscription=subscription, now=at(1, 11))

    assert standing() == (1, "active")


def test_asked_for_again_it_is_reckoned_with_the_period_that_comes_back(monthly, yearly):
    coupon(percent=Decimal(50), duration="periods", periods=2)
    subscription = subscribed(plan=monthly)
    changes.request(subscription=subscription, plan=yearly, now=at(1, 11))

    again = {"subscription": subscription, "plan": yearly, "quantity": 2, "now": at(1, 11)}
    quoted = changes.quote(**again)
    asked = changes.request(**again)

    assert str(quoted.amount_due) == str(asked.invoice.total) == "299.50"
    assert standing() == (0, "used_up")


def test_of_100_percent_it_is_an_invoice_of_zero(monthly, yearly):
    coupon(percent=Decimal(100), duration="forever")
    subscription = subscribed(plan=monthly)

    asked = changes.request(subscription=subscription, plan=yearly, now=at(1, 11))

    assert asked.is_applied
    assert lines(asked.invoice) == [("subscription", "310.00"), ("discount", "-310.00")]
    subscription.refresh_from_db()
    assert (subscription.name, subscription.period_value) == ("Year", 0)


def test_later_in_the_new_period_its_own_coupon_counts(monthly, yearly):
    coupon(percent=Decimal(50))
    coupon("LATER", percent=Decimal(10))
    subscription = subscribed(plan=monthly)
    coupon_steps.put_on(subscription=subscription, code="LATER", now=at(1, 2))
    asked = changes.request(subscription=subscription, plan=yearly, now=at(1, 11))
    pay(asked.invoice, now=at(1, 11))
    subscription.refresh_from_db()

    seats = changes.quote(subscription=subscription, quantity=2, now=at(1, 11))

    assert (str(seats.credit), str(seats.charge)) == ("279.00", "558.00")


def test_an_amount_is_taken_off_what_is_billed_alone(monthly, yearly):
    coupon_of({"USD": "10.00"}, duration="forever")
    add_on = AddOnFactory(prices={"USD": "9.00"})
    subscription = subscribed(plan=monthly, add_ons=[add_on])

    quoted = changes.quote(subscription=subscription, plan=yearly, now=at(1, 11))

    # Of 31.00 + 9.00 the plan had 7.75 of it: 21 of 31 days of 23.25 are left.
    assert (str(quoted.credit), str(quoted.charge)) == ("15.75", "300.00")
