"""What the database itself refuses, whoever asks: every trigger and named constraint of billing."""

from __future__ import annotations

import uuid

import pytest
from django.apps import apps
from django.db import IntegrityError, InternalError, transaction

from billing.models import Invoice, InvoiceLineItem
from tests.billing import recurring_protection
from tests.billing.customers import NOON, Customers
from tests.billing.purchases import rows_of_billing
from tests.billing.refused import again, write
from tests.billing.subscribers import Subscribers

# Each: the trigger's name, and a write that it refuses.
TRIGGERS = [
    ("series_is_kept", "DELETE FROM billing_invoiceseries WHERE day = '2026-03-02'"),
    *[
        ("series_counts_by_one", f"UPDATE billing_invoiceseries SET last_number = {number}")
        for number in ("last_number", "last_number + 2", "last_number - 1", "1")
    ],
    ("invoice_is_kept", "DELETE FROM billing_invoice WHERE id = %(bob_invoice)s"),
    *[
        ("invoice_is_as_issued", f"UPDATE billing_invoice SET {change} WHERE id = %({whose})s")
        for whose in ("bob_invoice", "ann_invoice")
        for change in (
            "id = %(new)s",
            "number = 'INV-20260301-01-000999'",
            "user_id = %(fay)s",
            "plan_id = %(team)s",
            "plan_id = NULL",
            "subscription_id = %(fay_subscription)s",
            "buyer = '{}'",
            "buyer = jsonb_set(buyer, '{email}', '\"other@example.com\"')",
            "currency = 'EUR'",
            "subtotal = subtotal - 1, total_amount = total_amount - 1",
            "tax_amount = 1, total_amount = total_amount + 1",
            "invoiced_at = invoiced_at + interval '1 second'",
        )
    ],
    *[
        ("line_is_as_issued", f"UPDATE billing_invoicelineitem SET {change}")
        for change in (
            "amount = amount + 1, unit_price = unit_price + 1",
            "description = 'Other'",
            "item_id = %(new)s",
            "invoice_id = %(bob_invoice)s, position = position + 100",
        )
    ],
    (
        "line_is_as_issued",
        "DELETE FROM billing_invoicelineitem WHERE invoice_id = %(bob_invoice)s",
    ),
    ("payment_is_kept", "DELETE FROM billing_payment WHERE id = %(stray_payment)s"),
    ("payment_is_kept", "DELETE FROM billing_payment WHERE id = %(ann_payment)s"),
    *[
        ("payment_is_as_received", f"UPDATE billing_payment SET {change} WHERE id = %({whose})s")
        for whose in ("ann_payment", "stray_payment")
        for change in (
            "id = %(new)s",
            "provider = 'other'",
            "reference = 'other'",
            "invoice_reference = 'other'",
            "amount = amount + 1",
            "currency = 'EUR'",
            "received_at = received_at + interval '1 second'",
        )
    ],
    ("subscription_is_kept", "DELETE FROM billing_subscription WHERE id = %(cid_subscription)s"),
    *[
        (
            "subscription_has_one_user",
            f"UPDATE billing_subscription SET {change} WHERE id = %(cid_subscription)s",
        )
        for change in ("id = %(new)s", "user_id = %(fay)s")
    ],
    (
        "add_on_subscription_is_kept",
        "DELETE FROM billing_addonsubscription WHERE id = %(cid_add_on)s",
    ),
    *[
        (
            "add_on_subscription_has_one_user",
            f"UPDATE billing_addonsubscription SET {change} WHERE id = %(cid_add_on)s",
        )
        for change in ("id = %(new)s", "user_id = %(fay)s", "invoice_id = %(fay_invoice)s")
    ],
    ("purchase_is_kept", "DELETE FROM billing_tokenbundlepurchase WHERE id = %(cid_purchase)s"),
    *[
        (
            "purchase_is_as_sold",
            f"UPDATE billing_tokenbundlepurchase SET {change} WHERE id = %(bob_purchase)s",
        )
        for change in (
            "id = %(new)s",
            "user_id = %(fay)s",
            "bundle_id = %(new)s",
            "invoice_id = %(fay_invoice)s",
            "price_id = %(starter_yen_price)s",
            "name = 'Other'",
            "amount = amount - 1",
            "currency = 'EUR'",
            "token_amount = token_amount + 1",
        )
    ],
    ("token_account_is_kept", "DELETE FROM billing_tokenaccount WHERE user_id = %(ann)s"),
    *[
        ("token_transaction_is_kept", f"UPDATE billing_tokentransaction SET {change}")
        for change in ("amount = amount + 1", "description = 'Other'", "account_id = %(gus)s")
    ],
    ("token_transaction_is_kept", "DELETE FROM billing_tokentransaction"),
    *[
        ("event_is_kept", f"UPDATE billing_event SET {change}")
        for change in ("payload = '{}'", "name = 'test.other'", "created_at = now()")
    ],
    ("event_is_kept", "DELETE FROM billing_event"),
    ("mail_is_kept", "DELETE FROM billing_mail"),
]


