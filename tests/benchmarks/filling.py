"""
A business of years in minutes: a few customers by the services, then copies of them by COPY.

A story is one customer with ten invoices, each on a day that no other story has. The services
write it, so its rows are theirs; a copy differs by its ids, names and invoice numbers only.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from accounts.models import BillingDetails, User
from billing.models import Invoice
from billing.services import checkout, invoices, payments, refunds
from billing.services.selection import Order
from catalog.models import AddOn, Plan, TokenBundle

INVOICES = 10  # of each customer, four lines each
PART = 4_000_000  # characters of one COPY

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TAIL = "f" * 8  # in an e-mail or a reference of the stories
_MARK = "\x01"  # stands for eight digits: in an id, an e-mail or a reference
_FIRST_NAMES = ("Ada", "Bruno", "Chiara", "Dmitri", "Esther", "Farid", "Greta", "Hiro", "Ines")
_LAST_NAMES = ("Abbott", "Becker", "Costa", "Dvorak", "Eriksen", "Fontaine", "Garcia", "Haas")
# What is sold stays one, and so do the members of staff; of people, only customers are copied.
_KEPT = """
    SELECT id FROM catalog_plan UNION ALL SELECT id FROM catalog_price
     UNION ALL SELECT id FROM catalog_tokenbundle UNION ALL SELECT id FROM catalog_addon
     UNION ALL SELECT id FROM accounts_user WHERE is_staff
"""
_COLUMNS = """
    SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
      FROM information_schema.columns
     WHERE table_schema = current_schema() AND is_identity = 'NO'
       AND table_name ~ '^(accounts|billing|pghistory)_'
       AND table_name NOT IN ('billing_invoiceseries', 'accounts_user_groups',
                              'accounts_user_user_permissions', 'pghistory_events')
     GROUP BY table_name ORDER BY table_name
"""


def fill(
    *,
    count: int,
    plan: Plan,
    bundles: list[TokenBundle],
    add_on: AddOn,
    staff: User,
    stories: int = 30,
    now: datetime,
) -> int:
    """
    Write so many invoices, or a few more, into a database that has no customers yet.

    Triggers and foreign keys are off while copies are written: a superuser's work, on a database
    of its own.

    :param bundles: four; the first invoice has the plan, the add-on and two of them
    :return: how many there are now
    """
    copies = ceil(count / INVOICES / stories)  # of each story, the story itself counted
    orders = [Order(token_bundle_ids=tuple(each.pk for each in bundles))] * INVOICES
    orders[0] = Order(
        plan_id=plan.pk,
        token_bundle_ids=tuple(each.pk for each in bundles[:2]),
        add_on_ids=(add_on.pk,),
    )
    for story in range(stories):
        _live(story, stories, orders, staff, now)
    with transaction.atomic(), connection.cursor() as cursor:
        templates = _templates(cursor)
        with _unguarded(cursor):
            for table, (columns, text) in templates.items():
                _copy(cursor, f"{table} ({columns})", text, copies)
            cursor.execute("UPDATE billing_invoiceseries SET last_number = %s", [copies])
    return copies * stories * INVOICES


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _live(story: int, stories: int, orders: list[Order], staff: User, now: datetime) -> None:
    """One customer's invoices: paid, but one refunded now and then, and the last one left open."""
    begun = now - timedelta(days=stories * INVOICES - story)
    user = User.objects.create_user(f"xfirstx.xlastx-{story}-{_TAIL}@example.com", None)
    User.objects.filter(pk=user.pk).update(created_at=begun)
    BillingDetails.objects.create(
        user=user, first_name="Xfirstx", last_name="Xlastx", city="Wien", country="AT"
    )
    for number, order in enumerate(orders):
        moment = begun + timedelta(days=number * stories)
        invoice = checkout.create(user=user, order=order, now=moment).invoice
        is_last = number == INVOICES - 1
        if is_last and story % 2:
            continue
        if is_last and story % 4 == 0:
            invoices.void(invoice=invoice, by=staff, reason="Not wanted", now=moment)
            continue
        _pay(invoice, f"loaded-{story}-{number}-{_TAIL}", moment)
        if number == INVOICES - 3 and story % 4 == 0:
            _refund(invoice, f"back-{story}-{_TAIL}", staff, moment)


def _pay(invoice: Invoice, reference: str, moment: datetime) -> None:
    notice = payments.Notice(
        provider="sandbox",
        reference=reference,
        invoice_reference=str(invoice.pk),
        money=invoice.total,
        method="card",
    )
    payments.capture(notice=notice, now=moment)


def _refund(invoice: Invoice, reference: str, staff: User, moment: datetime) -> None:
    refunds.refund(
        invoice=invoice, reference=reference, by=staff, reason="Was not happy", now=moment
    )


def _templates(cursor: CursorWrapper) -> dict[str, tuple[str, str]]:
    """Of each table with rows: its columns, and the rows in the form of COPY, ids marked."""
    cursor.execute(_KEPT)
    kept = {str(pk) for (pk,) in cursor.fetchall()}
    mark = _marker(kept)
    cursor.execute("SET LOCAL TIME ZONE 'UTC'")
    cursor.execute(_COLUMNS)
    found = {}
    for table, columns in cursor.fetchall():
        rows = f"SELECT {columns} FROM {table}"
        if table == "accounts_user":
            rows += " WHERE NOT is_staff"
        text = io.StringIO()
        cursor.copy_expert(f"COPY ({rows}) TO STDOUT", text)
        if text.getvalue():
            found[table] = (columns, mark(text.getvalue()))
    return found


def _marker(kept: set[str]) -> Callable[[str], str]:
    """The last digits of an id become the copy's number and that of the id."""
    numbers: dict[str, int] = {}

    def mark_one(match: re.Match[str]) -> str:
        whole = match[0]
        if whole in kept:
            return whole
        number = numbers.setdefault(whole, len(numbers))
        return f"{whole[:24]}{_MARK}{number:04x}"

    return lambda text: _ID.sub(mark_one, text).replace(_TAIL, _MARK)


@contextmanager
def _unguarded(cursor: CursorWrapper) -> Iterator[None]:
    """Without triggers and foreign keys, of this session only."""
    cursor.execute("SET LOCAL session_replication_role = replica")
    yield
    cursor.execute("SET LOCAL session_replication_role = origin")


def _copy(cursor: CursorWrapper, target: str, template: str, copies: int) -> None:
    """Every copy but the first, which is the stories themselves."""
    part = io.StringIO()
    for copy in range(1, copies):
        part.write(_filled_in(template, copy))
        if part.tell() > PART or copy == copies - 1:
            part.seek(0)
            cursor.copy_expert(f"COPY {target} FROM STDIN", part)
            part = io.StringIO()


def _filled_in(template: str, copy: int) -> str:
    first = _FIRST_NAMES[copy % len(_FIRST_NAMES)]
    last = _LAST_NAMES[copy % len(_LAST_NAMES)]
    return (
        template.replace(_MARK, f"{copy:08x}")
        .replace("-01-000001", f"-01-{copy + 1:06}")
        .replace("Xfirstx", first)
        .replace("Xlastx", last)
        .replace("xfirstx", first.lower())
        .replace("xlastx", last.lower())
    )
