"""Many subscribers at once, by SQL: rows as the services would have written them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from catalog.models import Plan

# A UUID of version 7: the time in milliseconds, then what tells rows of one moment apart.
_ID = """
    CREATE OR REPLACE FUNCTION pg_temp.id_at(moment timestamptz) RETURNS uuid LANGUAGE sql AS $$
        SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
                || '7' || substr(md5(random()::text), 1, 3)
                || 'b' || substr(md5(random()::text), 1, 15))::uuid
    $$
"""
_PEOPLE = """
    CREATE TEMPORARY TABLE loaded ON COMMIT DROP AS
    SELECT n,
           %(begun)s::timestamptz + n * interval '1 microsecond' AS begun,
           pg_temp.id_at(%(begun)s) AS user_id, pg_temp.id_at(%(begun)s) AS subscription_id,
           pg_temp.id_at(%(begun)s) AS invoice_id, pg_temp.id_at(%(begun)s) AS payment_id,
           'INV-' || to_char(%(begun)s AT TIME ZONE 'UTC', 'YYYYMMDD') || '-01-'
               || lpad(n::text, 6, '0') AS number
      FROM generate_series(%(first)s, %(last)s) n
"""
_SERIES = """
    INSERT INTO billing_invoiceseries (day, series, last_number)
    VALUES ((%(begun)s AT TIME ZONE 'UTC')::date, 1, %(customers)s)
"""
_ROWS = (
    """
    INSERT INTO accounts_user (id, password, is_superuser, email, status, is_staff, language,
                               created_at)
    SELECT user_id, '!', FALSE, 'loaded-' || n || '@example.com', 'active', FALSE, 'en', begun
      FROM loaded
    """,
    """
    INSERT INTO billing_subscription (
        id, user_id, plan_id, price_id, status, name, amount, quantity, currency, billing_period,
        started_at, expires_at, anchor_at, period_start, period_value, cancel_reason, setup_fee,
        trial_days, is_trial_paid, parked_reason, created_at)
    SELECT subscription_id, user_id, plan.id, price.id, 'active', plan.name, price.amount, 1,
           price.currency, plan.billing_period, begun,
           begun + interval '1 month', begun, begun, price.amount, '', 0, 0, FALSE, '', begun
      FROM loaded, catalog_plan plan JOIN catalog_price price ON price.plan_id = plan.id
     WHERE plan.id = %(plan)s
    """,
    """
    INSERT INTO billing_invoicelineitem (id, invoice_id, user_id, position, type, item_id,
                                         description, quantity, unit_price, amount)
    SELECT pg_temp.id_at(begun), invoice_id, user_id, 1, 'subscription', subscription_id,
           plan.name, 1, price.amount, price.amount
      FROM loaded, catalog_plan plan JOIN catalog_price price ON price.plan_id = plan.id
     WHERE plan.id = %(plan)s
    """,
    """
    INSERT INTO billing_invoice (
        id, reason, number, user_id, plan_id, subscription_id, buyer, currency, subtotal,
        tax_amount, total_amount, status, payment_method, payment_ref, invoiced_at, paid_at,
        expires_at)
    SELECT invoice_id, 'checkout', number, user_id, plan.id, subscription_id,
           jsonb_build_object('email', 'loaded-' || n || '@example.com'), price.currency,
           price.amount, 0, price.amount, 'paid', 'sandbox', 'loaded-' || n, begun, begun,
           begun + interval '30 days'
      FROM loaded, catalog_plan plan JOIN catalog_price price ON price.plan_id = plan.id
     WHERE plan.id = %(plan)s
    """,
    """
    INSERT INTO billing_payment (id, provider, reference, method, invoice_reference, invoice_id,
                                 user_id, amount, currency, status, unmatched_reason, received_at,
                                 refund_reference)
    SELECT payment_id, 'sandbox', 'loaded-' || n, 'sandbox', invoice_id::text, invoice_id,
           invoice.user_id, invoice.total_amount, invoice.currency, 'captured', '', begun, ''
      FROM loaded JOIN billing_invoice invoice ON invoice.id = invoice_id
    """,
    """
    INSERT INTO billing_event (id, name, user_id, subject_id, payload, created_at)
    SELECT pg_temp.id_at(begun), name, user_id,
           CASE name WHEN 'subscription.activated' THEN subscription_id
                     WHEN 'payment.captured' THEN payment_id ELSE invoice_id END,
           jsonb_build_object('invoice_id', invoice_id), begun
      FROM loaded, unnest(ARRAY['checkout.completed', 'payment.captured', 'invoice.paid',
                                'subscription.activated']) name
    """,
)
_TABLES = (
    "accounts_user billing_subscription billing_invoicelineitem billing_invoice billing_payment "
    "billing_event"
)


# Triggers are dearer the more rows a statement writes: 10,000 took over half a minute.
PART = 1000  # customers


def load_subscribers(*, customers: int, plan: Plan, begun: datetime) -> datetime:
    """
    Write so many customers, each with a paid subscription to the plan since ``begun``.

    :return: when the first period of all of them is over
    """
    values = {"plan": plan.pk, "begun": begun}
    with connection.cursor() as cursor:
        cursor.execute(_ID)
        cursor.execute(_SERIES, values | {"customers": customers})
        for first in range(1, customers + 1, PART):
            last = min(first + PART - 1, customers)
            _load_part(cursor, values | {"first": first, "last": last})
        cursor.execute(f"ANALYZE {', '.join(_TABLES.split())}")
        cursor.execute(
            "SELECT max(expires_at) FROM billing_subscription WHERE plan_id = %s", [plan.pk]
        )
        (over,) = cursor.fetchone()
    return over + timedelta(microseconds=1)


@transaction.atomic
def _load_part(cursor: CursorWrapper, values: dict[str, object]) -> None:
    cursor.execute(_PEOPLE, values)
    for statement in _ROWS:
        cursor.execute(statement, values)
