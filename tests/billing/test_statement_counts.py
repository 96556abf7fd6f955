"""
How many SQL statements a call costs: the same for one item and for fifty.

With real transactions, so that BEGIN and COMMIT are counted, and through HTTP, so that the
sign-in is.
"""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import CreditAccount, InvoiceSeries
from tests.billing.purchases import check_out, subscribe
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHECKOUT = "/api/v1/user/checkout"


@pytest.fixture(autouse=True)
def as_in_production(settings):
    settings.BILLING_TEST_CLOCKS = False


@pytest.fixture
def client(clock, customer, signed_in):
    return signed_in(customer)


@pytest.fixture
def open_series():
    """Somebody has bought something today."""
    InvoiceSeries.objects.create(day=NOON.date(), series=1, last_number=1)


def statements(call):
    with CaptureQueriesContext(connection) as captured:
        response = call()
    assert response.status_code in (200, 201), response.json()
    return [query["sql"].strip() for query in captured]


def ids(rows):
    return [str(row.id) for row in rows]


class TestCheckout:
    def counted(self, client, body):
        made = statements(lambda: client.post(CHECKOUT, body, headers={"Idempotency-Key": "a-key"}))
        assert made[1] == "BEGIN"
        assert made[-1] == "COMMIT"
        return len(made)

    @pytest.mark.parametrize(("bundles", "add_ons"), [(1, 1), (25, 25), (49, 1), (1, 49)])
    def test_of_plan_bundles_and_add_ons(self, client, open_series, bundles, add_ons):
        body = {
            "plan_id": str(PlanFactory().id),
            "token_bundle_ids": ids(TokenBundleFactory.create_batch(bundles)),
            "add_on_ids": ids(AddOnFactory.create_batch(add_ons)),
        }

        assert self.counted(client, body) == 8

    def test_of_a_plan_alone(self, client, open_series):
        assert self.counted(client, {"plan_id": str(PlanFactory().id)}) == 8

    @pytest.mark.parametrize("count", [1, 50])
    def test_of_bundles_alone(self, client, open_series, count):
        body = {"token_bundle_ids": ids(TokenBundleFactory.create_batch(count))}

        assert self.counted(client, body) == 8

    @pytest.mark.parametrize("count", [1, 50])
    def test_of_add_ons_that_join_a_subscription(self, client, customer, count):
        subscribe(customer, plan=PlanFactory(), now=NOON)
        body = {"add_on_ids": ids(AddOnFactory.create_batch(count))}

        assert self.counted(client, body) == 9

    def test_the_first_of_a_day_opens_its_series(self, client):
        body = {
            "plan_id": str(PlanFactory().id),
            "token_bundle_ids": ids([TokenBundleFactory()]),
            "add_on_ids": ids([AddOnFactory()]),
        }

        assert self.counted(client, body) == 9

    def test_with_billing_details_is_no_statement_more(self, client, open_series):
        client.put("/api/v1/user/details", {"company": "Engines Ltd"})

        assert self.counted(client, {"plan_id": str(PlanFactory().id)}) == 8

    def test_of_seats_and_fees_is_no_statement_more(self, client, open_series):
        plan = PlanFactory(prices={"USD": ("29.00", "10.00")})

        assert self.counted(client, {"plan_id": str(plan.id), "quantity": 3}) == 8

    def test_without_any_credit_left_is_no_statement_more(self, client, customer, open_series):
        """There is an account: it is read with the offers."""
        CreditAccount.objects.create(user=customer, currency="USD")

        assert self.counted(client, {"plan_id": str(PlanFactory().id)}) == 8

    def test_with_credit_is_three_more(self, client, customer, open_series):
        """The customer's lock, the account, its entry."""
        CreditAccount.objects.create(user=customer, currency="USD", balance="12.00")

        assert self.counted(client, {"plan_id": str(PlanFactory().id)}) == 11

    def test_without_a_key_is_two_less(self, client, open_series):
        body = {"plan_id": str(PlanFactory().id)}

        assert len(statements(lambda: client.post(CHECKOUT, body))) == 7

    def test_again_is_four(self, client):
        body = {"plan_id": str(PlanFactory().id)}
        self.counted(client, body)

        assert self.counted(client, body) == 4


class TestCapture:
    @pytest.mark.parametrize(("bundles", "add_ons"), [(1, 1), (25, 25), (49, 1), (1, 49)])
    def test_of_plan_bundles_and_add_ons(self, clock, customer, webhook, bundles, add_ons):
        made = check_out(
            customer,
            plan=PlanFactory(),
            bundles=TokenBundleFactory.create_batch(bundles, prices={"USD": "1.00"}),
            add_ons=AddOnFactory.create_batch(add_ons, prices={"USD": "1.00"}),
            now=NOON,
        )
        notice = {
            "invoice_id": str(made.invoice.id),
            "payment_reference": "pay_1",
            "amount": str(made.invoice.total),
            "currency": "USD",
        }

        assert len(statements(lambda: webhook(notice))) == 22

    @pytest.mark.parametrize("count", [1, 50])
    def test_that_replaces_a_subscription_with_add_ons(self, clock, customer, webhook, count):
        old = check_out(
            customer,
            plan=PlanFactory(prices={"USD": "0"}),
            add_ons=AddOnFactory.create_batch(count, prices={"USD": "0"}),
            now=NOON,
        )
        assert old.is_paid
        made = check_out(customer, plan=PlanFactory(), now=NOON)
        notice = {
            "invoice_id": str(made.invoice.id),
            "payment_reference": "pay_1",
            "amount": "29.00",
            "currency": "USD",
        }

        assert len(statements(lambda: webhook(notice))) == 21


class TestReading:
    @pytest.mark.parametrize("count", [1, 20])
    def test_invoices(self, client, customer, count):
        bundle = TokenBundleFactory()
        for _ in range(count):
            check_out(customer, plan=PlanFactory(), bundles=[bundle] * 2, now=NOON)

        # The sign-in, the number of them, the page, its lines.
        assert len(statements(lambda: client.get("/api/v1/user/invoices"))) == 4

    @pytest.mark.parametrize("count", [1, 50])
    def test_one_invoice(self, client, customer, count):
        made = check_out(customer, bundles=[TokenBundleFactory()] * count, now=NOON)

        made_by = statements(lambda: client.get(f"/api/v1/user/invoices/{made.invoice.id}"))

        assert len(made_by) == 3

    @pytest.mark.parametrize("count", [1, 20])
    def test_subscriptions(self, client, customer, count):
        for _ in range(count):
            check_out(customer, plan=PlanFactory(), now=NOON)

        assert len(statements(lambda: client.get("/api/v1/user/subscriptions"))) == 2

    def test_the_active_subscription(self, client, customer):
        subscribe(customer, plan=PlanFactory(), now=NOON)

        assert len(statements(lambda: client.get("/api/v1/user/subscriptions/active"))) == 2

    def test_the_balance(self, client):
        assert len(statements(lambda: client.get("/api/v1/user/tokens/balance"))) == 2
