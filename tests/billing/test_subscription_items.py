from datetime import UTC, datetime, timedelta

import pytest

from billing.models import AddOnSubscription, Coupon, CouponRedemption, Invoice, TestClock
from billing.services import books, clocks
from billing.services.renewals import running
from tests.billing.purchases import check_out, pay
from tests.factories import AddOnFactory, PlanFactory, UserFactory

pytestmark = pytest.mark.django_db

OWN = "/api/v1/user/subscriptions"
MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
TENTH = datetime(2026, 3, 10, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def books_hold(db):
    yield
    assert [result.name for result in books.verify() if result.violations] == []


@pytest.fixture
def subscription(clock, customer):
    """Pro for 29.00 with Support for 5.00 since noon on 1 March; it is the 10th by now."""
    made = check_out(
        customer,
        plan=PlanFactory(name="Pro"),
        add_ons=[AddOnFactory(name="Support", prices={"USD": "5.00"})],
        now=MARCH,
    )
    pay(made.invoice, now=MARCH)
    clock.move_to(TENTH)
    made.subscription.refresh_from_db()
    return made.subscription


@pytest.fixture
def add_on(subscription):
    return subscription.add_ons.get()


@pytest.fixture
def client(subscription, customer, signed_in):
    return signed_in(customer)


@pytest.fixture
def coupon():
    return Coupon.objects.create(
        code="SPRING", name="Spring", percent=50, duration="periods", periods=2
    )


def refusal(response, status, code):
    assert response.status_code == status, response.json()
    assert response.json()["code"] == code


class TestList:
    def test_shows_each_add_on(self, client, subscription, add_on):
        (shown,) = client.get(f"{OWN}/{subscription.pk}/addons").json()["add_ons"]

        assert (shown["id"], shown["status"], shown["is_valid"]) == (
            str(add_on.pk),
            "active",
            True,
        )

    def test_not_another_customers(self, signed_in, subscription):
        stranger = signed_in(UserFactory())

        assert stranger.get(f"{OWN}/{subscription.pk}/addons").status_code == 404


class TestCancel:
    def path(self, add_on, action="cancel"):
        return f"{OWN}/{add_on.subscription_id}/addons/{add_on.pk}/{action}"

    def test_runs_to_its_end_and_is_not_renewed(self, client, add_on, customer):
        response = client.post(self.path(add_on))

        assert response.status_code == 200
        shown = response.json()["add_on"]
        assert (shown["status"], shown["is_valid"]) == ("cancelled", True)
        assert shown["expires_at"] == "2026-04-01T12:00:00Z"
        running.run(now=APRIL)
        renewal = Invoice.objects.get(reason="renewal")
        assert [line.description for line in renewal.line_items.all()] == ["Pro"]
        add_on.refresh_from_db()
        assert not add_on.is_valid_at(APRIL)

    def test_takes_a_renewal_back_that_is_invoiced_already(self, client, add_on, settings):
        settings.BILLING_INVOICE_DAYS_BEFORE = 30
        running.run(now=TENTH)
        early = Invoice.objects.get(reason="renewal")

        client.post(self.path(add_on))
        running.run(now=TENTH)

        early.refresh_from_db()
        assert early.status == "cancelled"
        (renewal,) = Invoice.objects.filter(reason="renewal").exclude(pk=early.pk)
        assert str(renewal.total) == "29.00"

    def test_is_taken_back(self, client, add_on):
        client.post(self.path(add_on))

        response = client.post(self.path(add_on, "uncancel"))

        assert response.json()["add_on"]["status"] == "active"
        assert response.json()["add_on"]["cancelled_at"] is None
        running.run(now=APRIL)
        assert str(Invoice.objects.get(reason="renewal").total) == "34.00"

    def test_once(self, client, add_on):
        client.post(self.path(add_on))

        refusal(client.post(self.path(add_on)), 400, "subscription_state_forbids")

    def test_is_not_taken_back_when_it_is_over(self, clock, customer, signed_in, client, add_on):
        client.post(self.path(add_on))
        running.run(now=APRIL)
        clock.move_to(APRIL)
        later = signed_in(customer)

        refusal(later.post(self.path(add_on, "uncancel")), 400, "subscription_state_forbids")

    def test_is_not_taken_back_while_it_is_not_cancelled(self, client, add_on):
        refusal(client.post(self.path(add_on, "uncancel")), 400, "subscription_state_forbids")

    def test_is_not_taken_back_without_its_subscription(self, client, add_on):
        client.post(self.path(add_on))
        client.post(f"{OWN}/{add_on.subscription_id}/cancel")

        refusal(client.post(self.path(add_on, "uncancel")), 400, "subscription_state_forbids")

    def test_not_in_a_pause(self, client, add_on):
        client.post(f"{OWN}/{add_on.subscription_id}/pause")

        for action in ("cancel", "uncancel"):
            refusal(client.post(self.path(add_on, action)), 400, "subscription_state_forbids")

    def test_not_while_its_renewal_is_unpaid(self, clock, client, add_on, customer):
        TestClock.objects.create(user=customer, now_at=TENTH, behaviour="never_pays")
        clocks.turn(user=customer, to=APRIL + timedelta(hours=1), now=TENTH)

        refusal(client.post(self.path(add_on)), 400, "subscription_past_due")

    def test_of_another_subscription(self, client, subscription, add_on):
        other = check_out(UserFactory(), plan=PlanFactory(), add_ons=[AddOnFactory()], now=MARCH)
        pay(other.invoice, now=MARCH)
        theirs = AddOnSubscription.objects.exclude(pk=add_on.pk).get()

        response = client.post(f"{OWN}/{subscription.pk}/addons/{theirs.pk}/cancel")

        assert response.status_code == 404
        theirs.refresh_from_db()
        assert theirs.status == "active"


class TestCoupon:
    def path(self, subscription):
        return f"{OWN}/{subscription.pk}/coupon"

    def test_lessens_the_next_renewals(self, client, subscription, coupon):
        response = client.post(self.path(subscription), {"coupon_code": "spring"})

        assert response.status_code == 201
        assert response.json()["coupon"] == {
            "code": "SPRING",
            "name": "Spring",
            "percent": "50.00",
            "amount": None,
            "currency": "USD",
            "periods_left": 2,
            "status": "active",
        }
        running.run(now=APRIL)
        assert str(Invoice.objects.get(reason="renewal").total) == "17.00"
        assert client.get(self.path(subscription)).json()["coupon"]["periods_left"] == 1

    def test_of_an_amount(self, client, subscription):
        less = Coupon.objects.create(code="LESS", name="Less", kind="amount", duration="forever")
        less.amounts.create(currency="USD", amount=7)

        shown = client.post(self.path(subscription), {"coupon_code": "LESS"}).json()["coupon"]

        assert (shown["percent"], shown["amount"], shown["periods_left"]) == (None, "7.00", None)

    def test_is_taken_off(self, client, subscription, coupon):
        client.post(self.path(subscription), {"coupon_code": "SPRING"})

        response = client.delete(self.path(subscription))

        assert response.status_code == 200
        assert response.json()["coupon"]["status"] == "used_up"
        assert client.get(self.path(subscription)).json() == {"coupon": None}
        refusal(client.delete(self.path(subscription)), 400, "no_coupon")

    def test_there_is_one_at_a_time(self, client, subscription, coupon):
        client.post(self.path(subscription), {"coupon_code": "SPRING"})

        again = client.post(self.path(subscription), {"coupon_code": "SPRING"})

        refusal(again, 409, "coupon_already_on_subscription")
        assert CouponRedemption.objects.count() == 1

    @pytest.mark.parametrize("body", [{}, {"coupon_code": None}, {"coupon_code": 5}])
    def test_that_is_no_code(self, client, subscription, body):
        refusal(client.post(self.path(subscription), body), 400, "validation_error")

    def test_that_there_is_not(self, client, subscription):
        refusal(
            client.post(self.path(subscription), {"coupon_code": "NONE"}), 400, "coupon_not_found"
        )

    def test_not_on_another_customers(self, signed_in, subscription, coupon):
        stranger = signed_in(UserFactory())

        response = stranger.post(self.path(subscription), {"coupon_code": "SPRING"})

        assert response.status_code == 404
        assert not CouponRedemption.objects.exists()


class TestOwnTime:
    """A customer whose clock was turned sees and does everything at the time that it shows."""

    @pytest.fixture
    def turned(self, subscription, customer):
        TestClock.objects.create(user=customer, now_at=TENTH)
        clocks.turn(user=customer, to=datetime(2027, 1, 11, 12, tzinfo=UTC), now=TENTH)
        return subscription

    def test_sees(self, client, turned):
        (shown,) = client.get(OWN).json()["subscriptions"]

        assert shown["expires_at"] == "2027-02-01T12:00:00Z"
        assert shown["days_remaining"] == 21

    def test_does(self, client, turned):
        dear = PlanFactory(prices={"USD": "60.00"})

        asked = client.get(f"{OWN}/{turned.pk}/proration", {"new_plan_id": str(dear.pk)})

        # 21 of 31 days, 40.64 less 19.65: the part of a cent is the customer's.
        assert asked.json()["proration"]["amount_due"] == "20.99"
        assert asked.json()["proration"]["days_remaining"] == 21

    def test_is_nobody_elses(self, client, turned, signed_in):
        other = UserFactory()
        check_out(other, plan=PlanFactory(prices={"USD": "0"}), now=TENTH)

        client.get(OWN)
        (shown,) = signed_in(other).get(OWN).json()["subscriptions"]

        assert shown["days_remaining"] == 31

    def test_is_the_worlds_in_production(self, client, turned, settings):
        settings.BILLING_TEST_CLOCKS = False

        (shown,) = client.get(OWN).json()["subscriptions"]

        assert shown["days_remaining"] == 328
