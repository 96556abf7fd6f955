from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from billing.models import Coupon, CouponAmount, CouponRedemption, Event, Invoice
from billing.services import changes, coupon_steps, coupons, invoices, subscriptions
from billing.services.checkout import create
from billing.services.selection import Order
from catalog.money import Money
from tests.billing.purchases import pay, rows_of_billing
from tests.billing.renewals.story import Behaviour, at, renewals, run
from tests.factories import (
    AddOnFactory,
    PlanFactory,
    StaffFactory,
    TokenBundleFactory,
    UserFactory,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db
NOW = at(1, 1)


def coupon(code="SPRING", **columns):
    columns = {"name": "Spring", "kind": "percent", "percent": Decimal(20)} | columns
    return Coupon.objects.create(code=code, **columns)


def coupon_of(amounts, **columns):
    made = coupon(kind="amount", percent=None, **columns)
    for currency, amount in amounts.items():
        CouponAmount.objects.create(coupon=made, currency=currency, amount=Decimal(amount))
    return made


def buy(user=None, *, plan=None, code="SPRING", currency=None, now=NOW, bundles=(), add_ons=()):
    order = Order(
        plan_id=plan.pk if plan else None,
        token_bundle_ids=tuple(bundle.pk for bundle in bundles),
        add_on_ids=tuple(add_on.pk for add_on in add_ons),
        currency=currency,
        coupon_code=code,
    )
    with transaction.atomic():
        return create(user=user or UserFactory(), order=order, now=now)


def subscribed(behaviour=Behaviour.PAYS, **order):
    from billing.models import TestClock

    made = buy(**order)
    if made.invoice.status == "pending":
        pay(made.invoice, now=NOW)
    TestClock.objects.create(user_id=made.invoice.user_id, now_at=NOW, behaviour=behaviour)
    made.subscription.refresh_from_db()
    return made.subscription


def lines(invoice):
    return [(line.type, f"{line.amount:.2f}") for line in invoice.line_items.all()]


def money(*amounts, currency="USD"):
    return [Money(Decimal(amount), currency) for amount in amounts]


class TestDiscounts:
    def redemption(self, currency="USD", **terms):
        return CouponRedemption(currency=currency, **terms)

    @pytest.mark.parametrize(
        ("percent", "amounts", "off"),
        [
            ("20", ["29.00", "5.00"], ["5.80", "1.00"]),
            ("33.33", ["0.01", "0.01", "0.01"], ["0.01", "0.00", "0.00"]),
            # 10 % of 29.99 is 2.999, rounded once: 3.00.
            ("10", ["9.99", "10.00", "10.00"], ["1.00", "1.00", "1.00"]),
            ("100", ["29.00", "5.00"], ["29.00", "5.00"]),
            ("50", ["0.00", "5.00"], ["0.00", "2.50"]),
        ],
    )
    def test_a_percentage_is_rounded_once_and_spread(self, percent, amounts, off):
        redemption = self.redemption(percent=Decimal(percent))

        found = coupons.discounts(redemption=redemption, amounts=money(*amounts))

        assert [str(each) for each in found] == off

    def test_yen_have_no_places(self):
        redemption = self.redemption("JPY", percent=Decimal("12.5"))

        found = coupons.discounts(
            redemption=redemption, amounts=money("2900", "500", currency="JPY")
        )

        # 12.5 % of 3400 is 425: 362.5 and 62.5; what is left over goes to the first.
        assert [str(each) for each in found] == ["363", "62"]

    def test_an_amount_is_never_more_than_there_is(self):
        redemption = self.redemption(amount=Decimal("40.00"))

        found = coupons.discounts(redemption=redemption, amounts=money("29.00", "5.00"))

        assert [str(each) for each in found] == ["29.00", "5.00"]

    def test_an_amount_is_spread(self):
        redemption = self.redemption(amount=Decimal("10.00"))

        found = coupons.discounts(redemption=redemption, amounts=money("10.00", "10.00", "10.00"))

        assert [str(each) for each in found] == ["3.34", "3.33", "3.33"]


class TestAtTheCheckout:
    def test_lessens_plan_and_add_ons_but_no_bundles(self):
        coupon()
        made = buy(
            plan=PlanFactory(prices={"USD": "29.00"}),
            bundles=[TokenBundleFactory(prices={"USD": "10.50"})],
            add_ons=[AddOnFactory(prices={"USD": "5.00"})],
            code="spring",
        )

        assert lines(made.invoice) == [
            ("subscription", "29.00"),
            ("token_bundle", "10.50"),
            ("add_on", "5.00"),
            ("discount", "-5.80"),
            ("discount", "-1.00"),
        ]
        assert made.invoice.total_amount == Decimal("37.70")
        redemption = CouponRedemption.objects.get()
        assert (redemption.status, redemption.periods_left) == ("held", 0)
        pay(made.invoice, now=NOW)
        redemption.refresh_from_db()
        assert redemption.status == "used_up"
        made.subscription.refresh_from_db()
        assert made.subscription.period_value == Decimal("23.20")

    def test_of_100_percent_is_paid_at_once(self):
        coupon(percent=Decimal(100), duration="forever")

        made = buy(plan=PlanFactory(prices={"USD": "29.00"}))

        assert (made.invoice.total_amount, made.invoice.status) == (0, "paid")
        made.subscription.refresh_from_db()
        assert (made.subscription.status, made.subscription.period_value) == ("active", 0)
        assert CouponRedemption.objects.get().status == "active"

    def test_given_up_it_counts_no_more(self):
        made_of = coupon(max_redemptions=1)
        made = buy(plan=PlanFactory())
        made_of.refresh_from_db()
        assert made_of.redeemed == 1

        invoices.void(invoice=made.invoice, by=StaffFactory(), reason="A mistake.", now=NOW)

        made_of.refresh_from_db()
        assert made_of.redeemed == 0
        assert CouponRedemption.objects.get().status == "released"
        assert buy(plan=PlanFactory()).invoice.total_amount == Decimal("23.20")

    def test_by_the_api(self, signed_in):
        coupon()
        plan = PlanFactory(prices={"USD": "29.00"})

        response = signed_in(UserFactory()).post(
            "/api/v1/user/checkout",
            {"plan_id": str(plan.pk), "coupon_code": "Spring"},
            format="json",
        )

        assert response.status_code == 201
        assert response.json()["invoice"]["total_amount"] == "23.20"
        assert [line["type"] for line in response.json()["invoice"]["line_items"]] == [
            "subscription",
            "discount",
        ]

    @pytest.mark.parametrize("code", ["", "\0", "x" * 51, 5, ["SPRING"], "NOPE", "%"])
    def test_a_code_that_is_none_is_refused(self, signed_in, code):
        coupon()
        before = rows_of_billing()

        response = signed_in(UserFactory()).post(
            "/api/v1/user/checkout",
            {"plan_id": str(PlanFactory().pk), "coupon_code": code},
            format="json",
        )

        assert response.status_code == 400
        assert "coupon_code" in response.json()["error"]
        after = rows_of_billing()
        assert {**after, "Event": before["Event"]} == before


class TestRefusals:
    @pytest.mark.parametrize(
        ("columns", "code"),
        [
            ({"is_active": False}, "coupon_not_found"),
            ({"valid_until": NOW}, "coupon_expired"),
            ({"max_redemptions": 0}, "coupon_used_up"),
        ],
    )
    def test_says_why(self, columns, code):
        coupon(**columns)

        with pytest.raises(coupons.DomainError) as refused:
            buy(plan=PlanFactory())

        assert refused.value.code == code
        assert not Invoice.objects.exists()

    def test_for_other_plans(self):
        coupon().plans.set([PlanFactory()])

        with pytest.raises(coupons.CouponNotForPlan):
            buy(plan=PlanFactory())

    def test_without_a_plan(self):
        coupon()

        with pytest.raises(coupons.CouponNotForPlan):
            buy(bundles=[TokenBundleFactory()])

    def test_in_another_currency(self):
        coupon_of({"USD": "5.00"})

        with pytest.raises(coupons.CouponNotInCurrency):
            buy(plan=PlanFactory(prices={"EUR": "29.00"}), currency="EUR")

    def test_a_second_time_by_the_same_customer(self):
        made_of = coupon()
        user = UserFactory()
        buy(user, plan=PlanFactory())

        with pytest.raises(coupons.CouponUsedBefore):
            buy(user, plan=PlanFactory())

        made_of.refresh_from_db()
        assert made_of.redeemed == 1


class TestRenewals:
    def test_once(self):
        coupon()
        subscription = subscribed(plan=PlanFactory(prices={"USD": "29.00"}))

        run(subscription, at(2, 1))

        assert renewals(subscription)[0].total_amount == Decimal("29.00")

    def test_for_three_periods(self):
        coupon(duration="periods", periods=3)
        add_on = AddOnFactory(prices={"USD": "5.00"})
        subscription = subscribed(plan=PlanFactory(prices={"USD": "29.00"}), add_ons=[add_on])

        for month in (2, 3, 4):
            run(subscription, at(month, 1))

        amounts = [invoice.total_amount for invoice in renewals(subscription)]
        assert amounts == [Decimal("27.20"), Decimal("27.20"), Decimal("34.00")]
        assert CouponRedemption.objects.get().status == "used_up"

    def test_for_ever(self):
        coupon_of({"USD": "9.00"}, duration="forever")
        subscription = subscribed(plan=PlanFactory(prices={"USD": "29.00"}))

        run(subscription, at(6, 1))

        assert {invoice.total_amount for invoice in renewals(subscription)} == {Decimal("20.00")}

    def test_a_renewal_that_is_cancelled_uses_no_period(self):
        coupon(duration="periods", periods=2)
        subscription = subscribed(
            behaviour=Behaviour.NEVER_PAYS, plan=PlanFactory(prices={"USD": "29.00"})
        )
        run(subscription, at(2, 1))
        assert CouponRedemption.objects.get().periods_left == 0

        subscriptions.cancel(subscription=subscription, now=at(2, 2))

        redemption = CouponRedemption.objects.get()
        assert (redemption.periods_left, redemption.status) == (1, "active")

    def test_a_change_in_the_middle_keeps_the_discount(self):
        coupon(percent=Decimal(50), duration="forever")
        subscription = subscribed(plan=PlanFactory(prices={"USD": "31.00"}))
        pro = PlanFactory(prices={"USD": "62.00"})

        asked = changes.quote(subscription=subscription, plan=pro, now=at(1, 11))

        # 21 of 31 days are left of 15.50, and of 31.00.
        assert (str(asked.credit), str(asked.charge)) == ("10.50", "21.00")

    def test_a_change_in_the_middle_takes_an_amount_off_once(self):
        coupon_of({"USD": "10.00"}, duration="forever")
        add_on = AddOnFactory(prices={"USD": "9.00"})
        subscription = subscribed(plan=PlanFactory(prices={"USD": "31.00"}), add_ons=[add_on])
        pro = PlanFactory(prices={"USD": "62.00"})

        asked = changes.quote(subscription=subscription, plan=pro, now=at(1, 11))
        of_seats = changes.quote(
            subscription=subscription,
            add_on=subscription.add_ons.get(),
            quantity=2,
            now=at(1, 11),
        )

        # Of 10.00 the plan had 7.75, and would have 10.00 × 62 / 71 = 8.73: 21 of 31 days are
        # left of 23.25 = 15.75, and of 53.27 = 36.0861….
        assert (str(asked.credit), str(asked.charge)) == ("15.75", "36.08")
        # The add-on had 2.25, and would have 10.00 × 18 / 49 = 3.67: of 6.75 are left
        # 4.5725…, of 14.33 9.7074….
        assert (str(of_seats.credit), str(of_seats.charge)) == ("4.58", "9.70")

    def test_what_was_bought_without_it_has_no_part_of_it(self):
        coupon_of({"USD": "10.00"}, duration="forever")
        subscription = subscribed(plan=PlanFactory(prices={"USD": "31.00"}))
        joined = buy(subscription.user, add_ons=[AddOnFactory(prices={"USD": "9.00"})], code=None)
        pay(joined.invoice, now=NOW)

        asked = changes.quote(
            subscription=subscription, plan=PlanFactory(prices={"USD": "41.00"}), now=at(1, 11)
        )

        # 21 of 31 days of 21.00 = 14.2258…, and of 31.00.
        assert (str(asked.credit), str(asked.charge)) == ("14.23", "21.00")

    def test_a_change_in_the_middle_goes_on_with_the_coupon_of_the_period(self):
        """Whatever was put on since lessens the next one."""
        coupon(percent=Decimal(50))
        coupon("LATER", percent=Decimal(100))
        subscription = subscribed(plan=PlanFactory(prices={"USD": "31.00"}))
        coupon_steps.put_on(subscription=subscription, code="LATER", now=at(1, 2))

        asked = changes.quote(
            subscription=subscription, plan=PlanFactory(prices={"USD": "62.00"}), now=at(1, 11)
        )

        assert (str(asked.credit), str(asked.charge)) == ("10.50", "21.00")

    def test_what_was_lessened_on_another_invoice_has_its_own_coupon_only(self):
        """The week that begins at the moment of the first change was lessened by itself."""
        coupon_of({"USD": "3.00"}, duration="forever")
        watch = AddOnFactory(billing_period="weekly", prices={"USD": "1.00"})
        subscription = subscribed(
            plan=PlanFactory(prices={"USD": "290.00"}, billing_period="yearly"), add_ons=[watch]
        )
        run(subscription, at(1, 8))
        month = PlanFactory(prices={"USD": "40.00"})
        changes.request(subscription=subscription, plan=month, now=at(1, 8))
        subscription.refresh_from_db()

        asked = changes.quote(subscription=subscription, quantity=2, now=at(1, 8))

        assert str(asked.charge) == "77.00"

    def test_a_period_comes_back_to_a_coupon_that_was_taken_off_but_does_not_put_it_on(self):
        coupon(duration="periods", periods=3)
        subscription = subscribed(
            behaviour=Behaviour.NEVER_PAYS, plan=PlanFactory(prices={"USD": "29.00"})
        )
        run(subscription, at(2, 1))
        coupon_steps.take_off(subscription=subscription, now=at(2, 2))

        subscriptions.cancel(subscription=subscription, now=at(2, 3))

        redemption = CouponRedemption.objects.get()
        assert (redemption.periods_left, redemption.status) == (2, "used_up")

    def test_a_period_does_not_come_back_to_another_coupon(self):
        coupon()
        coupon("HALF", percent=Decimal(50), duration="forever")
        subscription = subscribed(
            behaviour=Behaviour.NEVER_PAYS, plan=PlanFactory(prices={"USD": "29.00"})
        )
        coupon_steps.put_on(subscription=subscription, code="HALF", now=at(1, 2))
        run(subscription, at(2, 1))
        coupon_steps.take_off(subscription=subscription, now=at(2, 2))

        subscriptions.cancel(subscription=subscription, now=at(2, 3))

        found = CouponRedemption.objects.order_by("pk").values_list("periods_left", "status")
        assert list(found) == [(0, "used_up"), (None, "used_up")]


class TestOnASubscription:
    def test_lessens_the_next_renewal(self):
        coupon()
        subscription = subscribed(plan=PlanFactory(prices={"USD": "29.00"}), code=None)

        coupon_steps.put_on(subscription=subscription, code="Spring", now=at(1, 10))
        run(subscription, at(3, 1))

        amounts = [invoice.total_amount for invoice in renewals(subscription)]
        assert amounts == [Decimal("23.20"), Decimal("29.00")]
        told = Event.objects.get(name="coupon.redeemed").payload
        assert told["coupon"] == "SPRING"
        assert (told["percent"], told["amount"], told["periods"]) == ("20.00", None, 1)

    def test_is_taken_off(self):
        coupon()
        subscription = subscribed(plan=PlanFactory(prices={"USD": "29.00"}), code=None)
        coupon_steps.put_on(subscription=subscription, code="SPRING", now=at(1, 10))

        coupon_steps.take_off(subscription=subscription, now=at(1, 11))
        run(subscription, at(2, 1))

        assert renewals(subscription)[0].total_amount == Decimal("29.00")
        with pytest.raises(coupon_steps.NoCoupon):
            coupon_steps.take_off(subscription=subscription, now=at(2, 2))

    def test_there_is_one_at_a_time(self):
        coupon(duration="forever")
        coupon("AUTUMN")
        subscription = subscribed(plan=PlanFactory())

        with pytest.raises(coupon_steps.CouponOnSubscription):
            coupon_steps.put_on(subscription=subscription, code="AUTUMN", now=at(1, 10))

        assert Coupon.objects.get(code="AUTUMN").redeemed == 0


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
class TestTheLastOne:
    def test_of_eight_customers_at_once_one_gets_it(self):
        made_of = coupon(max_redemptions=5, redeemed=4)
        plan = PlanFactory()
        users = [UserFactory() for _ in range(8)]

        def ask(user):
            try:
                buy(user, plan=plan)
            except coupons.CouponUsedUp:
                return "used up"
            finally:
                connection.close()
            return "bought"

        answers = at_once(8, lambda number: ask(users[number]))

        assert sorted(answers) == ["bought"] + ["used up"] * 7
        made_of.refresh_from_db()
        assert made_of.redeemed == 5
        assert Invoice.objects.count() == 1

    def test_a_customer_at_once_with_themselves_gets_it_once(self):
        coupon()
        plan, user = PlanFactory(), UserFactory()

        def ask():
            try:
                buy(user, plan=plan)
            except coupons.CouponUsedBefore:
                return "used before"
            finally:
                connection.close()
            return "bought"

        assert sorted(at_once(4, lambda _number: ask())) == ["bought"] + ["used before"] * 3


def test_a_coupon_lasts_a_moment_longer_than_it_is_not_over():
    made_of = coupon(valid_until=NOW)

    found = coupons.find(
        code="SPRING", plan_id=PlanFactory().pk, currency="USD", now=NOW - timedelta(seconds=1)
    )

    assert found == made_of
