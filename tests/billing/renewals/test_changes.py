from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import (
    AddOnSubscription,
    CreditAccount,
    CreditEntry,
    Event,
    Invoice,
    SubscriptionChange,
)
from billing.services import books, change_quotes, changes, customer_credit, subscriptions
from catalog.money import Money
from tests.billing.purchases import pay, rows_of_billing
from tests.billing.renewals.story import Behaviour, at, renewals, run, subscriber
from tests.factories import AddOnFactory, PlanFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def books_hold(db):
    """Whatever was changed, the books add up after it."""
    yield
    assert [result.name for result in books.verify() if result.violations] == []


def plan(name, amount, **columns):
    currency = columns.pop("currency", "USD")
    return PlanFactory(name=name, prices={currency: amount}, **columns)


def lines(invoice):
    return [
        (line.description, str(line.quantity), f"{line.amount:.2f}")
        for line in invoice.line_items.all()
    ]


def credit_of(subscription):
    return [str(money) for money in customer_credit.balances(user_id=subscription.user_id)]


def request(subscription, now, **wanted):
    done = changes.request(subscription=subscription, now=now, **wanted)
    subscription.refresh_from_db()
    return done


def request_and_pay(subscription, now, **wanted):
    done = request(subscription, now, **wanted)
    if done.invoice and done.invoice.status == "pending":
        pay(done.invoice, now=now)
    subscription.refresh_from_db()
    return done


class TestUpgradeOnDay10Of31:
    """Basic at 29.00 since 1 January, to Pro at 99.00 on 10 January at noon: 22 of 31 days left."""

    NOW = at(1, 10)

    @pytest.fixture
    def basic(self):
        return subscriber(plan=plan("Basic", "29.00"), now=at(1, 1))

    def test_the_quote_is_what_is_charged(self, basic):
        pro = plan("Pro", "99.00")

        asked = changes.quote(subscription=basic, plan=pro, now=self.NOW)

        # 29.00 × 22 / 31 = 20.5806…, rounded up; 99.00 × 22 / 31 = 70.2580…, rounded down.
        assert (str(asked.credit), str(asked.charge)) == ("20.59", "70.25")
        assert str(asked.amount_due) == "49.66"
        assert (asked.days_remaining, asked.takes_effect) == (22, "now")

    def test_is_told_so_that_it_can_be_reckoned_again(self, basic):
        pro = plan("Pro", "99.00")

        done = request(basic, self.NOW, plan=pro, quantity=2)

        (event,) = Event.objects.filter(name="subscription.change_requested")
        told = {name: event.payload[name] for name in ("plan_id", "add_on_id", "invoice_id")}
        assert told == {
            "plan_id": str(pro.pk),
            "add_on_id": None,
            "invoice_id": str(done.invoice.pk),
        }
        terms = ("price", "quantity", "billing_period", "arrival")
        assert [event.payload[name] for name in terms] == ["99.00", 2, "monthly", "prorated"]

    def test_nothing_changes_before_it_is_paid(self, basic):
        done = request(basic, self.NOW, plan=plan("Pro", "99.00"))

        assert (done.invoice.reason, done.invoice.status) == ("change", "pending")
        assert done.invoice.total_amount == Decimal("49.66")
        assert done.invoice.expires_at == self.NOW + DAY
        assert lines(done.invoice) == [
            ("Basic: what is not used of it", "1", "-20.59"),
            ("Pro for the rest of the period", "1", "70.25"),
        ]
        assert basic.name == "Basic"

    def test_paid_it_is_the_other_plan_to_the_same_end(self, basic):
        pro = plan("Pro", "99.00")

        request_and_pay(basic, self.NOW, plan=pro)

        assert (basic.plan, basic.name, basic.amount) == (pro, "Pro", Decimal(99))
        assert (basic.period_start, basic.expires_at) == (at(1, 1), at(2, 1))
        assert basic.period_value == Decimal("99.00")
        (event,) = Event.objects.filter(name="subscription.changed")
        assert (event.payload["from"]["name"], event.payload["to"]["name"]) == ("Basic", "Pro")
        run(basic, at(2, 1))
        assert renewals(basic)[0].total_amount == Decimal("99.00")

    def test_in_days_of_the_seller(self, basic, settings):
        settings.BILLING_PRORATION = "day"
        settings.BILLING_TIME_ZONE = "Asia/Tokyo"  # noon is 21:00 there: the same day

        asked = changes.quote(subscription=basic, plan=plan("Pro", "99.00"), now=at(1, 10, 14))

        # From 10 January, which belongs to Pro, to 1 February: 22 of 31 days.
        assert (str(asked.credit), str(asked.charge)) == ("20.59", "70.25")
        late = changes.quote(subscription=basic, plan=plan("Max", "99.00"), now=at(1, 10, 16))
        assert (str(late.credit), str(late.charge)) == ("19.65", "67.06")  # the 11th in Tokyo

    def test_a_new_wish_takes_the_place_of_one_that_waits(self, basic):
        first = request(basic, self.NOW, plan=plan("Pro", "99.00"))

        second = request(basic, self.NOW + DAY, plan=plan("Max", "199.00"))

        first.invoice.refresh_from_db()
        assert first.invoice.status == "cancelled"
        statuses = SubscriptionChange.objects.order_by("pk").values_list("status", flat=True)
        assert list(statuses) == ["cancelled", "pending"]
        with pytest.raises(Exception, match="cancelled"):
            pay(first.invoice, now=self.NOW + DAY)
        pay(second.invoice, now=self.NOW + DAY)
        basic.refresh_from_db()
        assert basic.name == "Max"

    def test_what_is_not_paid_in_time_is_given_up(self, basic):
        done = request(basic, self.NOW, plan=plan("Pro", "99.00"))

        assert run(basic, self.NOW + DAY).given_up == 1

        done.invoice.refresh_from_db()
        assert done.invoice.status == "cancelled"
        assert SubscriptionChange.objects.get().status == "cancelled"
        assert basic.name == "Basic"

    def test_paid_in_another_period_it_no_longer_fits(self, basic, settings):
        settings.BILLING_CHANGE_HOURS = 24 * 60
        done = request(basic, self.NOW, plan=plan("Pro", "99.00"))
        run(basic, at(2, 1))

        with pytest.raises(Exception, match="kept for resolution"):
            pay(done.invoice, now=at(2, 2))

        basic.refresh_from_db()
        assert basic.name == "Basic"


