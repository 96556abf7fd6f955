"""Renewals happen once: however many run the billing, and wherever they are killed."""

import signal
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from billing.models import AddOnSubscription, Event, Invoice, Payment, PaymentAttempt, Subscription
from billing.services.renewals import collecting, invoicing, running
from tests.billing.purchases import check_out, pay
from tests.concurrency import billing_runs
from tests.factories import AddOnFactory, PlanFactory, UserFactory
from tests.loading import load_subscribers
from tests.threads import DEADLINE, at_once

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
MANY = 10_000
KILLS = 3


def database() -> str:
    return connection.settings_dict["NAME"]


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5 * DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "It takes too long."
        time.sleep(0.01)


class TestTwoRunsAtOnce:
    def test_one_of_them_killed_three_times_renew_each_of_10000_once(self):
        due = load_subscribers(
            customers=MANY, plan=PlanFactory(), begun=timezone.now() - timedelta(days=40)
        )
        renewed = Invoice.objects.filter(reason="renewal")

        steady = billing_runs.start(database(), due)
        for kill in range(1, KILLS + 1):
            shaky = billing_runs.start(database(), due)
            wait_for(lambda kill=kill: renewed.count() > kill * MANY // 8)
            billing_runs.kill(shaky)
        last = billing_runs.start(database(), due)
        steady.join()
        last.join()
        # What the killed ones had asked for is asked again under the same key.
        running.run(now=due + collecting.PATIENCE)

        assert (steady.exitcode, last.exitcode) == (0, 0)
        assert renewed.count() == MANY
        assert not renewed.exclude(status="paid").exists()
        once = renewed.values("subscription").annotate(times=Count("pk"))
        assert not once.exclude(times=1).exists()
        attempts = PaymentAttempt.objects.all()
        assert attempts.count() == MANY
        assert not attempts.exclude(number=1, outcome="paid").exists()
        assert Payment.objects.filter(invoice__in=renewed).count() == MANY
        assert Event.objects.filter(name="subscription.renewed").count() == MANY
        assert not Subscription.objects.filter(expires_at__lte=due).exists()


class TestKilledBeforeAnyStatement:
    def test_the_next_run_does_the_rest_and_nothing_twice(self):
        steps = []
        for dies_before in range(1, 200):
            subscription = self.due()
            step = self.run_and_die(dies_before)
            running.run(now=timezone.now() + collecting.PATIENCE)

            subscription.refresh_from_db()
            self.assert_renewed_once(subscription)
            if step is None:
                break
            steps.append(step)
        assert "COMMIT" in steps
        assert len(steps) > 20

    def due(self):
        """A subscription with an add-on whose month is over."""
        begun = timezone.now() - timedelta(days=35)
        add_on = AddOnFactory(prices={"USD": "5.00"})
        made = check_out(UserFactory(), plan=PlanFactory(), add_ons=[add_on], now=begun)
        pay(made.invoice, now=begun)
        return made.subscription

    def run_and_die(self, dies_before):
        receiver, sender = billing_runs.FORKS.Pipe(duplex=False)
        process = billing_runs.FORKS.Process(
            target=billing_runs.run_to_its_death,
            args=(database(), timezone.now(), dies_before, sender),
        )
        process.start()
        sender.close()
        assert receiver.poll(DEADLINE), "The process neither died nor ended."
        step = receiver.recv()
        process.join(DEADLINE)
        assert process.exitcode == (-signal.SIGKILL if step else 0)
        return step

    def assert_renewed_once(self, subscription):
        (invoice,) = Invoice.objects.filter(subscription=subscription, reason="renewal")
        assert (invoice.status, invoice.total_amount) == ("paid", Decimal("34.00"))
        assert Payment.objects.filter(invoice=invoice).count() == 1
        assert [one.outcome for one in invoice.attempts.all()] == ["paid"]
        assert subscription.expires_at > timezone.now()
        add_on = AddOnSubscription.objects.get(subscription=subscription)
        assert add_on.expires_at == subscription.expires_at
        renewed = Event.objects.filter(name="subscription.renewed", subject_id=subscription.pk)
        assert renewed.count() == 1


class TestClaims:
    @pytest.fixture
    def due(self):
        begun = timezone.now() - timedelta(days=35)
        made = check_out(UserFactory(), plan=PlanFactory(), now=begun)
        pay(made.invoice, now=begun)
        return made.subscription

    def test_what_somebody_else_holds_is_left_for_the_next_round(self, due, held_by_another):
        now = timezone.now()
        for held in (due, due.user):
            with held_by_another(held):
                assert invoicing.invoice_due(now=now, limit=10).is_empty

        assert invoicing.invoice_due(now=now, limit=10).invoiced == 1

    def test_an_invoice_that_somebody_holds_is_not_tried_meanwhile(self, due, held_by_another):
        now = timezone.now()
        invoicing.invoice_due(now=now, limit=10)

        with held_by_another(Invoice.objects.get(reason="renewal")):
            assert collecting.collect_due(now=now, limit=10).is_empty
            assert not PaymentAttempt.objects.exists()

        assert collecting.collect_due(now=now, limit=10).paid == 1

    def test_share_the_work_to_the_end(self):
        """What one has claimed and finds done by the other is no sign that nothing is left."""
        due = load_subscribers(
            customers=600, plan=PlanFactory(), begun=timezone.now() - timedelta(days=40)
        )

        shares = at_once(3, lambda _number: running.run(now=due, batch=5).invoiced)

        assert sum(shares) == 600
        assert min(shares) > 60, shares
