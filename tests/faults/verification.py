"""The journal of a round held against the database: what was promised is there, and once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from accounts.models import User
from billing.models import Invoice, Payment, TokenTransaction
from billing.services import books
from tests.faults.board import Board
from tests.faults.journal import Journal

Entries = dict[str, list[dict[str, Any]]]


@dataclass
class Findings:
    """Sentences: what is not there, what is there twice, what is not as it was told."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def add(self, other: Findings) -> None:
        self.lost += other.lost
        self.doubled += other.doubled
        self.wrong += other.wrong


# Rules between tables that hold at rest, whatever was acknowledged: nothing is half there.
RULES = {
    "an invoice without exactly one word of its checkout": """
        SELECT invoice.id FROM billing_invoice invoice
         WHERE (SELECT count(*) FROM billing_event event WHERE event.subject_id = invoice.id
                   AND event.name IN ('checkout.completed', 'invoice.issued')) <> 1
    """,
    "a payment without exactly one word of it": """
        SELECT payment.id FROM billing_payment payment
         WHERE (SELECT count(*) FROM billing_event event WHERE event.subject_id = payment.id
                   AND event.name IN ('payment.captured', 'payment.unmatched')) <> 1
    """,
    "a paid invoice without exactly one receipt": """
        SELECT invoice.id FROM billing_invoice invoice
         WHERE invoice.status IN ('paid', 'refunded') AND invoice.total_amount > 0
           AND (SELECT count(*) FROM billing_mail mail
                 WHERE mail.kind = 'receipt' AND mail.reference = invoice.id::text) <> 1
    """,
    "a receipt of an invoice that is not paid": """
        SELECT mail.id FROM billing_mail mail WHERE mail.kind = 'receipt' AND NOT EXISTS (
            SELECT FROM billing_invoice invoice WHERE invoice.id::text = mail.reference
               AND invoice.status IN ('paid', 'refunded'))
    """,
    "an answer that is kept of a checkout that is not there": """
        SELECT record.id FROM billing_idempotencyrecord record WHERE NOT EXISTS (
            SELECT FROM billing_invoice invoice WHERE invoice.user_id = record.user_id
               AND invoice.id = (convert_from(record.body, 'UTF8')::json
                                 -> 'invoice' ->> 'id')::uuid)
    """,
    "a key that was used twice": """
        SELECT key FROM billing_idempotencyrecord GROUP BY user_id, key HAVING count(*) > 1
    """,
    "a payment's reference that is there twice": """
        SELECT reference FROM billing_payment GROUP BY provider, reference HAVING count(*) > 1
    """,
    "a series with a gap or a number twice": """
        SELECT series.id FROM billing_invoiceseries series
          JOIN billing_invoice invoice ON invoice.number LIKE
               format('INV-%s-%s-%%', to_char(series.day, 'YYYYMMDD'),
                      lpad(series.series::text, 2, '0'))
         GROUP BY series.id, series.last_number
        HAVING count(*) <> series.last_number OR count(DISTINCT invoice.number) <> count(*)
            OR max(right(invoice.number, 6)::int) <> series.last_number
    """,
    "a balance that is not the sum of its movements": """
        SELECT account.user_id FROM billing_tokenaccount account
         WHERE account.balance <> (SELECT COALESCE(sum(amount), 0)
                                     FROM billing_tokentransaction movement
                                    WHERE movement.account_id = account.user_id)
    """,
    "a bought bundle whose tokens were not credited exactly once": """
        SELECT purchase.id FROM billing_tokenbundlepurchase purchase
         WHERE purchase.status IN ('completed', 'refunded')
           AND (SELECT count(*) FROM billing_tokentransaction movement
                 WHERE movement.transaction_type = 'purchase'
                   AND movement.account_id = purchase.user_id
                   AND movement.reference_id = purchase.id::text) <> 1
    """,
}


def verify(*, journal: Journal, board: Board, renewing: Iterable[Any]) -> Findings:
    """
    Hold everything acknowledged in this round against the rows, and the rows against the rules.

    :param renewing: ids of customers of whom each has one renewal to be invoiced and paid
    """
    findings = Findings()
    told = journal.of_round()
    for check in (_checkouts, _payments, _kept, _spent, _done_by_staff, _registered):
        findings.add(check(told, board))
    findings.add(_renewed(list(renewing)))
    findings.add(_rules())
    for result in books.verify():
        if result.violations:
            findings.wrong.append(f"books: {result.name}: {', '.join(result.examples)}")
    with journal._lock:
        findings.wrong += journal.wrong
        journal.wrong = []
    return findings


def _checkouts(told: Entries, board: Board) -> Findings:
    findings = Findings()
    acknowledged: dict[str, set[str]] = defaultdict(set)
    rows = {
        str(row.pk): row
        for row in Invoice.objects.filter(
            pk__in=[entry["invoice"] for entry in told["checkout"]]
        ).prefetch_related("line_items")
    }
    for entry in told["checkout"]:
        acknowledged[entry["user"]].add(entry["invoice"])
        row = rows.get(entry["invoice"])
        if row is None:
            findings.lost.append(f"checkout {entry['number']} of {entry['user']}")
        elif (str(row.user_id), row.number, str(row.total), row.line_items.count()) != (
            entry["user"],
            entry["number"],
            entry["amount"],
            entry["lines"],
        ):
            findings.wrong.append(f"checkout {entry['number']}: it is not as it was answered")
    people = {person.id: person for person in board.people}
    there: dict[str, set[str]] = defaultdict(set)
    for user, invoice in Invoice.objects.filter(user_id__in=people).values_list("user_id", "id"):
        there[str(user)].add(str(invoice))
    for user, invoices in there.items():
        extra = invoices - acknowledged[user]
        # A request without a key whose answer was lost may have been done: nobody repeated it.
        if len(extra) > people[user].unknown:
            findings.doubled.append(
                f"{people[user].email}: {len(extra)} invoices that nobody was told of, "
                f"and {people[user].unknown} requests without an answer: {sorted(extra)[:3]}"
            )
    return findings