def movement(amount: int, balance: int, sequence: int = 4, reference: str = "'new'") -> str:
    return f"""
        INSERT INTO billing_tokentransaction
               (id, account_id, sequence, amount, balance_after, transaction_type, reference_id,
                description, created_at)
        VALUES (%(new)s, %(ann)s, {sequence}, {amount}, {balance}, 'purchase', {reference}, '',
                now())
    """


# Each: the constraint's name, and a write that it refuses.
CONSTRAINTS = [
    (
        "series_once_a_day",
        "INSERT INTO billing_invoiceseries (day, series, last_number) VALUES ('2026-03-02', 1, 1)",
    ),
    (
        "invoice_total_is_sum",
        again("billing_invoice", "bob_invoice", "number = 'x', total_amount = total_amount + 1"),
    ),
    (
        "invoice_not_negative",
        again(
            "billing_invoice", "bob_invoice", "number = 'x', tax_amount = -1, total_amount = 43.50"
        ),
    ),
    (
        "invoice_not_negative",
        again("billing_invoice", "bob_invoice", "number = 'x', subtotal = -1, total_amount = -1"),
    ),
    *[
        (
            "invoice_paid_has_moment",
            f"UPDATE billing_invoice SET status = '{status}' WHERE id = %(bob_invoice)s",
        )
        for status in ("paid", "refunded")
    ],
    (
        "invoice_paid_has_moment",
        "UPDATE billing_invoice SET paid_at = NULL WHERE id = %(ann_invoice)s",
    ),
    (
        "invoice_cancelled_has_moment",
        "UPDATE billing_invoice SET status = 'cancelled' WHERE id = %(bob_invoice)s",
    ),
    (
        "invoice_cancelled_has_moment",
        "UPDATE billing_invoice SET cancelled_at = now() WHERE id = %(bob_invoice)s",
    ),
    (
        "payment_refunded_has_moment",
        "UPDATE billing_payment SET status = 'refunded' WHERE id = %(ann_payment)s",
    ),
    (
        "payment_refunded_has_moment",
        "UPDATE billing_payment SET refunded_at = now() WHERE id = %(ann_payment)s",
    ),
    (
        "invoice_subtotal_is_sum",  # its lines are those of another id: there are none
        again("billing_invoice", "bob_invoice", "number = 'x'"),
    ),
    (
        "billing_invoice_number_key",
        again("billing_invoice", "fay_invoice", ""),
    ),
    (
        "line_comes_before_invoice",
        """
        INSERT INTO billing_invoicelineitem
               (id, invoice_id, user_id, position, type, item_id, description, quantity,
                unit_price, amount)
        VALUES (%(new)s, %(bob_invoice)s, %(bob)s, 99, 'token_bundle', %(new)s, '', 1, 0, 0)
        """,
    ),
    (
        "line_position_once",
        """
        INSERT INTO billing_invoicelineitem
               (id, invoice_id, user_id, position, type, item_id, description, quantity,
                unit_price, amount)
        VALUES (gen_random_uuid(), %(new)s, %(bob)s, 1, 'token_bundle', %(new)s, '', 1, 0, 0),
               (gen_random_uuid(), %(new)s, %(bob)s, 1, 'token_bundle', %(new)s, '', 1, 0, 0)
        """,
    ),
    (
        "line_amount_is_product",
        """
        INSERT INTO billing_invoicelineitem
               (id, invoice_id, user_id, position, type, item_id, description, quantity,
                unit_price, amount)
        VALUES (%(new)s, %(new)s, %(bob)s, 1, 'token_bundle', %(new)s, '', 2, 10, 10)
        """,
    ),
    (
        "payment_reference_once",
        again("billing_payment", "stray_payment", ""),
    ),
    (
        "payment_one_per_invoice",
        again("billing_payment", "ann_payment", "reference = 'second'"),
    ),
    (
        "payment_is_positive",
        again("billing_payment", "stray_payment", "reference = 'x', amount = 0"),
    ),
    (
        "payment_captured_has_invoice",
        "UPDATE billing_payment SET invoice_id = NULL WHERE id = %(ann_payment)s",
    ),
    (
        "payment_unmatched_has_reason",
        "UPDATE billing_payment SET unmatched_reason = '' WHERE id = %(stray_payment)s",
    ),
    *[
        (
            "subscription_one_live_per_user",
            again(
                "billing_subscription", "ann_subscription", f"status = '{status}', paused_at = {at}"
            ),
        )
        for status, at in (("active", "NULL"), ("trialing", "NULL"), ("paused", "now()"))
    ],
    *[
        (
            "subscription_live_has_started",
            f"""
            UPDATE billing_subscription SET status = '{status}', paused_at = {at}
             WHERE id = %(bob_subscription)s
            """,
        )
        for status, at in (("active", "NULL"), ("trialing", "NULL"), ("paused", "now()"))
    ],
    (
        "subscription_paused_has_moment",
        "UPDATE billing_subscription SET status = 'paused' WHERE id = %(ann_subscription)s",
    ),
    (
        "subscription_paused_has_moment",
        "UPDATE billing_subscription SET status = 'active' WHERE id = %(eve_subscription)s",
    ),
    *[
        (
            "purchase_completed_is_credited",
            f"""
            UPDATE billing_tokenbundlepurchase SET status = 'completed', {change}
             WHERE id = %(bob_purchase)s
            """,
        )
        for change in ("completed_at = now()", "tokens_credited = TRUE")
    ],
    (
        "token_account_not_negative",
        "UPDATE billing_tokenaccount SET balance = -1 WHERE user_id = %(ann)s",
    ),
    ("token_transaction_sequence_once", movement(1, 881, sequence=3)),
    (
        "token_transaction_reference_once",
        movement(500, 1380, reference="%(ann_purchase)s::text"),
    ),
    ("token_transaction_moves", movement(0, 880)),
    ("token_transaction_not_overdrawn", movement(-881, -1)),
    (
        "idempotency_key_once",
        """
        INSERT INTO billing_idempotencyrecord
               (id, user_id, key, fingerprint, status_code, body, created_at)
        VALUES (gen_random_uuid(), %(ann)s, 'same', '', 201, '', now()),
               (gen_random_uuid(), %(ann)s, 'same', '', 201, '', now())
        """,
    ),
    (
        "mail_once",
        """
        INSERT INTO billing_mail
               (id, user_id, kind, reference, "to", language, context, status, attempts,
                next_attempt_at, failure, created_at)
        SELECT gen_random_uuid(), user_id, kind, reference, 'other', language, context, status,
               attempts, next_attempt_at, failure, now()
          FROM billing_mail
        """,
    ),
    *[
        ("mail_sent_has_moment", f"UPDATE billing_mail SET {change}")
        for change in ("status = 'sent'", "sent_at = now()")
    ],
    ("mail_waiting_has_moment", "UPDATE billing_mail SET next_attempt_at = NULL"),
]


