"""What a change of prices means is said before it is saved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing.services import subscriptions
from catalog.models import Plan
from catalog.money import Money
from catalog.services import prices
from tests.billing.purchases import check_out, pay, subscribe
from tests.catalog.desk import errors, filled_in, page_of, prices_of, said_yes, save
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
APRIL = "2026-04-01T00:00"


def told(question) -> dict[str, list[str]]:
    """What the page says, by the title of each change."""
    return {meaning.title: meaning.lines for meaning in question.context["meanings"]}


def asked(client, item, **typed):
    """Type into the page of the item, and save."""
    return client.post(page_of(item), filled_in(client.get(page_of(item)), **typed))


def schedule(item, amount: str, at: datetime) -> None:
    money = Money.parse(amount, "USD")
    prices.set_price(item=item, money=money, now=timezone.now(), valid_from=at)


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
class TestQuestion:
    def test_says_who_stays_on_which_price(self, staff):
        plan = PlanFactory(prices={"USD": "25.00", "EUR": "27.00"})
        subscribe(UserFactory(), plan=plan, now=NOON)
        prices.set_price(item=plan, money=Money.parse("29.00", "USD"), now=NOON)
        for _ in range(2):
            subscribe(UserFactory(), plan=plan, now=NOON)
        gone = subscribe(UserFactory(), plan=plan, now=NOON)
        subscriptions.cancel(subscription=gone, now=NOON)
        check_out(UserFactory(), plan=plan, now=NOON)  # is not paid
        euro = check_out(UserFactory(), plan=plan, currency="EUR", now=NOON)
        pay(euro.invoice, now=NOON)

        question = asked(staff, plan, prices__1__amount="35.00")

        assert told(question) == {
            "USD: $29.00 → $35.00": [
                "1 subscriber stays on $25.00.",
                "2 subscribers stay on $29.00.",
                "The new price, $35.00, holds from now on for new checkouts.",
            ]
        }

    def test_says_from_when_a_scheduled_price_holds(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})

        question = asked(staff, plan, prices__0__amount="35.00", prices__0__begins=APRIL)

        assert told(question) == {
            "USD: $29.00 → $35.00": [
                "Nobody subscribes to it in USD now.",
                "The new price, $35.00, holds from 1 Apr 2026, 00:00 UTC for new checkouts.",
            ]
        }

    def test_says_who_stays_on_the_price_of_an_add_on(self, staff):
        add_on = AddOnFactory(prices={"USD": "5.00"})
        made = check_out(UserFactory(), plan=PlanFactory(), add_ons=[add_on], now=NOON)
        pay(made.invoice, now=NOON)

        question = asked(staff, add_on, prices__0__amount="6.00")

        assert told(question)["USD: $5.00 → $6.00"][0] == "1 subscriber stays on $5.00."

    def test_of_a_bundle_says_that_what_was_bought_keeps_its_price(self, staff):
        bundle = TokenBundleFactory(prices={"USD": "5.00"})

        question = asked(staff, bundle, prices__0__amount="6.00")

        assert told(question)["USD: $5.00 → $6.00"][0] == "What was bought keeps its price."

    def test_says_what_is_taken_back_with_it(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        schedule(plan, "35.00", datetime(2026, 4, 1, tzinfo=UTC))
        schedule(plan, "39.00", datetime(2026, 6, 1, tzinfo=UTC))

        at_once = asked(staff, plan, prices__0__amount="31.00")
        in_may = asked(staff, plan, prices__0__amount="31.00", prices__0__begins="2026-05-01T00:00")

        april = "$35.00, scheduled for 1 Apr 2026, 00:00 UTC, is taken back."
        june = "$39.00, scheduled for 1 Jun 2026, 00:00 UTC, is taken back."
        assert told(at_once)["USD: $29.00 → $31.00"][2:] == [april, june]
        assert told(in_may)["USD: $29.00 → $31.00"][2:] == [june]

    def test_says_what_withdrawing_means(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        subscribe(UserFactory(), plan=plan, now=NOON)

        question = asked(staff, plan, prices__0__withdraw="on")

        assert told(question) == {
            "USD: $29.00 is withdrawn": [
                "1 subscriber stays on $29.00.",
                "From now on nobody can buy it in USD.",
            ]
        }

    def test_says_what_taking_back_means(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        schedule(plan, "35.00", datetime(2026, 4, 1, tzinfo=UTC))

        question = asked(staff, plan, prices__1__withdraw="on")

        assert told(question) == {
            "USD: $35.00, scheduled, is taken back": [
                "It does not begin at 1 Apr 2026, 00:00 UTC: the price before it goes on."
            ]
        }

    def test_names_a_first_price_beside_others(self, staff):
        plan = PlanFactory(prices={"EUR": "27.00"})

        question = asked(staff, plan, prices=[("EUR", "28.00"), ("USD", "31.00")])

        assert told(question)["USD: $31.00"] == [
            "The new price, $31.00, holds from now on for new checkouts."
        ]

    def test_names_a_first_price_that_comes_before_a_scheduled_one(self, staff):
        plan = PlanFactory(prices={})
        schedule(plan, "35.00", datetime(2026, 4, 1, tzinfo=UTC))
        form = filled_in(staff.get(page_of(plan))) | {
            "prices-TOTAL_FORMS": 2,
            "prices-1-currency": "USD",
            "prices-1-amount": "31.00",
        }

        question = staff.post(page_of(plan), form)

        assert told(question)["USD: $31.00"][1] == (
            "$35.00, scheduled for 1 Apr 2026, 00:00 UTC, is taken back."
        )

    def test_costs_the_same_whatever_the_number_of_subscribers(
        self, staff, django_assert_num_queries
    ):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__amount="35.00")
        staff.post(page_of(plan), form)

        for _ in range(2):
            subscribe(UserFactory(), plan=plan, now=NOON)
            with django_assert_num_queries(22):
                staff.post(page_of(plan), form)


@pytest.mark.django_db
class TestSaving:
    def test_writes_nothing_before_the_answer(self, staff):
        plan = PlanFactory(name="Pro", prices={"USD": "29.00"})

        question = asked(staff, plan, name="Professional", prices__0__amount="35.00")

        assert "Nothing is saved yet." in question.content.decode()
        assert Plan.objects.get().name == "Pro"
        assert not Plan.history.rel.related_model.objects.exists()
        assert prices_of(plan) == ["29.00 USD"]

    def test_saves_all_that_was_typed_after_a_yes(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        text = 'two\r\nlines "and" <quotes>'

        question = asked(
            staff, plan, description=text, prices__0__amount="35.00", _continue="Save on"
        )
        saved = staff.post(page_of(plan), said_yes(question))

        assert saved["Location"] == page_of(plan)
        assert Plan.objects.get().description == text
        assert prices_of(plan) == ["35.00 USD"]

    def test_leads_back_to_what_was_typed(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        question = asked(staff, plan, name="Other", prices__0__amount="35.00")
        typed = dict(question.context["typed"]) | {"_back": "1"}

        page = staff.post(page_of(plan), typed)

        assert "Nothing is saved yet." in errors(page)
        assert "correct the error" not in page.content.decode()
        assert filled_in(page)["name"] == "Other"
        assert str(filled_in(page)["prices-0-amount"]) == "35.00"
        assert prices_of(plan) == ["29.00 USD"]

    @pytest.mark.parametrize("typed", [{"name": "Other"}, {"prices": [("USD", "29")]}])
    def test_does_not_ask_where_no_price_changes(self, staff, typed):
        plan = PlanFactory(prices={"USD": "29.00"})

        assert asked(staff, plan, **typed).status_code == 302

    def test_does_not_ask_about_a_price_in_a_new_currency(self, staff):
        plan = PlanFactory(prices={"EUR": "27.00"})

        answer = asked(staff, plan, prices=[("EUR", "27.00"), ("USD", "29.00")])

        assert answer.status_code == 302
        assert prices_of(plan) == ["27.00 EUR", "29.00 USD"]

    def test_asks_again_about_what_is_wrong_after_a_yes(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        question = asked(staff, plan, prices__0__amount="35.00")
        prices.set_price(item=plan, money=Money.parse("33.00", "USD"), now=timezone.now())

        page = staff.post(page_of(plan), said_yes(question))

        assert "Somebody else has replaced this price" in errors(page)
        assert prices_of(plan) == ["33.00 USD"]


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
class TestScheduled:
    APRIL = datetime(2026, 4, 1, tzinfo=UTC)

    def test_takes_over_by_itself(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__amount="35", prices__0__begins=APRIL)

        assert save(staff, plan, form).status_code == 302

        before, after = self.APRIL - timedelta(seconds=1), self.APRIL
        assert [str(price) for price in plan.prices.current(before)] == ["$29.00"]
        assert [str(price) for price in plan.prices.current(after)] == ["$35.00"]

    def test_is_shown_and_can_be_taken_back(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        schedule(plan, "35.00", self.APRIL)
        form = filled_in(staff.get(page_of(plan)), prices__1__withdraw="on")

        assert save(staff, plan, form).status_code == 302

        assert [str(price) for price in plan.prices.current(self.APRIL)] == ["$29.00"]
        page = staff.get(page_of(plan))
        assert filled_in(page)["prices-TOTAL_FORMS"] == 1
        assert "taken back" in page.content.decode()

    def test_can_be_the_first_one_in_a_currency(self, staff):
        plan = PlanFactory(prices={})
        form = filled_in(staff.get(page_of(plan)), prices=[("USD", "35")], prices__0__begins=APRIL)

        assert save(staff, plan, form).status_code == 302

        assert prices_of(plan) == []
        assert [str(price) for price in plan.prices.current(self.APRIL)] == ["$35.00"]

    def test_is_not_changed_on_the_page(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        schedule(plan, "35.00", self.APRIL)
        form = filled_in(staff.get(page_of(plan)), name="Other")

        assert save(staff, plan, form).status_code == 302

        assert [str(price) for price in plan.prices.current(self.APRIL)] == ["$35.00"]
        assert plan.prices.count() == 2

    def test_that_began_meanwhile_does_not_stand_in_the_way(self, staff, clock):
        plan = PlanFactory(prices={"USD": "29.00"})
        schedule(plan, "35.00", NOON + timedelta(hours=1))
        form = filled_in(staff.get(page_of(plan)), name="Other")
        clock.move_to(NOON + timedelta(hours=2))

        assert save(staff, plan, form).status_code == 302
        taken_back = save(staff, plan, form | {"prices-1-withdraw": "on"})

        assert Plan.objects.get().name == "Other"
        assert "open the page anew" in errors(taken_back)
        assert prices_of(plan) == ["35.00 USD"]

    @pytest.mark.parametrize(
        ("begins", "amount", "message"),
        [
            ("2026-02-28T00:00", "35", "cannot begin in the past"),
            ("0001-01-01T00:00", "35", "cannot begin in the past"),
            ("2036-06-01T00:00", "35", "within ten years"),
            ("9999-12-31T23:59", "35", "within ten years"),
            ("2026-04-31T00:00", "35", "valid date"),
            ("tomorrow", "35", "valid date"),
            ("2026-04-01\0", "35", "valid date"),
            (APRIL, "29.00", "Type the amount"),
        ],
    )
    def test_says_what_is_wrong_with_the_moment(self, staff, begins, amount, message):
        plan = PlanFactory(prices={"USD": "29.00"})

        page = asked(staff, plan, prices__0__amount=amount, prices__0__begins=begins)

        assert message in errors(page)
        assert plan.prices.count() == 1

    def test_is_shown_to_who_may_only_look(self, viewer):
        plan = PlanFactory(prices={"USD": "29.00"})
        schedule(plan, "35.00", self.APRIL)

        page = viewer.get(page_of(plan)).content.decode()

        assert "2026-04-01 00:00" in page
