"""A request that dies before any one of its statements leaves all that it was to do, or nothing."""

import json
from collections import Counter
from itertools import count

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks import Webhook

from billing.services import books
from tests.billing.purchases import check_out, rows_of_billing
from tests.concurrency import crashes
from tests.concurrency.server import ANSWER, COMMIT, Post
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
DATABASE_AWAY = "database_unavailable"

# What one request of each kind writes; the rows that only change are in the history.
CHECKOUT = {
    "Subscription": 1,
    "TokenBundlePurchase": 2,
    "AddOnSubscription": 1,
    "Invoice": 1,
    "InvoiceLineItem": 4,
    "IdempotencyRecord": 1,
    "Event": 2,
}
# It replaces the subscription of the one before, and its add-on.
ACTIVATION = {
    "SubscriptionHistory": 2,
    "AddOnSubscriptionHistory": 2,
    "TokenBundlePurchaseHistory": 2,
    "InvoiceHistory": 1,
    "TokenTransaction": 2,
}
FREE_CHECKOUT = CHECKOUT | ACTIVATION | {"Event": 7}
CAPTURE = ACTIVATION | {"Payment": 1, "Event": 6, "Mail": 1}


class Checkouts:
    """Checkouts of one customer's, each with a key of its own."""

    def __init__(self, credentials, *, prices, writes):
        self.credentials = credentials
        self.writes = writes
        self.body = json.dumps(
            {
                "plan_id": str(PlanFactory(prices=prices).id),
                "token_bundle_ids": [str(TokenBundleFactory(prices=prices).id)] * 2,
                "add_on_ids": [str(AddOnFactory(prices=prices).id)],
            }
        ).encode()

    def post(self, number):
        headers = {"Authorization": self.credentials, "Idempotency-Key": f"key-{number}"}
        return Post("/api/v1/user/checkout", self.body, headers)


class Captures:
    """Payment notifications, each for an invoice of its own."""

    writes = CAPTURE

    def __init__(self, customer):
        self.customer = customer
        self.plan = PlanFactory()
        self.bundle = TokenBundleFactory()
        self.add_on = AddOnFactory()

    def post(self, number):
        now = timezone.now()
        invoice = check_out(
            self.customer,
            plan=self.plan,
            bundles=[self.bundle] * 2,
            add_ons=[self.add_on],
            now=now,
        ).invoice
        body = json.dumps(
            {
                "invoice_id": str(invoice.id),
                "payment_reference": f"pi_{number}",
                "amount": str(invoice.total),
                "currency": "USD",
            }
        )
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(settings.BILLING_WEBHOOK_SECRETS[0]).sign(
                "msg_1", now, body
            ),
        }
        return Post("/api/v1/webhooks/payment", body.encode(), headers)


@pytest.fixture(params=["checkout", "free checkout", "capture"])
def requests(request, customer, signed_in):
    """Requests of one kind; one of them has been answered, so that all write the same rows."""
    credentials = signed_in(customer).defaults["HTTP_AUTHORIZATION"]
    made = {
        "checkout": lambda: Checkouts(credentials, prices={"USD": "29.00"}, writes=CHECKOUT),
        "free checkout": lambda: Checkouts(credentials, prices={"USD": "0"}, writes=FREE_CHECKOUT),
        "capture": lambda: Captures(customer),
    }[request.param]()
    status, _body, _is_replay = made.post(0).send()
    assert status in (200, 201)
    return made


def written(before):
    """How many rows each table has got since. A new day's first series would be one of them."""
    new = Counter(rows_of_billing())
    new.subtract(before)
    return {table: rows for table, rows in new.items() if rows and table != "InvoiceSeries"}


def verbs(statements):
    """Their first words, but for what django.contrib.postgres asks on a first connection."""
    return [sql.split()[0] for sql in statements if "FROM pg_type" not in sql]


def verbs_of(post):
    """What Django itself logs of a request that lives: by these, no step was left out."""
    with CaptureQueriesContext(connection) as log:
        status, _body, _is_replay = post.send()
    assert status in (200, 201)
    # It begins a transaction without a statement: psycopg2 sends that along with the next one.
    return [verb for verb in verbs(query["sql"] for query in log) if verb != "BEGIN"]


def without(rows, table):
    return {name: number for name, number in rows.items() if name != table}


def broken_rules():
    return [result.name for result in books.verify() if result.violations]


class TestKilledProcess:
    def test_leaves_all_or_nothing_and_a_repeat_does_the_rest(self, requests):
        steps = []
        for number in count(1):
            post = requests.post(number)
            before = rows_of_billing()

            step = crashes.kill(post, before=number)

            if step is None:
                break
            is_committed = COMMIT in steps
            steps.append(step)
            assert written(before) == (requests.writes if is_committed else {}), step
            assert broken_rules() == [], step

            status, body, is_replay = post.send()
            again = post.send()

            assert status in (200, 201), (step, body)
            assert again[:2] == (status, body), step
            assert is_replay == (is_committed and "IdempotencyRecord" in requests.writes), step
            assert written(before) == requests.writes, step

        assert steps.pop() == ANSWER
        assert verbs(steps) == verbs_of(requests.post(number + 1))
        assert steps.count(COMMIT) == 1


class TestLostConnection:
    @pytest.fixture(autouse=True)
    def _as_in_production(self, settings):
        """Nobody's clock is asked for."""
        settings.BILLING_TEST_CLOCKS = False

    def test_is_an_error_that_leaves_all_or_nothing_and_a_repeat_does_the_rest(self, requests):
        steps = []
        for number in count(1):
            post = requests.post(number)
            before = rows_of_billing()

            step, (status, body, _is_replay) = crashes.cut(post, before=number)

            if step is None:
                break
            is_committed = COMMIT in steps
            steps.append(step)
            assert (status, json.loads(body)["code"]) == (503, DATABASE_AWAY), step
            left = written(before)
            if not is_committed and "IdempotencyRecord" in requests.writes:
                # Written in a transaction, and on a connection, of its own.
                assert left.pop("Event", 0) == (1 if number > 1 else 0), step
            assert left == (requests.writes if is_committed else {}), step
            assert broken_rules() == [], step

            status, body, _is_replay = post.send()

            assert status in (200, 201), (step, body)
            assert without(written(before), "Event") == without(requests.writes, "Event"), step

        assert verbs(steps) == verbs_of(requests.post(number + 1))
        assert steps.count(COMMIT) == 1
