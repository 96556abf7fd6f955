"""How each rule of the books is broken, and only that one: SQL with the ids of the customers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """
    :param story: what has gone wrong
    :param example: the name of the id that must be among the examples; "" where it is no id of ours
    """

    rule: str
    story: str
    example: str
    sql: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.story}"


def copied(table: str, name: str, changes: str = "") -> str:
    """The row with this id again, as ``new``."""
    changes = f"UPDATE copied SET {changes};" if changes else ""
    return f"""
        CREATE TEMP TABLE copied AS SELECT * FROM {table} WHERE id = %({name})s;
        UPDATE copied SET id = %(new)s; {changes}
        INSERT INTO {table} SELECT * FROM copied;
        DROP TABLE copied;
    """


def told(event: str, subject: str) -> str:
    return f"""
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (gen_random_uuid(), '{event}', %({subject})s, '{{}}', now());
    """


def price(columns: str, values: str) -> str:
    return f"""
        INSERT INTO catalog_price (id, created_at, {columns}) VALUES (%(new)s, now(), {values});
    """


def movement(amount: int, kind: str, reference: str) -> str:
    """One more transaction of Ann's, as it should be: she has 880 tokens by 3 transactions."""
    return f"""
        INSERT INTO billing_tokentransaction
               (id, account_id, sequence, amount, balance_after, transaction_type, reference_id,
                description, created_at)
        VALUES (%(new)s, %(ann)s, 4, {amount}, 880 + {amount}, '{kind}', {reference}, '', now());
        UPDATE billing_tokenaccount SET balance = balance + {amount}, last_sequence = 4
         WHERE user_id = %(ann)s;
    """


def line(line_type: str, item: str, invoice: str, user: str) -> str:
    return f"""
        INSERT INTO billing_invoicelineitem
               (id, invoice_id, user_id, position, type, item_id, description, quantity,
                unit_price, amount)
        VALUES (%(new)s, %({invoice})s, %({user})s, 99, '{line_type}', %({item})s, '', 1, 0, 0);
    """