class TestToLess:
    def test_what_the_credit_is_more_is_used_by_the_next_invoice(self):
        subscription = subscriber(plan=plan("Pro", "99.00"), now=at(1, 1))

        done = request_and_pay(subscription, at(1, 10), plan=plan("Basic", "29.00"))

        # 99.00 × 22 / 31 = 70.2580… up, 29.00 × 22 / 31 = 20.5806… down: 49.68 are left over.
        assert (str(done.quote.credit), str(done.quote.charge)) == ("70.26", "20.58")
        assert (done.invoice.total_amount, done.invoice.status) == (0, "paid")
        assert lines(done.invoice) == [
            ("Pro: what is not used of it", "1", "-20.58"),
            ("Basic for the rest of the period", "1", "20.58"),
        ]
        assert credit_of(subscription) == ["49.68"]
        run(subscription, at(2, 1))
        run(subscription, at(3, 1))
        first, second = renewals(subscription)
        assert lines(first) == [("Basic", "1", "29.00"), ("Credit from before", "1", "-29.00")]
        assert lines(second) == [("Basic", "1", "29.00"), ("Credit from before", "1", "-20.68")]
        assert (first.total_amount, second.total_amount) == (0, Decimal("8.32"))
        entries = CreditEntry.objects.order_by("sequence").values_list("type", "amount")
        assert list(entries) == [
            ("change", Decimal("49.68")),
            ("used", Decimal("-29.00")),
            ("used", Decimal("-20.68")),
        ]
        assert credit_of(subscription) == []

    def test_to_a_free_plan_needs_no_invoice(self):
        subscription = subscriber(plan=plan("Pro", "31.00"), now=at(1, 1))

        done = request(subscription, at(1, 11), plan=plan("Free", "0.00"))

        assert done.invoice is None
        assert (subscription.name, subscription.period_value) == ("Free", 0)
        assert credit_of(subscription) == ["21.00"]

    def test_at_the_end_of_the_period_nothing_is_given_back(self):
        basic = plan("Basic", "29.00")
        subscription = subscriber(plan=plan("Pro", "99.00"), now=at(1, 1))

        changes.at_period_end(subscription=subscription, plan=basic, now=at(1, 10))

        subscription.refresh_from_db()
        assert (subscription.name, subscription.pending_plan) == ("Pro", basic)
        run(subscription, at(2, 1))
        assert (subscription.name, renewals(subscription)[0].total_amount) == (
            "Basic",
            Decimal("29.00"),
        )
        assert credit_of(subscription) == []

    def test_the_plan_that_it_has_takes_the_wish_back(self):
        pro = plan("Pro", "99.00")
        subscription = subscriber(plan=pro, now=at(1, 1))
        basic = plan("Basic", "29.00")
        changes.at_period_end(subscription=subscription, plan=basic, now=at(1, 10))

        changes.at_period_end(subscription=subscription, plan=pro, now=at(1, 11))

        subscription.refresh_from_db()
        assert (subscription.pending_plan, subscription.pending_price) == (None, None)


