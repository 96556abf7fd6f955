"""Transactions that PostgreSQL ends for the sake of another one, and a database that is away."""

import threading

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from accounts.models import User
from billing.models import Payment
from billing.services import payments
from config.locking import retried
from tests.billing.purchases import check_out
from tests.factories import PlanFactory, UserFactory
from tests.threads import DEADLINE

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]


def lock_in_the_wrong_order(first, second, *, is_met):
    """Another session holds the first row and then wants the second: who meets it deadlocks."""
    other = connection.copy()
    other.inc_thread_sharing()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '10s'")  # so that it is not the one that is ended
        cursor.execute(
            f"SELECT FROM {first._meta.db_table} WHERE id = %s FOR NO KEY UPDATE", [first.pk]
        )

    def want():
        with other.cursor() as cursor:
            is_met.wait(DEADLINE)
            cursor.execute(
                f"SELECT FROM {second._meta.db_table} WHERE id = %s FOR NO KEY UPDATE",
                [second.pk],
            )
        other.rollback()
        other.close()

    thread = threading.Thread(target=want)
    thread.start()
    return thread


class TestRetried:
    def test_a_payment_that_deadlocks_is_taken_in_the_second_try(self, customer):
        now = timezone.now()
        invoice = check_out(customer, plan=PlanFactory(), now=now).invoice
        notice = payments.Notice("bank", "ref-1", str(invoice.id), invoice.total, "bank")
        # It locks the invoice, then the customer; the other one has the customer already.
        is_met = threading.Event()
        other = lock_in_the_wrong_order(customer, invoice, is_met=is_met)
        threading.Timer(0.2, is_met.set).start()

        receipt = payments.capture(notice=notice, now=now)

        other.join(DEADLINE)
        assert receipt.payment_reference == "ref-1"
        assert Payment.objects.count() == 1

    def test_a_serialization_failure_is_tried_again_too(self):
        tries = []

        @retried
        def fail_once():
            tries.append(1)
            if len(tries) == 1:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "DO $$ BEGIN RAISE EXCEPTION 'no'"
                        " USING ERRCODE = 'serialization_failure'; END $$"
                    )
            return "done"

        assert fail_once() == "done"
        assert tries == [1, 1]

    def test_begins_nothing_anew_within_a_transaction_of_somebody_elses(self):
        first, second = UserFactory(), UserFactory()
        tries = []

        @retried
        def take_both():
            tries.append(1)
            User.objects.lock(first.pk)
            User.objects.lock(second.pk)

        is_met = threading.Event()
        other = lock_in_the_wrong_order(second, first, is_met=is_met)
        threading.Timer(0.2, is_met.set).start()
        with pytest.raises(OperationalError), transaction.atomic():
            take_both()

        other.join(DEADLINE)
        assert tries == [1]


class TestTimeOutOfALock:
    def test_is_a_503_and_nothing_is_written(self, api, customer, signed_in, held_by_another):
        invoice = check_out(customer, plan=PlanFactory(), now=timezone.now()).invoice

        with held_by_another(invoice):
            answer = signed_in(customer).post(f"/api/v1/user/invoices/{invoice.id}/pay")

        assert answer.status_code == 503
        assert answer.json()["code"] == "database_unavailable"
        assert answer["Retry-After"] == "1"
        assert Payment.objects.count() == 0