def drop(table: str, constraint: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {constraint};"


def drop_index(name: str) -> str:
    return f"DROP INDEX {name};"


CATALOGUE = [
    Break(
        "account_once",
        "the same address in capitals",
        "",
        drop("accounts_user", "user_email_is_lower_case")
        + "UPDATE accounts_user SET email = 'ANN@example.com' WHERE id = %(bob)s",
    ),
    Break(
        "price_not_negative",
        "less than nothing",
        "new",
        drop("catalog_price", "price_not_negative")
        + price("plan_id, currency, amount, valid_from", "%(pro)s, 'EUR', -1, now()"),
    ),
    Break(
        "price_has_currency_places",
        "half a yen",
        "new",
        price("plan_id, currency, amount, valid_from", "%(pro)s, 'JPY', 0.5, now()"),
    ),
    Break(
        "price_has_currency_places",
        "a currency that nobody knows",
        "new",
        price("plan_id, currency, amount, valid_from", "%(pro)s, 'ZZZ', 1, now()"),
    ),
    Break(
        "price_is_of_one_item",
        "of two",
        "new",
        drop("catalog_price", "price_is_of_one_item")
        + price(
            "plan_id, add_on_id, currency, amount, valid_from",
            "%(pro)s, %(support)s, 'EUR', 1, now()",
        ),
    ),
    Break(
        "price_one_at_a_time",
        "a second one while the first stands",
        "new",
        drop("catalog_price", "price_one_at_a_time")
        + price("plan_id, currency, amount, valid_from", "%(pro)s, 'USD', 30, now()"),
    ),
    Break(
        "price_one_at_a_time",
        "one that ends after the next has begun",
        "pro_price",
        drop("catalog_price", "price_one_at_a_time")
        + price(
            "plan_id, currency, amount, valid_from, valid_until",
            "%(pro)s, 'USD', 30, '2019-01-01', '2020-01-02'",
        ),
    ),
]

AMOUNTS = [
    Break(
        "invoice_total_is_sum",
        "tax that is not in the total",
        "bob_invoice",
        drop("billing_invoice", "invoice_total_is_sum")
        + "UPDATE billing_invoice SET tax_amount = 1 WHERE id = %(bob_invoice)s",
    ),
    Break(
        "invoice_subtotal_is_sum",
        "one dollar more than the lines",
        "bob_invoice",
        """
        UPDATE billing_invoice SET subtotal = subtotal + 1, total_amount = total_amount + 1
         WHERE id = %(bob_invoice)s
        """,
    ),
    Break(
        "invoice_not_negative",
        "negative tax",
        "bob_invoice",
        drop("billing_invoice", "invoice_not_negative")
        + """
        UPDATE billing_invoice SET tax_amount = -1, total_amount = total_amount - 1
         WHERE id = %(bob_invoice)s
        """,
    ),
    Break(
        "invoice_has_currency_places",
        "half a cent of tax",
        "bob_invoice",
        """
        UPDATE billing_invoice SET tax_amount = 0.005, total_amount = total_amount + 0.005
         WHERE id = %(bob_invoice)s
        """,
    ),
    Break(
        "invoice_paid_has_moment",
        "pending, and paid at a moment",
        "bob_invoice",
        "UPDATE billing_invoice SET paid_at = now() WHERE id = %(bob_invoice)s",
    ),
    Break(
        "invoice_paid_has_moment",
        "paid at no moment",
        "ann_invoice",
        drop("billing_invoice", "invoice_paid_has_moment")
        + "UPDATE billing_invoice SET paid_at = NULL WHERE id = %(ann_invoice)s",
    ),
    Break(
        "invoice_cancelled_has_moment",
        "cancelled at no moment",
        "ida_invoice",
        drop("billing_invoice", "invoice_cancelled_has_moment")
        + "UPDATE billing_invoice SET cancelled_at = NULL WHERE id = %(ida_invoice)s",
    ),
    Break(
        "invoice_subscription_is_buyers",
        "for another customer's subscription",
        "gus_invoice",
        "UPDATE billing_invoice SET subscription_id = %(ann_subscription)s"
        " WHERE id = %(gus_invoice)s",
    ),
]

LINES = [
    Break(
        "invoice_has_lines",
        "for nothing",
        "new",
        copied(
            "billing_invoice",
            "gus_third_invoice",
            "number = 'INV-20260302-01-000004', subtotal = 0, total_amount = 0",
        )
        + "UPDATE billing_invoiceseries SET last_number = 4 WHERE day = '2026-03-02';"
        + told("checkout.completed", "new"),
    ),
    Break(
        "line_amount_is_product",
        "two for the price of one",
        "",
        drop("billing_invoicelineitem", "line_amount_is_product")
        + "UPDATE billing_invoicelineitem SET quantity = 2 WHERE item_id = %(bob_purchase)s",
    ),
    Break(
        "line_has_user_of_invoice",
        "of another customer",
        "",
        "UPDATE billing_invoicelineitem SET user_id = %(ann)s WHERE item_id = %(bob_purchase)s",
    ),
    Break(
        "line_has_currency_places",
        "eight at 3.125 are 25.00",
        "",
        """
        UPDATE billing_invoicelineitem SET quantity = 8, unit_price = 3.125
         WHERE item_id = %(jon_subscription)s AND type = 'setup_fee'
        """,
    ),
    Break(
        "line_pays_for_item",
        "for nothing that there is",
        "new",
        line("token_bundle", "nowhere", "bob_invoice", "bob"),
    ),
    Break(
        "line_pays_for_item",
        "for a subscription that is a purchase",
        "new",
        line("subscription", "bob_purchase", "bob_invoice", "bob"),
    ),
    Break(
        "line_pays_for_item",
        "for another customer's purchase",
        "",
        "UPDATE billing_tokenbundlepurchase SET user_id = %(ann)s WHERE id = %(bob_purchase)s",
    ),
    Break(
        "line_pays_for_item",
        "for what another invoice is for",
        "",
        "UPDATE billing_tokenbundlepurchase SET invoice_id = %(gus_third_invoice)s"
        " WHERE id = %(gus_second_purchase)s",
    ),
    Break(
        "line_of_checkout_has_its_price",
        "of another amount",
        "",
        price(
            "bundle_id, currency, amount, valid_from, valid_until",
            "%(starter)s, 'USD', 11, '2019-01-01', '2020-01-01'",
        )
        + "UPDATE billing_tokenbundlepurchase SET amount = 11, price_id = %(new)s"
        " WHERE id = %(bob_purchase)s",
    ),
    Break(
        "line_pays_for_item",
        "in another currency",
        "",
        price("bundle_id, currency, amount, valid_from", "%(starter)s, 'EUR', 10.50, now()")
        + "UPDATE billing_tokenbundlepurchase SET currency = 'EUR', price_id = %(new)s"
        " WHERE id = %(bob_purchase)s",
    ),
    Break(
        "line_of_checkout_has_its_price",
        "free, though there is no trial",
        "",
        """
        UPDATE billing_subscription SET trial_days = 0 WHERE id = %(kim_subscription)s
        """,
    ),
    Break(
        "line_of_fee_is_of_item",
        "for the setup of something on another invoice",
        "",
        "UPDATE billing_invoicelineitem SET item_id = %(bob_subscription)s"
        " WHERE item_id = %(jon_subscription)s AND type = 'setup_fee'",
    ),
    Break(
        "line_of_credit_was_used",
        "of a credit that was never taken",
        "",
        "UPDATE billing_creditentry SET type = 'change', reference = %(new)s"
        " WHERE type = 'used' AND reference = %(jon_invoice)s",
    ),
]

# On the 2nd of March there are the invoices 1, 2 and 3 of series 01.
NUMBERS = [
    Break(
        "invoice_number_is_well_formed",
        "without its zeros",
        "gus_third_invoice",
        "UPDATE billing_invoice SET number = 'INV-20260302-1-3' WHERE id = %(gus_third_invoice)s",
    ),
    Break(
        "invoice_number_is_well_formed",
        "of no series at all",
        "gus_third_invoice",
        """
        UPDATE billing_invoice SET number = '2026/3' WHERE id = %(gus_third_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 2 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "invoice_number_once",
        "the second one again",
        "",
        drop("billing_invoice", "billing_invoice_number_key")
        + """
        UPDATE billing_invoice SET number = 'INV-20260302-01-000002'
         WHERE id = %(gus_third_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 2 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "invoice_has_series",
        "the series is gone",
        "",
        "DELETE FROM billing_invoiceseries WHERE day = '2026-03-02'",
    ),
    Break(
        "invoice_has_series",
        "a number of another series",
        "",
        """
        UPDATE billing_invoice SET number = 'INV-20260302-07-000001'
         WHERE id = %(gus_third_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 2 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "series_has_no_gap",
        "the last number was never used",
        "",
        "UPDATE billing_invoiceseries SET last_number = 4 WHERE day = '2026-03-02'",
    ),
    Break(
        "series_has_no_gap",
        "1, 2, 4 of 3",
        "",
        """
        UPDATE billing_invoice SET number = 'INV-20260302-01-000004'
         WHERE id = %(gus_third_invoice)s
        """,
    ),
    Break(
        "series_has_no_gap",
        "1, 3, 4 of 4",
        "",
        """
        UPDATE billing_invoice SET number = 'INV-20260302-01-000004'
         WHERE id = %(gus_second_invoice)s;
        UPDATE billing_invoiceseries SET last_number = 4 WHERE day = '2026-03-02';
        """,
    ),
    Break(
        "series_has_no_gap",
        "0, 2, 3 of 3",
        "",
        "UPDATE billing_invoice SET number = 'INV-20260302-01-000000' WHERE id = %(gus_invoice)s",
    ),
    Break(
        "series_of_day_has_no_gap",
        "series 1 and 3",
        "",
        """
        INSERT INTO billing_invoiceseries (day, series, last_number) VALUES ('2026-03-02', 3, 0)
        """,
    ),
]

PAYMENTS = [
    Break(
        "invoice_paid_has_payment",
        "paid by nothing",
        "ann_invoice",
        "DELETE FROM billing_payment WHERE id = %(ann_payment)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "paid too much",
        "ann_invoice",
        "UPDATE billing_payment SET amount = amount + 1 WHERE id = %(ann_payment)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "paid in another currency",
        "ann_invoice",
        "UPDATE billing_payment SET currency = 'EUR' WHERE id = %(ann_payment)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "paid twice",
        "ann_invoice",
        "DROP INDEX payment_one_per_invoice;"
        + copied("billing_payment", "ann_payment", "reference = 'twice'")
        + told("payment.captured", "new"),
    ),
    Break(
        "invoice_paid_has_payment",
        "zero, and paid by bank",
        "fay_invoice",
        "UPDATE billing_invoice SET payment_method = 'bank' WHERE id = %(fay_invoice)s",
    ),
    Break(
        "invoice_paid_has_payment",
        "refunded, and the payment was not",
        "gus_invoice",
        """
        UPDATE billing_invoice SET status = 'refunded' WHERE id = %(gus_invoice)s;
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (%(new)s, 'invoice.refunded', %(gus_invoice)s,
                '{"tokens_taken_back": 0, "tokens_used_before": 500}', now());
        UPDATE billing_tokenbundlepurchase SET status = 'refunded' WHERE id = %(gus_purchase)s;
        UPDATE billing_payment SET status = 'unmatched', invoice_id = NULL, unmatched_reason = 'x'
         WHERE id = %(gus_payment)s;
        """,
    ),
    Break(
        "payment_refunded_has_moment",
        "refunded under no reference",
        "hal_payment",
        "UPDATE billing_payment SET refund_reference = '' WHERE id = %(hal_payment)s",
    ),
    Break(
        "payment_refunded_has_moment",
        "unmatched, and refunded at a moment",
        "stray_payment",
        drop("billing_payment", "payment_refunded_has_moment")
        + "UPDATE billing_payment SET refunded_at = now() WHERE id = %(stray_payment)s",
    ),
    Break(
        "event_of_refunded_invoice",
        "told twice",
        "hal_invoice",
        told("invoice.refunded", "hal_invoice"),
    ),
    Break(
        "event_of_refunded_payment",
        "told twice",
        "sent_back_payment",
        told("payment.refunded", "sent_back_payment"),
    ),
    Break(
        "event_of_cancelled_invoice",
        "voided, and not told",
        "ida_invoice",
        "DELETE FROM billing_event WHERE name = 'invoice.voided'",
    ),
    Break(
        "event_of_cancelled_invoice",
        "withdrawn, and not told",
        "leo_five_invoice",
        "DELETE FROM billing_event WHERE name = 'invoice.withdrawn'",
    ),
    Break(
        "event_of_cancelled_invoice",
        "told twice",
        "ida_invoice",
        told("invoice.voided", "ida_invoice"),
    ),
    Break(
        "event_of_cancelled_invoice",
        "cancelled by nobody",
        "gus_second_invoice",
        """
        UPDATE billing_invoice SET status = 'cancelled', cancelled_at = now()
         WHERE id = %(gus_second_invoice)s;
        UPDATE billing_tokenbundlepurchase SET status = 'cancelled'
         WHERE id = %(gus_second_purchase)s;
        """,
    ),
    Break(
        "event_of_assigned_payment",
        "not told",
        "dora_payment",
        "DELETE FROM billing_event WHERE name = 'payment.assigned'",
    ),
    Break(
        "event_of_assigned_payment",
        "told twice",
        "dora_payment",
        told("payment.assigned", "dora_payment"),
    ),
    Break(
        "event_of_assigned_payment",
        "told of one that waits",
        "stray_payment",
        told("payment.assigned", "stray_payment"),
    ),
    Break(
        "token_refund_is_told",
        "fewer than went back",
        "hal_invoice",
        """
        UPDATE billing_event SET payload = payload || '{"tokens_taken_back": 379}'
         WHERE name = 'invoice.refunded'
        """,
    ),
    Break(
        "token_refund_is_told",
        "more were used than were bought",
        "hal_invoice",
        """
        UPDATE billing_event SET payload = payload || '{"tokens_used_before": 121}'
         WHERE name = 'invoice.refunded'
        """,
    ),
    Break(
        "token_refund_is_told",
        "in words",
        "hal_invoice",
        """
        UPDATE billing_event SET payload = payload || '{"tokens_taken_back": "all"}'
         WHERE name = 'invoice.refunded'
        """,
    ),
    Break(
        "token_refund_has_purchase",
        "fewer than there were",
        "",
        """
        UPDATE billing_tokentransaction SET amount = -370, balance_after = 10
         WHERE transaction_type = 'refund';
        UPDATE billing_tokenaccount SET balance = 10 WHERE user_id = %(hal)s;
        UPDATE billing_event
           SET payload = payload || '{"tokens_taken_back": 370, "tokens_used_before": 130}'
         WHERE name = 'invoice.refunded';
        """,
    ),
    Break(
        "token_refund_has_purchase",
        "of a purchase that is not refunded",
        "new",
        movement(-500, "refund", "%(ann_purchase)s::text"),
    ),
    Break(
        "token_refund_has_purchase",
        "for nothing",
        "new",
        movement(-5, "refund", "'no purchase'"),
    ),
    Break(
        "payment_agrees_with_invoice",
        "captured for an invoice that is pending",
        "new",
        copied("billing_payment", "ann_payment", "reference = 'x', invoice_id = %(bob_invoice)s")
        + "UPDATE billing_payment SET user_id = %(bob)s WHERE id = %(new)s;"
        + told("payment.captured", "new"),
    ),
    Break(
        "payment_agrees_with_invoice",
        "refunded, and the invoice is paid",
        "new",
        copied(
            "billing_payment",
            "ann_payment",
            "reference = 'x', status = 'refunded', refunded_at = now(), refund_reference = 'x'",
        )
        + told("payment.captured", "new"),
    ),
    Break(
        "payment_agrees_with_invoice",
        "captured for no invoice",
        "stray_payment",
        drop("billing_payment", "payment_captured_has_invoice")
        + "UPDATE billing_payment SET status = 'captured' WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_agrees_with_invoice",
        "of another customer",
        "ann_payment",
        "UPDATE billing_payment SET user_id = %(bob)s WHERE id = %(ann_payment)s",
    ),
    Break(
        "payment_unmatched_has_reason",
        "for no reason",
        "stray_payment",
        drop("billing_payment", "payment_unmatched_has_reason")
        + "UPDATE billing_payment SET unmatched_reason = '' WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_unmatched_has_reason",
        "with an invoice",
        "stray_payment",
        "UPDATE billing_payment SET invoice_id = %(bob_invoice)s WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_reference_once",
        "the same reference again",
        "",
        drop("billing_payment", "payment_reference_once")
        + """
        UPDATE billing_payment
           SET reference = (SELECT reference FROM billing_payment WHERE id = %(ann_payment)s)
         WHERE id = %(stray_payment)s
        """,
    ),
    Break(
        "payment_is_positive",
        "nothing",
        "stray_payment",
        drop("billing_payment", "payment_is_positive")
        + "UPDATE billing_payment SET amount = 0 WHERE id = %(stray_payment)s",
    ),
    Break(
        "payment_has_currency_places",
        "half a cent",
        "stray_payment",
        "UPDATE billing_payment SET amount = 1.005 WHERE id = %(stray_payment)s",
    ),
]

AGREEMENT = [
    Break(
        "subscription_agrees_with_invoice",
        "pending, and paid for",
        "fay_subscription",
        """
        UPDATE billing_subscription SET status = 'pending', started_at = NULL
         WHERE id = %(fay_subscription)s
        """,
    ),
    Break(
        "subscription_agrees_with_invoice",
        "active, and not paid for",
        "bob_subscription",
        """
        UPDATE billing_subscription
           SET status = 'active', started_at = now(), anchor_at = now(), period_start = now()
         WHERE id = %(bob_subscription)s;
        """
        + told("subscription.activated", "bob_subscription"),
    ),
    Break(
        "subscription_agrees_with_invoice",
        "given up, and its invoice is still to be paid",
        "bob_subscription",
        """
        UPDATE billing_subscription SET status = 'cancelled', cancelled_at = now()
         WHERE id = %(bob_subscription)s;
        """
        + told("subscription.cancelled", "bob_subscription"),
    ),
    Break(
        "subscription_agrees_with_invoice",
        "in a status that there is not",
        "bob_subscription",
        "UPDATE billing_subscription SET status = 'lost' WHERE id = %(bob_subscription)s",
    ),
    Break(
        "add_on_agrees_with_invoice",
        "active, and not paid for",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription
           SET status = 'active', started_at = '2026-03-02', expires_at = '2026-03-03'
         WHERE id = %(ann_open_add_on)s;
        """
        + told("add_on.activated", "ann_open_add_on"),
    ),
    Break(
        "add_on_agrees_with_invoice",
        "pending, and paid for",
        "ann_add_on",
        """
        UPDATE billing_addonsubscription SET status = 'pending', started_at = NULL
         WHERE id = %(ann_add_on)s
        """,
    ),
    Break(
        "add_on_agrees_with_invoice",
        "given up, and its invoice is still to be paid",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription SET status = 'cancelled', cancelled_at = now()
         WHERE id = %(ann_open_add_on)s
        """,
    ),
    Break(
        "purchase_agrees_with_invoice",
        "refunded, and its invoice is paid",
        "gus_purchase",
        "UPDATE billing_tokenbundlepurchase SET status = 'refunded' WHERE id = %(gus_purchase)s",
    ),
    Break(
        "purchase_agrees_with_invoice",
        "cancelled, and its invoice is still to be paid",
        "bob_purchase",
        "UPDATE billing_tokenbundlepurchase SET status = 'cancelled' WHERE id = %(bob_purchase)s",
    ),
    Break(
        "purchase_agrees_with_invoice",
        "pending, and its invoice is cancelled",
        "cid_purchase",
        "UPDATE billing_tokenbundlepurchase SET status = 'pending' WHERE id = %(cid_purchase)s",
    ),
    Break(
        "purchase_completed_is_credited",
        "completed, and not marked",
        "gus_purchase",
        drop("billing_tokenbundlepurchase", "purchase_completed_is_credited")
        + """
        UPDATE billing_tokenbundlepurchase SET tokens_credited = FALSE
         WHERE id = %(gus_purchase)s
        """,
    ),
    Break(
        "purchase_completed_is_credited",
        "pending, and marked",
        "bob_purchase",
        "UPDATE billing_tokenbundlepurchase SET tokens_credited = TRUE WHERE id = %(bob_purchase)s",
    ),
]

STATE = [
    Break(
        "subscription_one_live_per_user",
        "the replaced one lives on",
        "dora",
        """
        DROP INDEX subscription_one_live_per_user;
        UPDATE billing_subscription SET status = 'active' WHERE id = %(dora_old_subscription)s;
        """,
    ),
    Break(
        "subscription_has_its_moments",
        "pending, and started",
        "bob_subscription",
        "UPDATE billing_subscription SET started_at = now() WHERE id = %(bob_subscription)s;"
        + told("subscription.activated", "bob_subscription"),
    ),
    Break(
        "subscription_has_its_moments",
        "active, and never started",
        "fay_subscription",
        drop("billing_subscription", "subscription_live_has_started")
        + "UPDATE billing_subscription SET started_at = NULL WHERE id = %(fay_subscription)s",
    ),
    Break(
        "subscription_has_its_moments",
        "active, and paused at a moment",
        "fay_subscription",
        drop("billing_subscription", "subscription_paused_has_moment")
        + "UPDATE billing_subscription SET paused_at = now() WHERE id = %(fay_subscription)s",
    ),
    Break(
        "subscription_has_its_moments",
        "cancelled at no moment",
        "dora_old_subscription",
        "UPDATE billing_subscription SET cancelled_at = NULL WHERE id = %(dora_old_subscription)s",
    ),
    Break(
        "subscription_has_its_moments",
        "cancelled, and runs for ever",
        "dora_old_subscription",
        "UPDATE billing_subscription SET expires_at = NULL WHERE id = %(dora_old_subscription)s",
    ),
    Break(
        "add_on_has_its_moments",
        "pending, and started",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription SET started_at = '2026-03-02', expires_at = '2026-03-03'
         WHERE id = %(ann_open_add_on)s;
        """
        + told("add_on.activated", "ann_open_add_on"),
    ),
    Break(
        "add_on_has_its_moments",
        "active, and never started",
        "ann_add_on",
        "UPDATE billing_addonsubscription SET started_at = NULL WHERE id = %(ann_add_on)s",
    ),
    Break(
        "add_on_has_its_moments",
        "cancelled at no moment",
        "dora_old_add_on",
        "UPDATE billing_addonsubscription SET cancelled_at = NULL WHERE id = %(dora_old_add_on)s",
    ),
    Break(
        "add_on_is_of_subscription",
        "with another customer's subscription",
        "ann_open_add_on",
        """
        UPDATE billing_addonsubscription SET subscription_id = %(dora_subscription)s
         WHERE id = %(ann_open_add_on)s
        """,
    ),
    Break(
        "add_on_ends_with_subscription",
        "a second longer",
        "ann_add_on",
        """
        UPDATE billing_addonsubscription SET expires_at = expires_at + interval '1 second'
         WHERE id = %(ann_add_on)s
        """,
    ),
    Break(
        "add_on_ends_with_subscription",
        "for ever",
        "ann_add_on",
        "UPDATE billing_addonsubscription SET expires_at = NULL WHERE id = %(ann_add_on)s",
    ),
    Break(
        "add_on_ends_with_subscription",
        "bought in the pause, a second longer",
        "eve_late_add_on",
        """
        UPDATE billing_addonsubscription SET expires_at = expires_at + interval '1 second'
         WHERE id = %(eve_late_add_on)s
        """,
    ),
    Break(
        "add_on_ends_with_subscription",
        "after the subscription was replaced",
        "dora_old_add_on",
        """
        UPDATE billing_addonsubscription SET expires_at = expires_at + interval '1 second'
         WHERE id = %(dora_old_add_on)s
        """,
    ),
    Break(
        "add_on_runs_with_subscription",
        "paused, and the subscription is not",
        "ann_add_on",
        "UPDATE billing_addonsubscription SET status = 'paused' WHERE id = %(ann_add_on)s",
    ),
    Break(
        "add_on_runs_with_subscription",
        "running, and the subscription is paused",
        "eve_add_on",
        "UPDATE billing_addonsubscription SET status = 'active' WHERE id = %(eve_add_on)s",
    ),
]

SOLD = [
    Break(
        "subscription_has_line",
        "on no invoice",
        "new",
        copied("billing_subscription", "bob_subscription"),
    ),
    Break(
        "subscription_has_line",
        "on an invoice twice",
        "fay_subscription",
        line("subscription", "fay_subscription", "fay_invoice", "fay"),
    ),
    Break(
        "purchase_has_line",
        "on no invoice",
        "new",
        copied("billing_tokenbundlepurchase", "bob_purchase"),
    ),
    Break(
        "add_on_has_line",
        "on no invoice",
        "new",
        copied("billing_addonsubscription", "bob_add_on"),
    ),
    Break(
        "subscription_has_its_price",
        "the price of another amount",
        "bob_subscription",
        "UPDATE billing_subscription SET price_id = %(team_price)s WHERE id = %(bob_subscription)s",
    ),
    Break(
        "subscription_has_its_price",
        "the price of another plan",
        "bob_subscription",
        "UPDATE billing_subscription SET plan_id = %(team)s WHERE id = %(bob_subscription)s",
    ),
    Break(
        "purchase_has_its_price",
        "the price in another currency",
        "bob_purchase",
        """
        UPDATE billing_tokenbundlepurchase SET price_id = %(starter_yen_price)s
         WHERE id = %(bob_purchase)s
        """,
    ),
    Break(
        "add_on_has_its_price",
        "the price of another add-on",
        "bob_add_on",
        """
        UPDATE billing_addonsubscription SET price_id = %(export_price)s
         WHERE id = %(bob_add_on)s
        """,
    ),
]

TOKENS = [
    Break(
        "token_balance_is_sum",
        "one token from nowhere",
        "ann",
        "UPDATE billing_tokenaccount SET balance = balance + 1 WHERE user_id = %(ann)s",
    ),
    Break(
        "token_balance_runs",
        "one token more in between",
        "",
        """
        UPDATE billing_tokentransaction SET balance_after = balance_after + 1
         WHERE account_id = %(ann)s AND sequence = 2
        """,
    ),
    Break(
        "token_sequence_has_no_gap",
        "1, 2, 7",
        "",
        """
        UPDATE billing_tokentransaction SET sequence = 7
         WHERE account_id = %(ann)s AND sequence = 3
        """,
    ),
    Break(
        "token_account_counts",
        "one more than there are",
        "ann",
        "UPDATE billing_tokenaccount SET last_sequence = 4 WHERE user_id = %(ann)s",
    ),
    Break(
        "token_balance_not_negative",
        "more was spent than there was",
        "ann",
        drop("billing_tokenaccount", "token_account_not_negative")
        + drop("billing_tokentransaction", "token_transaction_not_overdrawn")
        + movement(-881, "usage", "'too much'"),
    ),
    Break(
        "purchase_is_credited_once",
        "what was credited was no purchase",
        "gus_purchase",
        """
        UPDATE billing_tokentransaction SET transaction_type = 'usage'
         WHERE reference_id = %(gus_purchase)s::text
        """,
    ),
    Break(
        "purchase_is_credited_once",
        "one token less than was bought",
        "gus_purchase",
        "UPDATE billing_tokenbundlepurchase SET token_amount = 501 WHERE id = %(gus_purchase)s",
    ),
    Break(
        "purchase_is_credited_once",
        "credited twice",
        "ann_purchase",
        drop("billing_tokentransaction", "token_transaction_reference_once")
        + movement(500, "purchase", "%(ann_purchase)s::text"),
    ),
    Break(
        "credit_has_purchase",
        "bought by nothing",
        "new",
        movement(500, "purchase", "'nothing'"),
    ),
    Break(
        "credit_has_purchase",
        "credited before it was paid",
        "new",
        movement(500, "purchase", "%(bob_purchase)s::text"),
    ),
    Break(
        "credit_has_purchase",
        "credited to one another",
        "",
        """
        UPDATE billing_tokentransaction
           SET reference_id = CASE reference_id WHEN %(ann_purchase)s::text
                                                THEN %(gus_purchase)s::text
                                                ELSE %(ann_purchase)s::text END
         WHERE reference_id IN (%(ann_purchase)s::text, %(gus_purchase)s::text)
        """,
    ),
]


def untold(rule: str, event: str, subject: str) -> list[Break]:
    return [
        Break(
            rule,
            "nothing was told",
            subject,
            f"DELETE FROM billing_event WHERE name = '{event}' AND subject_id = %({subject})s",
        )
    ]


def told_twice(rule: str, event: str, subject: str) -> list[Break]:
    return [
        *untold(rule, event, subject),
        Break(rule, "it was told twice", subject, told(event, subject)),
    ]


EVENTS = [
    *told_twice("event_of_checkout", "checkout.completed", "bob_invoice"),
    *told_twice("event_of_paid_invoice", "invoice.paid", "ann_invoice"),
    *told_twice("event_of_started_subscription", "subscription.activated", "ann_subscription"),
    *untold("event_of_cancelled_subscription", "subscription.cancelled", "dora_old_subscription"),
    *untold("event_of_paused_subscription", "subscription.paused", "eve_subscription"),
    *told_twice("event_of_started_add_on", "add_on.activated", "ann_add_on"),
    *told_twice("event_of_credit", "tokens.credited", "gus_invoice"),
    *told_twice("event_of_adjustment", "tokens.adjusted", "fay_gift"),
    Break(
        "event_of_adjustment",
        "fewer tokens were told",
        "fay_gift",
        """
        UPDATE billing_event SET payload = payload || '{"tokens": 99}'
         WHERE subject_id = %(fay_gift)s
        """,
    ),
    Break(
        "event_of_adjustment",
        "of another customer's account",
        "fay_gift",
        "UPDATE billing_event SET user_id = %(ann)s WHERE subject_id = %(fay_gift)s",
    ),
    *untold("event_of_payment", "payment.captured", "ann_payment"),
    *untold("event_of_payment", "payment.unmatched", "stray_payment"),
]

CHANGES = [
    Break(
        "change_agrees_with_invoice",
        "it took effect before it was paid",
        "leo_six",
        """
        UPDATE billing_subscriptionchange
           SET status = 'applied', applied_at = now(), was_amount = 29, was_period = 'monthly'
         WHERE id = %(leo_six)s;
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (gen_random_uuid(), 'subscription.changed', %(leo_subscription)s,
                jsonb_build_object('change_id', %(leo_six)s), now());
        """,
    ),
    Break(
        "change_agrees_with_invoice",
        "its invoice is withdrawn, and it still waits",
        "leo_five",
        drop_index("subscription_change_one_waiting")
        + "UPDATE billing_subscriptionchange SET status = 'pending' WHERE id = %(leo_five)s",
    ),
    Break(
        "invoice_of_change_has_change",
        "there is none",
        "leo_five_invoice",
        "DELETE FROM billing_subscriptionchange WHERE id = %(leo_five)s",
    ),
    Break(
        "change_is_charged",
        "a dollar less than it is",
        "leo_six",
        "UPDATE billing_subscriptionchange SET charge = charge + 1 WHERE id = %(leo_six)s",
    ),
    Break(
        "change_leaves_its_credit",
        "nothing was left",
        "leo_down",
        """
        UPDATE billing_creditentry SET type = 'cancellation' WHERE reference = %(leo_down)s
        """,
    ),
    Break(
        "change_leaves_its_credit",
        "it was given back before it is paid",
        "leo_six",
        """
        UPDATE billing_creditentry SET reference = %(leo_six)s WHERE reference = %(jon)s;
        UPDATE billing_creditentry SET type = 'change' WHERE reference = %(leo_six)s;
        """,
    ),
    Break(
        "event_of_change",
        "it was not told",
        "leo_up",
        "DELETE FROM billing_event WHERE payload->>'change_id' = %(leo_up)s"
        " AND name = 'subscription.changed'",
    ),
]

BREAKS = [
    *CHANGES,
    *CATALOGUE,
    *AMOUNTS,
    *LINES,
    *NUMBERS,
    *PAYMENTS,
    *AGREEMENT,
    *STATE,
    *SOLD,
    *TOKENS,
    *EVENTS,
]