class TestAnotherLengthOfPeriod:
    def test_yearly_to_monthly_begins_a_month_and_keeps_the_rest_as_credit(self):
        year = plan("Year", "365.00", billing_period="yearly")
        subscription = subscriber(plan=year, now=at(1, 1))

        done = request_and_pay(subscription, at(1, 11), plan=plan("Month", "40.00"))

        # 365.00 × 355 / 365 = 355.00 back, 40.00 for the month: 315.00 are left over.
        assert str(done.quote.credit) == "355.00"
        assert lines(done.invoice) == [
            ("Year: what is not used of it", "1", "-40.00"),
            ("Month", "1", "40.00"),
        ]
        assert credit_of(subscription) == ["315.00"]
        assert (subscription.period_start, subscription.expires_at) == (at(1, 11), at(2, 11))
        assert subscription.anchor_at == at(1, 11)

    def test_monthly_to_yearly_on_29_february(self):
        subscription = subscriber(plan=plan("Month", "29.00"), now=at(2, 1, year=2028))
        year = plan("Year", "290.00", billing_period="yearly")

        done = request_and_pay(subscription, at(2, 29, year=2028), plan=year)

        # 1 of 29 days is left: 1.00 back.
        assert done.invoice.total_amount == Decimal("289.00")
        assert subscription.expires_at == at(2, 28, year=2029)
        run(subscription, at(2, 28, year=2029))
        assert subscription.expires_at == at(2, 28, year=2030)

    def test_from_a_plan_for_ever_nothing_is_given_back(self):
        subscription = subscriber(plan=plan("Once", "500.00", billing_period="one_time"))

        done = request_and_pay(subscription, at(3, 1), plan=plan("Month", "40.00"))

        assert (str(done.quote.credit), str(done.quote.amount_due)) == ("0.00", "40.00")
        assert subscription.expires_at == at(4, 1)


class TestArrival:
    def test_at_full_price_a_new_period_begins_and_nothing_is_given_back(self):
        subscription = subscriber(plan=plan("Basic", "29.00"), now=at(1, 1))
        pack = plan("Pack", "60.00", arrival="full_price")

        done = request_and_pay(subscription, at(1, 10), plan=pack)

        assert lines(done.invoice) == [("Pack", "1", "60.00")]
        assert (subscription.period_start, subscription.expires_at) == (at(1, 10), at(2, 10))

    def test_at_the_end_of_the_period(self):
        subscription = subscriber(plan=plan("Basic", "29.00"), now=at(1, 1))
        later = plan("Later", "60.00", arrival="period_end")

        done = request(subscription, at(1, 10), plan=later)

        assert (done.invoice, done.quote.takes_effect) == (None, "period_end")
        assert (subscription.name, subscription.pending_plan) == ("Basic", later)


