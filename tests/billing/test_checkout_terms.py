"""Seats, setup fees, and the customer's credit at the checkout: see docs/billing-rules.md."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.models import AddOnSubscription, CreditEntry, Invoice, InvoiceLineItem, Subscription
from billing.services import checkout, customer_credit, invoices, subscriptions
from billing.services.selection import InvalidQuantity, Order
from catalog.money import InvalidAmount, Money
from tests.billing.purchases import check_out, pay, rows_of_billing, subscribe
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, TokenBundleFactory
from tests.locks import locked_by

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "/api/v1/user/checkout"


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


def owe(user, amount, currency="USD"):
    customer_credit.add(
        user_id=user.id,
        money=Money.parse(amount, currency),
        kind=customer_credit.Type.CANCELLATION,
        reference=user.id,
        now=NOON,
    )


def lines_of(invoice):
    lines = InvoiceLineItem.objects.filter(invoice=invoice).order_by("position")
    return [
        (line.type, line.description, line.quantity, str(line.unit_price), str(line.amount))
        for line in lines
    ]


def balance(user):
    return [str(money) for money in customer_credit.balances(user_id=user.id)]


class TestQuantity:
    def test_of_a_plan_is_so_many_seats(self, client):
        plan = PlanFactory(name="Pro")

        response = client.post(URL, {"plan_id": str(plan.id), "quantity": 3})

        assert response.status_code == 201
        answer = response.json()
        assert answer["invoice"]["total_amount"] == "87.00"
        assert answer["subscription"]["quantity"] == 3
        assert answer["subscription"]["plan"]["price"] == "29.00"
        (line,) = answer["invoice"]["line_items"]
        assert (line["quantity"], line["unit_price"], line["amount"]) == (3, "29.00", "87.00")
        subscription = Subscription.objects.get()
        assert (subscription.quantity, subscription.amount) == (3, Decimal("29.00"))

    def test_of_yen_has_no_places(self, client):
        plan = PlanFactory(prices={"JPY": "2900"})

        response = client.post(URL, {"plan_id": str(plan.id), "quantity": 3, "currency": "JPY"})

        assert response.json()["invoice"]["total_amount"] == "8700"

    def test_of_add_ons(self, client):
        few, many = AddOnFactory(prices={"USD": "5.00"}), AddOnFactory(prices={"USD": "2.50"})

        response = client.post(
            URL,
            {
                "plan_id": str(PlanFactory().id),
                "add_on_ids": [str(few.id), str(many.id)],
                "add_on_quantities": {str(many.id): 4},
            },
        )

        answer = response.json()
        assert answer["invoice"]["total_amount"] == "44.00"
        assert [add_on["quantity"] for add_on in answer["add_ons"]] == [1, 4]

    def test_of_an_add_on_that_joins(self, customer):
        subscribe(customer, plan=PlanFactory(), now=NOON)

        made = check_out(
            customer,
            add_ons=[AddOnFactory(prices={"USD": "5.00"})],
            add_on_quantities=[2],
            now=NOON,
        )
        pay(made.invoice, now=NOON)

        add_on = AddOnSubscription.objects.get()
        assert (add_on.quantity, add_on.period_value) == (2, Decimal("10.00"))
        assert made.invoice.total == Money.parse("10.00", "USD")

    def test_the_period_is_worth_all_seats(self, customer):
        made = check_out(customer, plan=PlanFactory(), quantity=3, now=NOON)

        pay(made.invoice, now=NOON)

        assert Subscription.objects.get().period_value == Decimal("87.00")

    @pytest.mark.parametrize(
        ("order", "sentence"),
        [
            ({"quantity": 2}, "quantity: seats are of a plan: choose a plan_id with it."),
            ({"quantity": 0, "plan": True}, "quantity: 1 to 10000."),
            ({"quantity": 10_001, "plan": True}, "quantity: 1 to 10000."),
            ({"add_on": 0, "plan": True}, "add_on_quantities: 1 to 10000."),
            ({"add_on": 10_001, "plan": True}, "add_on_quantities: 1 to 10000."),
            (
                {"stranger": 1, "plan": True},
                "add_on_quantities names an add-on that is not in add_on_ids.",
            ),
        ],
    )
    def test_that_cannot_be_is_refused(self, customer, order, sentence):
        bundle, add_on, stranger = TokenBundleFactory(), AddOnFactory(), AddOnFactory()
        quantities = {add_on.id: order["add_on"]} if "add_on" in order else {}
        quantities |= {stranger.id: order["stranger"]} if "stranger" in order else {}
        before = rows_of_billing()

        with pytest.raises(InvalidQuantity, match=f"^{sentence}$"):
            checkout.create(
                user=customer,
                order=Order(
                    plan_id=PlanFactory().id if "plan" in order else None,
                    token_bundle_ids=(bundle.id,),
                    add_on_ids=(add_on.id,) if "plan" in order else (),
                    quantity=order.get("quantity", 1),
                    add_on_quantities=quantities,
                ),
                now=NOON,
            )

        assert rows_of_billing() == before

    def test_that_costs_more_than_can_be_booked_is_refused(self, customer):
        plan = PlanFactory(prices={"USD": "99999999999"})
        before = rows_of_billing()

        with pytest.raises(InvalidAmount):
            check_out(customer, plan=plan, quantity=10_000, now=NOON)

        assert rows_of_billing() == before

    def test_of_one_asks_for_the_same_as_none(self, client):
        """An answer that was kept before there were quantities is given again."""
        body = {"plan_id": str(PlanFactory().id)}
        first = client.post(URL, body, headers={"Idempotency-Key": "k"})

        again = client.post(
            URL, body | {"quantity": 1, "add_on_quantities": {}}, headers={"Idempotency-Key": "k"}
        )

        assert again["Idempotency-Replayed"] == "true"
        assert again.content == first.content

    def test_of_two_asks_for_something_else(self, client):
        body = {"plan_id": str(PlanFactory().id)}
        client.post(URL, body, headers={"Idempotency-Key": "k"})

        again = client.post(URL, body | {"quantity": 2}, headers={"Idempotency-Key": "k"})

        assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")


class TestSetupFee:
    def test_is_a_line_of_its_own_and_once(self, customer):
        plan = PlanFactory(name="Pro", prices={"USD": ("29.00", "10.00")})
        add_on = AddOnFactory(name="Support", prices={"USD": ("5.00", "1.50")})
        bundle = TokenBundleFactory(name="Starter", prices={"USD": "10.50"})

        made = check_out(
            customer, plan=plan, bundles=[bundle], add_ons=[add_on], quantity=3, now=NOON
        )

        assert lines_of(made.invoice) == [
            ("subscription", "Pro", 3, "29.000", "87.000"),
            ("token_bundle", "Starter", 1, "10.500", "10.500"),
            ("add_on", "Support", 1, "5.000", "5.000"),
            ("setup_fee", "Setup of Pro", 1, "10.000", "10.000"),
            ("setup_fee", "Setup of Support", 1, "1.500", "1.500"),
        ]
        assert str(made.invoice.total) == "114.00"
        fees = InvoiceLineItem.objects.filter(type="setup_fee").order_by("position")
        assert [fee.item_id for fee in fees] == [made.subscription.id, made.add_ons[0].id]

    def test_is_no_part_of_what_a_period_is_worth(self, customer):
        made = check_out(customer, plan=PlanFactory(prices={"USD": ("29.00", "10.00")}), now=NOON)

        pay(made.invoice, now=NOON)

        subscription = Subscription.objects.get()
        assert (subscription.period_value, subscription.setup_fee) == (Decimal("29.00"), 0)

    def test_of_a_plan_that_costs_nothing_is_to_be_paid(self, customer):
        made = check_out(
            customer, plan=PlanFactory(prices={"JPY": ("0", "500")}), currency="JPY", now=NOON
        )

        assert not made.is_paid
        assert str(made.invoice.total) == "500"


class TestCredit:
    def test_is_used_as_far_as_it_goes(self, customer):
        owe(customer, "12.00")

        made = check_out(customer, plan=PlanFactory(name="Pro"), now=NOON)

        assert lines_of(made.invoice) == [
            ("subscription", "Pro", 1, "29.000", "29.000"),
            ("credit", "Credit from before", 1, "-12.000", "-12.000"),
        ]
        assert str(made.invoice.total) == "17.00"
        assert balance(customer) == []
        used = CreditEntry.objects.get(type="used")
        assert (used.amount, used.reference) == (Decimal("-12.00"), made.invoice.id)

    def test_that_covers_all_of_it_pays_it_at_once(self, customer):
        owe(customer, "100.00")

        made = check_out(customer, plan=PlanFactory(), now=NOON)

        assert made.is_paid
        assert made.subscription.status == "active"
        assert balance(customer) == ["71.00"]
        assert Subscription.objects.get().period_value == Decimal("29.00")

    def test_of_another_currency_stays(self, customer):
        owe(customer, "1200", "JPY")

        made = check_out(customer, plan=PlanFactory(), now=NOON)

        assert str(made.invoice.total) == "29.00"
        assert balance(customer) == ["1200"]

    def test_is_not_used_where_nothing_is_to_be_paid(self, customer):
        owe(customer, "12.00")

        check_out(customer, plan=PlanFactory(prices={"USD": "0"}), now=NOON)

        assert balance(customer) == ["12.00"]

    @pytest.mark.parametrize("given_up", ["void", "cancel"])
    def test_is_given_back_with_what_is_given_up(self, customer, given_up):
        owe(customer, "12.00")
        made = check_out(customer, plan=PlanFactory(), now=NOON)

        if given_up == "void":
            invoices.void(invoice=made.invoice, by=StaffFactory(), reason="Asked", now=NOON)
        else:
            subscriptions.cancel(subscription=made.subscription, now=NOON)

        assert balance(customer) == ["12.00"]
        assert Invoice.objects.get().status == "cancelled"
        kinds = CreditEntry.objects.order_by("sequence").values_list("type", flat=True)
        assert list(kinds) == ["cancellation", "used", "returned"]

    def test_is_taken_behind_the_customers_lock(self, customer):
        """Else whoever holds the customer, and adds to the credit, would wait for ever."""
        owe(customer, "12.00")
        plan = PlanFactory()

        assert locked_by(lambda: check_out(customer, plan=plan, now=NOON)) == [
            "accounts_user",
        ]

    def test_joins_a_checkout_of_add_ons_and_of_bundles(self, customer):
        subscribe(customer, plan=PlanFactory(), now=NOON)
        owe(customer, "8.00")

        joined = check_out(customer, add_ons=[AddOnFactory(prices={"USD": "5.00"})], now=NOON)
        topped = check_out(
            customer,
            bundles=[TokenBundleFactory(prices={"USD": "10.50"})],
            now=NOON + timedelta(hours=1),
        )

        assert joined.is_paid
        assert str(topped.invoice.total) == "7.50"