@pytest.fixture
def customers() -> Customers:
    return Customers()


@pytest.fixture
def subscribers() -> Subscribers:
    return Subscribers()


def declared(kind: str) -> set[str]:
    """The names that the models of billing give to their triggers or constraints."""
    return {
        rule.name
        for model in apps.get_app_config("billing").get_models()
        for rule in getattr(model._meta, kind, [])
    }


@pytest.mark.django_db
class TestTriggers:
    @pytest.mark.parametrize(("name", "statement"), TRIGGERS)
    def test_refuse_what_they_are_for(self, customers, name, statement):
        before = rows_of_billing()

        with pytest.raises(InternalError, match=rf"pgtrigger_{name}_"), transaction.atomic():
            write(statement, customers.ids)

        assert rows_of_billing() == before

    @pytest.mark.parametrize(("name", "statement"), recurring_protection.TRIGGERS)
    def test_refuse_what_they_are_for_in_recurring_billing(self, subscribers, name, statement):
        before = rows_of_billing()

        with pytest.raises(InternalError, match=rf"pgtrigger_{name}_"), transaction.atomic():
            write(statement, subscribers.ids)

        assert rows_of_billing() == before

    def test_each_of_them_is_tested(self):
        tested = [*TRIGGERS, *recurring_protection.TRIGGERS]
        histories = {"update_update", "delete_delete"}
        # These two name themselves as constraints.
        checks = {"invoice_subtotal_is_sum", "line_comes_before_invoice"}

        assert declared("triggers") - histories - checks == {name for name, _ in tested}


