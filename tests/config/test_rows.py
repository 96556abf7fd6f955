"""Rows of several tables by one statement."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.models import Event, IdempotencyRecord, InvoiceLineItem, Payment
from config import rows
from tests.factories import UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INVOICE = UUID("019aa000-0000-7000-8000-000000000000")


def line(user, position, *, amount="5.000", description="5 tokens"):
    return InvoiceLineItem(
        invoice_id=INVOICE,
        user=user,
        position=position,
        type="token_bundle",
        item_id=INVOICE,
        description=description,
        unit_price=Decimal(amount),
        amount=Decimal(amount),
    )


def event(user, **payload):
    return Event(name="checkout.requested", user=user, payload=payload, created_at=NOON)


@pytest.fixture
def user(db):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    return UserFactory()


class TestInsert:
    def test_is_one_statement_for_all_tables(self, user):
        written = [line(user, 1), line(user, 2), event(user)]

        with CaptureQueriesContext(connection) as captured, transaction.atomic():
            rows.insert(*written)
            transaction.set_rollback(True)

        assert len([sql for sql in captured if "insert" in sql["sql"].lower()]) == 1

    @pytest.mark.parametrize("text", ["100 % %s %(a)s", "it's", 'a "b"', "\\", "ü 漢 🎈", ""])
    def test_writes_what_the_orm_would(self, user, text):
        made = [event(user, text=text, number=1.5, none=None), event(user)]
        record = IdempotencyRecord(
            user=user, key=text, fingerprint=b"\x00\xff'", status_code=201, body=b"%s\\"
        )

        rows.insert(*made, record)

        stored = Event.objects.get(pk=made[0].pk)
        assert stored.payload == {"text": text, "number": 1.5, "none": None}
        assert (stored.user_id, stored.subject_id, stored.created_at) == (user.pk, None, NOON)
        kept = IdempotencyRecord.objects.get(pk=record.pk)
        assert (kept.key, bytes(kept.fingerprint), bytes(kept.body)) == (
            text,
            b"\x00\xff'",
            b"%s\\",
        )

    def test_notes_that_the_rows_are_there(self, user):
        made = event(user)

        rows.insert(made)

        assert made._state.adding is False
        assert made._state.db == "default"

    def test_writes_all_or_nothing(self, user):
        wrong = line(user, 1)
        wrong.quantity = 2

        with pytest.raises(IntegrityError, match="line_amount_is_product"), transaction.atomic():
            rows.insert(event(user), wrong)

        assert not Event.objects.exists()

    def test_of_nothing_does_nothing(self, user, django_assert_num_queries):
        with django_assert_num_queries(0):
            rows.insert()


class TestInsertNew:
    def payment(self, user, reference, **columns):
        return Payment(
            **{
                "provider": "bank",
                "reference": reference,
                "invoice_reference": "unknown",
                "user": user,
                "amount": Decimal("5.000"),
                "currency": "USD",
                "status": "unmatched",
                "unmatched_reason": "invoice_not_found",
                "received_at": NOON,
                **columns,
            }
        )

    def test_writes_what_is_new(self, user):
        made = self.payment(user, "it's 100 % ü")

        assert rows.insert_new(made, unless="payment_reference_once") is True

        found = Payment.objects.values().get()
        assert found == {field.attname: getattr(made, field.attname) for field in made._meta.fields}

    def test_leaves_what_is_there_as_it_is(self, user):
        rows.insert_new(self.payment(user, "a"), unless="payment_reference_once")

        other = self.payment(user, "a", amount=Decimal("7.000"))
        assert rows.insert_new(other, unless="payment_reference_once") is False

        assert Payment.objects.get().amount == Decimal("5.000")

    def test_lets_no_other_constraint_be_broken(self, user):
        wrong = self.payment(user, "a", amount=Decimal("0.000"))

        with pytest.raises(IntegrityError, match="payment_is_positive"), transaction.atomic():
            rows.insert_new(wrong, unless="payment_reference_once")

        assert not Payment.objects.exists()
