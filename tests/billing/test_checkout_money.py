"""Whatever is sold in whatever currency, the sums are exact, and say so in the API's strings."""

from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing.models import Invoice, InvoiceLineItem
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

PLACES = {"JPY": 0, "KRW": 0, "USD": 2, "EUR": 2, "KWD": 3, "TND": 3}


@st.composite
def orders(draw):
    """A currency, and the amounts of a plan (or none), of bundles and of add-ons."""
    currency = draw(st.sampled_from(sorted(PLACES)))
    largest = 9 * 10**12 * 10 ** PLACES[currency]  # eleven of them can still be booked
    amounts = st.integers(0, largest).map(lambda units: in_units(units, currency))
    plan = draw(st.none() | amounts)
    # Each bundle is sold, some of them more than once.
    bundles = draw(st.lists(amounts, min_size=plan is None, max_size=3))
    repeated = draw(st.lists(st.sampled_from(bundles), max_size=3)) if bundles else []
    add_ons = draw(st.lists(amounts, max_size=4)) if plan is not None else []
    return currency, plan, bundles, repeated, add_ons


def in_units(units, currency):
    """12345 is 123.45 USD, 12345 JPY or 12.345 KWD."""
    return Decimal(units).scaleb(-PLACES[currency])


def places_of(text):
    """How many decimal places are written out; digits and one point only."""
    whole, _point, rest = text.partition(".")
    assert (whole + rest).isdigit()
    return len(rest)


def put_on_sale(order):
    """Make the catalogue of an order, and return the request that buys all of it."""
    currency, plan, bundles, repeated, add_ons = order
    bundle_ids = {a: str(TokenBundleFactory(prices={currency: a}).id) for a in bundles}
    request = {
        "token_bundle_ids": [bundle_ids[amount] for amount in bundles + repeated],
        "add_on_ids": [str(AddOnFactory(prices={currency: a}).id) for a in add_ons],
        "currency": currency,
    }
    if plan is not None:
        request["plan_id"] = str(PlanFactory(prices={currency: plan}).id)
    return request


@pytest.mark.django_db
class TestMoneyOfACheckout:
    # The rows of an example are rolled back, so the fixtures serve for all of them.
    @settings(
        max_examples=50,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(order=orders())
    @example(order=("KWD", Decimal("0.001"), [Decimal("0.002")], [], [Decimal("0.007")]))
    @example(order=("JPY", Decimal(1), [Decimal(2)], [Decimal(2)], []))
    @example(order=("USD", None, [Decimal("0.10"), Decimal("0.20")], [], []))
    @example(order=("USD", Decimal("0.00"), [], [], [Decimal("0.00")]))
    def test_adds_up_exactly(self, customer, signed_in, order):
        currency, plan, bundles, repeated, add_ons = order
        with transaction.atomic():
            client = signed_in(customer)

            response = client.post("/api/v1/user/checkout", put_on_sale(order))

            assert response.status_code == 201, response.json()
            stored = Invoice.objects.get()
            stored_lines = list(InvoiceLineItem.objects.order_by("position"))
            [listed] = client.get("/api/v1/user/invoices").json()["invoices"]
            transaction.set_rollback(True)
        invoice = response.json()["invoice"]
        lines = invoice["line_items"]
        sold = [*([] if plan is None else [plan]), *bundles, *repeated, *add_ons]
        assert [Decimal(line["amount"]) for line in lines] == sold
        assert [Decimal(line["unit_price"]) * line["quantity"] for line in lines] == sold
        assert [line.amount for line in stored_lines] == sold
        assert [line.unit_price * line.quantity for line in stored_lines] == sold
        subtotal, tax, total = (
            Decimal(invoice[name]) for name in ("subtotal", "tax_amount", "total_amount")
        )
        assert (stored.subtotal, stored.tax_amount, stored.total_amount) == (subtotal, tax, total)
        assert subtotal == sum(sold)
        assert total == subtotal + tax
        texts = [invoice[name] for name in ("amount", "subtotal", "tax_amount", "total_amount")]
        texts += [line[name] for line in lines for name in ("unit_price", "amount")]
        assert {places_of(text) for text in texts} == {PLACES[currency]}
        assert listed["amount"] == listed["total_amount"] == invoice["total_amount"]
        assert listed["currency"] == invoice["currency"] == currency