class TestSeats:
    def test_up_and_down(self):
        subscription = subscriber(plan=plan("Team", "31.00"), now=at(1, 1))

        up = request_and_pay(subscription, at(1, 11), quantity=3)

        # 21 of 31 days: 31.00 × 21 / 31 = 21.00 back, 93.00 × 21 / 31 = 63.00.
        assert up.invoice.total_amount == Decimal("42.00")
        assert lines(up.invoice) == [
            ("Team: what is not used of it", "1", "-21.00"),
            ("3 × Team for the rest of the period", "1", "63.00"),
        ]
        assert (subscription.quantity, subscription.period_value) == (3, Decimal("93.00"))

        down = request_and_pay(subscription, at(1, 21), quantity=2)

        # 11 of 31 days: 33.00 back, 22.00.
        assert (str(down.quote.credit), str(down.quote.charge)) == ("33.00", "22.00")
        assert credit_of(subscription) == ["11.00"]
        run(subscription, at(2, 1))
        assert lines(renewals(subscription)[0]) == [
            ("Team", "2", "62.00"),
            ("Credit from before", "1", "-11.00"),
        ]

    def test_of_an_add_on(self):
        add_on = AddOnFactory(name="Seat", prices={"USD": "6.20"})
        subscription = subscriber(plan=plan("Team", "31.00"), add_ons=[add_on], now=at(1, 1))
        bought = AddOnSubscription.objects.get()

        done = request_and_pay(subscription, at(1, 11), quantity=2, add_on=bought)

        # 6.20 × 21 / 31 = 4.20 back, 12.40 × 21 / 31 = 8.40.
        assert done.invoice.total_amount == Decimal("4.20")
        assert done.invoice.line_items.first().type == "add_on"
        bought.refresh_from_db()
        assert (bought.quantity, bought.period_value) == (2, Decimal("12.40"))
        run(subscription, at(2, 1))
        assert renewals(subscription)[0].total_amount == Decimal("43.40")

    @pytest.mark.parametrize("quantity", [0, -1, 10_001])
    def test_out_of_range(self, quantity):
        subscription = subscriber()

        with pytest.raises(change_quotes.InvalidQuantity):
            request(subscription, at(2, 10), quantity=quantity)


class TestMoneyOfOtherCountries:
    def test_yen_have_no_places(self):
        subscription = subscriber(
            plan=plan("Basic", "2900", currency="JPY"), now=at(1, 1), currency="JPY"
        )

        done = request(subscription, at(1, 10), plan=plan("Pro", "9900", currency="JPY"))

        # 2900 × 22 / 31 = 2058.06…, 9900 × 22 / 31 = 7025.8…
        assert (str(done.quote.credit), str(done.quote.charge)) == ("2059", "7025")
        assert done.invoice.total_amount == 4966

    def test_a_plan_without_a_price_in_the_currency_is_refused(self):
        subscription = subscriber(plan=plan("Basic", "29.00"), now=at(1, 1))
        before = rows_of_billing()

        with pytest.raises(change_quotes.PriceNotAvailable, match="has no price in USD"):
            request(subscription, at(1, 10), plan=plan("Pro", "99.00", currency="EUR"))

        assert rows_of_billing() == before