def _payments(told: Entries, board: Board) -> Findings:
    findings = Findings()
    references = [entry["reference"] for entry in told["payment"]]
    rows: dict[tuple[str, str], list[Payment]] = defaultdict(list)
    for row in Payment.objects.filter(reference__in=references).select_related("invoice"):
        rows[row.provider, row.reference].append(row)
    for entry in told["payment"]:
        found = rows[entry["provider"], entry["reference"]]
        name = f"payment {entry['reference']} of {entry['invoice']}"
        if not found:
            findings.lost.append(name)
            continue
        if len(found) > 1:
            findings.doubled.append(name)
        row = found[0]
        if row.status == Payment.Status.UNMATCHED or str(row.invoice_id) != entry["invoice"]:
            findings.wrong.append(f"{name} is {row.status} for {row.invoice_id}")
        elif row.invoice.status not in (Invoice.Status.PAID, Invoice.Status.REFUNDED):
            findings.wrong.append(f"{name}: its invoice is {row.invoice.status}")
    paid = Counter(entry["invoice"] for entry in told["payment"])
    for invoice, payments in paid.items():
        if payments > 1:
            findings.doubled.append(f"invoice {invoice}: {payments} payments were said to pay it")
    return findings


def _kept(told: Entries, board: Board) -> Findings:
    findings = Findings()
    references = {entry["reference"] for entry in told["kept"]}
    rows = Counter(
        Payment.objects.filter(reference__in=references, provider="webhook").values_list(
            "reference", flat=True
        )
    )
    for reference in references:
        if rows[reference] == 0:
            findings.lost.append(f"unmatched payment {reference}")
        elif rows[reference] > 1:
            findings.doubled.append(f"unmatched payment {reference}")
    return findings


def _spent(told: Entries, board: Board) -> Findings:
    findings = Findings()
    spent = TokenTransaction.objects.filter(
        account_id__in=[person.id for person in board.people],
        transaction_type=TokenTransaction.Type.USAGE,
    ).values_list("account_id", "reference_id", "amount")
    rows = Counter((str(user), reference, -amount) for user, reference, amount in spent)
    acknowledged = {(entry["user"], entry["reference"], entry["amount"]) for entry in told["spend"]}
    for movement in acknowledged:
        if rows[movement] == 0:
            findings.lost.append(f"spending {movement}")
        elif rows[movement] > 1:
            findings.doubled.append(f"spending {movement}")
    for movement in rows.keys() - acknowledged:
        findings.wrong.append(f"spending {movement} was never acknowledged")
    return findings


def _done_by_staff(told: Entries, board: Board) -> Findings:
    findings = Findings()
    statuses = dict(Invoice.objects.values_list("id", "status"))
    by_id = {str(invoice): status for invoice, status in statuses.items()}
    for entry in told["void"]:
        if by_id.get(entry["invoice"]) != Invoice.Status.CANCELLED:
            findings.lost.append(f"void of {entry['invoice']}: {by_id.get(entry['invoice'])}")
    for entry in told["refund"]:
        refunded = Payment.objects.filter(
            invoice_id=entry["invoice"], refund_reference=entry["reference"]
        )
        if by_id.get(entry["invoice"]) != Invoice.Status.REFUNDED or refunded.count() != 1:
            findings.lost.append(f"refund {entry['reference']} of {entry['invoice']}")
    last = {entry["user"]: entry["status"] for entry in told["status"]}
    for user, status in last.items():
        if User.objects.get(pk=user).status != status:
            findings.lost.append(f"{user} was said to be {status}")
    return findings


def _registered(told: Entries, board: Board) -> Findings:
    emails = [entry["email"] for entry in told["register"]]
    there = set(User.objects.filter(email__in=emails).values_list("email", flat=True))
    return Findings(lost=[f"account {email}" for email in emails if email not in there])


def _renewed(renewing: list[Any]) -> Findings:
    """Each has what it began with, and one renewal, both paid."""
    findings = Findings()
    paid = Counter(
        Invoice.objects.filter(user_id__in=renewing, status=Invoice.Status.PAID).values_list(
            "user_id", flat=True
        )
    )
    invoices = Counter(
        Invoice.objects.filter(user_id__in=renewing).values_list("user_id", flat=True)
    )
    for user in renewing:
        if invoices[user] > 2:
            findings.doubled.append(f"renewal of {user}: {invoices[user]} invoices")
        elif paid[user] != 2:
            findings.lost.append(f"renewal of {user}: {paid[user]} of 2 invoices paid")
    return findings


def _rules() -> Findings:
    findings = Findings()
    with connection.cursor() as cursor:
        for rule, statement in RULES.items():
            cursor.execute(statement)
            broken = cursor.fetchmany(3)
            if broken:
                findings.wrong.append(f"{rule}: {', '.join(str(row[0]) for row in broken)}")
    return findings
