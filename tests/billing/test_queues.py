from datetime import UTC, datetime, timedelta

import pytest

from billing.models import Invoice, Mail, Payment, PaymentAttempt, Subscription, TestClock
from billing.services import queues
from billing.services.queues import Queue
from tests.billing.purchases import check_out, pay
from tests.factories import PlanFactory, UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 4, 2, 12, tzinfo=UTC)  # a day after the end of the first period
NOTHING = Queue(0, timedelta())


def subscribe(user=None):
    made = check_out(user or UserFactory(), plan=PlanFactory(), now=NOON)
    pay(made.invoice, now=NOON)
    return made


def notify(**values) -> Payment:
    return Payment.objects.create(
        provider="bank", amount="5.00", currency="USD", invoice_reference="?", **values
    )


@pytest.mark.django_db
class TestMeasure:
    def test_of_an_empty_shop_is_nothing(self):
        found = queues.measure(now=NOON)

        assert found.due == {"mails": NOTHING, "renewals": NOTHING, "collections": NOTHING}
        assert found.to_resolve == {
            "parked_mails": NOTHING,
            "parked_renewals": NOTHING,
            "unmatched_payments": NOTHING,
        }
        assert found.unanswered == NOTHING
        assert found.lately == {}

    def test_counts_renewals_from_the_end_of_their_period(self):
        subscribe()

        assert queues.measure(now=NOON).due["renewals"] == NOTHING
        assert queues.measure(now=LATER).due["renewals"] == Queue(1, timedelta(days=1))

    def test_counts_mails_from_the_moment_of_their_next_attempt(self):
        subscribe()  # a receipt
        mail = Mail.objects.get()

        found = queues.measure(now=mail.next_attempt_at + timedelta(minutes=7))

        assert found.due["mails"] == Queue(1, timedelta(minutes=7))

    def test_counts_invoices_that_are_to_be_collected(self):
        made = check_out(UserFactory(), plan=PlanFactory(), now=NOON)
        Invoice.objects.filter(pk=made.invoice.pk).update(next_attempt_at=NOON)

        found = queues.measure(now=NOON + timedelta(hours=2))

        assert found.due["collections"] == Queue(1, timedelta(hours=2))

    def test_leaves_out_whose_time_is_turned(self):
        customer = UserFactory()
        subscribe(customer)
        open_invoice = check_out(customer, plan=PlanFactory(), now=NOON).invoice
        Invoice.objects.filter(pk=open_invoice.pk).update(next_attempt_at=NOON)
        TestClock.objects.create(user=customer, now_at=LATER)

        found = queues.measure(now=LATER)

        assert found.due == {"mails": NOTHING, "renewals": NOTHING, "collections": NOTHING}

    def test_counts_what_waits_for_a_person(self):
        made = subscribe()
        Mail.objects.update(status="parked", next_attempt_at=None, created_at=NOON)
        Subscription.objects.filter(pk=made.subscription.pk).update(
            parked_at=NOON, parked_reason="no_price: There is none."
        )
        reason = {"unmatched_reason": "invoice_not_found"}
        notify(reference="1", status="unmatched", received_at=NOON, **reason)
        notify(reference="2", status="unmatched", received_at=LATER, **reason)

        found = queues.measure(now=LATER)

        assert found.to_resolve == {
            "parked_mails": Queue(1, timedelta(days=32)),
            "parked_renewals": Queue(1, timedelta(days=32)),
            "unmatched_payments": Queue(2, timedelta(days=32)),
        }
        assert found.due["renewals"] == NOTHING

    def test_counts_payments_that_the_provider_has_not_answered(self):
        made = check_out(UserFactory(), plan=PlanFactory(), now=NOON)
        PaymentAttempt.objects.create(
            invoice=made.invoice, user=made.invoice.user, number=1, provider="x", started_at=NOON
        )

        found = queues.measure(now=NOON + timedelta(minutes=3))

        assert found.unanswered == Queue(1, timedelta(minutes=3))

    def test_counts_what_happened_in_the_last_five_minutes(self):
        subscribe()
        now = datetime.now(UTC)

        assert queues.measure(now=now).lately["checkout.completed"] == 1
        assert queues.measure(now=now).lately["payment.captured"] == 1
        assert queues.measure(now=now + timedelta(minutes=6)).lately == {}

    def test_asks_the_database_as_often_for_many_rows(self, django_assert_num_queries):
        for _ in range(3):
            subscribe()

        with django_assert_num_queries(8):
            queues.measure(now=LATER)