@pytest.mark.django_db
class TestConstraints:
    @pytest.mark.parametrize(("name", "statement"), CONSTRAINTS)
    def test_refuse_what_they_are_for(self, customers, name, statement):
        before = rows_of_billing()

        with pytest.raises(IntegrityError) as refused, transaction.atomic():
            write(statement, customers.ids)

        assert refused.value.__cause__.diag.constraint_name == name
        assert rows_of_billing() == before

    @pytest.mark.parametrize(("name", "statement"), recurring_protection.CONSTRAINTS)
    def test_refuse_what_they_are_for_in_recurring_billing(self, subscribers, name, statement):
        before = rows_of_billing()

        with pytest.raises(IntegrityError) as refused, transaction.atomic():
            write(statement, subscribers.ids)

        assert refused.value.__cause__.diag.constraint_name == name
        assert rows_of_billing() == before

    def test_each_of_them_is_tested(self):
        tested = [*CONSTRAINTS, *recurring_protection.CONSTRAINTS]
        of_triggers = {"invoice_subtotal_is_sum", "line_comes_before_invoice"}
        of_columns = {"billing_invoice_number_key"}

        assert declared("constraints") | of_triggers | of_columns == {name for name, _ in tested}


@pytest.mark.django_db
class TestWhatIsAllowed:
    """The same writes, where they are right: the refusals are not of everything."""

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE billing_invoiceseries SET last_number = last_number + 1",
            """
            UPDATE billing_invoice SET status = 'cancelled', cancelled_at = now()
             WHERE id = %(bob_invoice)s
            """,
            "UPDATE billing_invoice SET status = 'refunded' WHERE id = %(ann_invoice)s",
            """
            UPDATE billing_payment SET status = 'refunded', refunded_at = now()
             WHERE id = %(ann_payment)s
            """,
            """
            UPDATE billing_payment SET status = 'captured', invoice_id = %(bob_invoice)s
             WHERE id = %(stray_payment)s
            """,
            "UPDATE billing_subscription SET expires_at = now() WHERE id = %(ann_subscription)s",
            """
            UPDATE billing_addonsubscription SET status = 'cancelled' WHERE id = %(ann_add_on)s
            """,
            """
            UPDATE billing_tokenbundlepurchase SET status = 'refunded' WHERE id = %(gus_purchase)s
            """,
            again("billing_subscription", "ann_subscription", "status = 'cancelled'"),
            again(
                "billing_payment",
                "ann_payment",
                "status = 'refunded', refunded_at = now(), reference = 'x'",
            ),
            again("billing_payment", "stray_payment", "provider = 'other'"),
            movement(1, 881),
        ],
    )
    def test_writes_one_row_or_more(self, customers, statement):
        assert write(statement, customers.ids) >= 1

    def test_an_invoice_is_inserted_after_its_lines(self, customers):
        invoice = Invoice.objects.get(pk=customers.ids["bob_invoice"])
        invoice.pk = uuid.uuid4()
        invoice.number = "INV-20260301-01-000099"

        InvoiceLineItem.objects.create(
            invoice_id=invoice.pk,
            user_id=invoice.user_id,
            position=1,
            type=InvoiceLineItem.Type.SUBSCRIPTION,
            item_id=uuid.uuid4(),
            unit_price=invoice.subtotal,
            amount=invoice.subtotal,
        )
        invoice.save(force_insert=True)

        assert Invoice.objects.filter(pk=invoice.pk, invoiced_at=NOON).exists()