class TestRefusals:
    def test_nothing_to_change(self):
        subscription = subscriber()

        with pytest.raises(change_quotes.NothingToChange):
            request(subscription, at(2, 10), plan=subscription.plan)

    def test_past_due(self):
        subscription = subscriber(behaviour=Behaviour.NEVER_PAYS)
        run(subscription, at(2, 28))

        with pytest.raises(change_quotes.PastDue):
            request(subscription, at(3, 1), plan=plan("Pro", "99.00"))

        assert renewals(subscription)[0].status == "failed"

    @pytest.mark.parametrize("done", ["pause", "cancel"])
    def test_paused_or_cancelled(self, done):
        subscription = subscriber()
        getattr(subscriptions, done)(subscription=subscription, now=at(2, 5))

        with pytest.raises(subscriptions.SubscriptionStateForbids):
            request(subscription, at(2, 10), plan=plan("Pro", "99.00"))

    def test_a_plan_that_is_not_sold(self):
        subscription = subscriber()

        with pytest.raises(change_quotes.PlanNotActive):
            request(subscription, at(2, 10), plan=plan("Old", "9.00", is_active=False))

    def test_the_next_period_is_paid_already(self, settings):
        settings.BILLING_INVOICE_DAYS_BEFORE = 7
        subscription = subscriber(now=at(1, 1))
        run(subscription, at(1, 26))
        pay(renewals(subscription)[0], now=at(1, 27))
        subscription.refresh_from_db()

        with pytest.raises(change_quotes.PaidInAdvance):
            request(subscription, at(1, 28), plan=plan("Pro", "99.00"))

    def test_a_renewal_that_is_not_due_is_withdrawn(self, settings):
        settings.BILLING_INVOICE_DAYS_BEFORE = 7
        subscription = subscriber(plan=plan("Basic", "29.00"), now=at(1, 1))
        run(subscription, at(1, 26))

        request_and_pay(subscription, at(1, 27), plan=plan("Pro", "99.00"))
        run(subscription, at(2, 1))

        first, second = renewals(subscription)
        assert (first.status, second.status) == ("cancelled", "paid")
        assert second.total_amount == Decimal("99.00")


class TestCredit:
    def test_of_an_invoice_that_is_not_paid_comes_back(self):
        subscription = subscriber(
            plan=plan("Pro", "99.00"), now=at(1, 1), behaviour=Behaviour.NEVER_PAYS
        )
        request_and_pay(subscription, at(1, 31), plan=plan("Basic", "29.00"))
        before = credit_of(subscription)

        run(subscription, at(2, 1))
        assert credit_of(subscription) == []
        subscriptions.cancel(subscription=subscription, now=at(2, 2))

        assert credit_of(subscription) == before != []

    def test_is_never_below_zero(self):
        subscription = subscriber()
        customer_credit.add(
            user_id=subscription.user_id,
            money=Money(Decimal("5.00"), "USD"),
            kind="change",
            reference=subscription.pk,
            now=at(2, 1),
        )

        run(subscription, subscription.expires_at)

        assert str(Invoice.objects.get(reason="renewal").total) == "24.00"
        assert CreditAccount.objects.get().balance == 0


PRICES = st.decimals(min_value=0, max_value=500, places=2)
STEPS = st.lists(
    st.tuples(PRICES, st.integers(1, 3), st.integers(1, 6 * 24 * 3600)), min_size=1, max_size=6
)


class TestAChainOfChanges:
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(first=PRICES, steps=STEPS)
    def test_never_costs_more_than_the_dearest_plan_held_all_the_time(self, db, first, steps):
        subscription = subscriber(plan=plan("First", str(first)), now=at(1, 1))
        now, dearest, asked = at(1, 1), first, first
        for price, seats, seconds in steps:
            now += timedelta(seconds=seconds)
            if now >= subscription.expires_at:
                break
            done = request_and_pay(subscription, now, plan=plan("Next", str(price)), quantity=seats)
            dearest = max(dearest, price * seats)
            asked += done.quote.charge.amount - done.quote.credit.amount

        invoiced = sum(
            invoice.total_amount for invoice in Invoice.objects.filter(subscription=subscription)
        )
        credit = sum(
            money.amount for money in customer_credit.balances(user_id=subscription.user_id)
        )
        assert asked <= dearest
        assert invoiced - credit == asked
