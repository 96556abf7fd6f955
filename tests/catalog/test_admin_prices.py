from decimal import Decimal

import pytest
from django.utils import timezone

from catalog.models import Plan
from catalog.money import Money
from catalog.services import prices
from tests.catalog.desk import errors, filled_in, page_of, prices_of, save
from tests.factories import (
    LONG_AGO,
    AddOnFactory,
    PlanFactory,
    SubscriptionFactory,
    TokenBundleFactory,
)

EVERY_KIND = pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])


@pytest.mark.django_db
class TestChangePrice:
    @EVERY_KIND
    def test_keeps_the_old_price_and_adds_a_new_one(self, staff, factory):
        item = factory(prices={"USD": "29.00"})
        old = item.prices.get()
        form = filled_in(staff.get(page_of(item)), prices__0__amount="31.00")

        assert save(staff, item, form).status_code == 302

        old.refresh_from_db()
        assert (old.amount, old.valid_from) == (Decimal(29), LONG_AGO)
        new = item.prices.exclude(pk=old.pk).get()
        assert (str(new.money), new.valid_until) == ("31.00", None)
        assert old.valid_until == new.valid_from

    @pytest.mark.parametrize(("typed", "fee"), [("10.50", "10.50"), ("", "0.00"), ("0", "0.00")])
    def test_another_fee_is_another_price(self, staff, typed, fee):
        plan = PlanFactory(prices={"USD": ("29.00", "5.00")})
        form = filled_in(staff.get(page_of(plan)), prices__0__setup_fee=typed)

        assert save(staff, plan, form).status_code == 302

        old, new = plan.prices.order_by("valid_from")
        assert (str(old.fee), old.valid_until) == ("5.00", new.valid_from)
        assert (str(new.money), str(new.fee)) == ("29.00", fee)

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("-1", "A fee cannot be negative."),
            ("1.001", "USD has 2."),
            ("x", "Enter a number."),
        ],
    )
    def test_refuses_a_fee_that_cannot_be(self, staff, typed, said):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__setup_fee=typed)

        assert said in errors(save(staff, plan, form))

        assert plan.prices.count() == 1

    def test_tells_what_another_fee_means(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__setup_fee="10.50")

        (meaning,) = staff.post(page_of(plan), form).context["meanings"]

        assert meaning.title == "USD: $29.00 → $29.00 + $10.50 for the setup"

    def test_of_a_bundle_has_no_fee(self, staff):
        page = staff.get(page_of(TokenBundleFactory()))

        assert "prices-0-setup_fee" not in filled_in(page)

    def test_leaves_a_price_alone_that_was_not_touched(self, staff):
        plan = PlanFactory(prices={"USD": "29.00", "JPY": "2900"})
        form = filled_in(staff.get(page_of(plan)), name="Pro")

        assert save(staff, plan, form).status_code == 302

        assert Plan.objects.get().name == "Pro"
        assert plan.prices.count() == 2
        assert prices_of(plan) == ["2900 JPY", "29.00 USD"]

    def test_leaves_a_price_alone_that_is_written_otherwise(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__amount="29")

        assert save(staff, plan, form).status_code == 302

        assert plan.prices.count() == 1

    def test_shows_the_amount_with_the_currency_s_own_places(self, staff):
        plan = PlanFactory(prices={"USD": "29", "JPY": "2900", "KWD": "2.9"})

        form = filled_in(staff.get(page_of(plan)))

        shown = [str(form[f"prices-{row}-amount"]) for row in range(3)]
        assert shown == ["2900", "2.900", "29.00"]

    def test_adds_a_price_in_another_currency(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices=[("USD", "29.00"), ("EUR", "27.00")])

        assert save(staff, plan, form).status_code == 302

        assert prices_of(plan) == ["27.00 EUR", "29.00 USD"]
        assert plan.prices.count() == 2

    def test_withdraws_a_price(self, staff):
        plan = PlanFactory(prices={"USD": "29.00", "EUR": "27.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__withdraw="on")

        assert save(staff, plan, form).status_code == 302

        assert prices_of(plan) == ["29.00 USD"]
        assert plan.prices.count() == 2

    def test_withdraws_a_price_that_was_sold(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        SubscriptionFactory(plan=plan)
        form = filled_in(staff.get(page_of(plan)), prices__0__withdraw="on")

        assert save(staff, plan, form).status_code == 302

        assert prices_of(plan) == []

    def test_does_not_turn_a_price_into_one_in_another_currency(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices=[("EUR", "29.00")])

        assert save(staff, plan, form).status_code == 302

        assert prices_of(plan) == ["29.00 USD"]

    def test_never_deletes_a_price(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan))) | {"prices-0-DELETE": "on"}

        save(staff, plan, form)

        assert prices_of(plan) == ["29.00 USD"]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([("USD", "29.001")], "USD has 2"),
            ([("USD", "-0.01")], "cannot be negative"),
            ([("USD", "")], "required"),
            ([("USD", "29.00"), ("USD", "30.00")], "USD has more"),
        ],
    )
    def test_shows_what_is_wrong(self, staff, rows, message):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices=rows, name="Other")

        response = save(staff, plan, form)

        assert message in errors(response)
        assert prices_of(plan) == ["29.00 USD"]
        assert not Plan.objects.filter(name="Other").exists()

    def test_refuses_where_somebody_else_was_faster(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__amount="31.00")
        prices.set_price(item=plan, money=Money.parse("35.00", "USD"), now=timezone.now())

        response = save(staff, plan, form)

        assert "Somebody else" in errors(response)
        assert prices_of(plan) == ["35.00 USD"]

    def test_does_not_mind_who_was_faster_where_the_price_was_not_touched(self, staff):
        plan = PlanFactory(prices={"USD": "29.00"})
        form = filled_in(staff.get(page_of(plan)), name="Pro")
        prices.set_price(item=plan, money=Money.parse("35.00", "USD"), now=timezone.now())

        assert save(staff, plan, form).status_code == 302

        assert Plan.objects.get().name == "Pro"
        assert prices_of(plan) == ["35.00 USD"]

    @pytest.mark.parametrize("pk", ["", "nonsense", "0192e4a0-0000-7000-8000-000000000000"])
    def test_refuses_a_price_that_is_none_of_the_item_s(self, staff, pk):
        plan, other = PlanFactory(prices={"USD": "29.00"}), PlanFactory(prices={"USD": "19.00"})
        form = filled_in(staff.get(page_of(plan)), prices__0__amount="31.00")

        for stranger in (pk, other.prices.get().pk):
            response = save(staff, plan, form | {"prices-0-id": stranger})

            assert errors(response)

        assert (prices_of(plan), prices_of(other)) == (["29.00 USD"], ["19.00 USD"])
