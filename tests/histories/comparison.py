"""What the rows say, held against what was reckoned from the event log."""

from __future__ import annotations

from collections import defaultdict

from accounts.models import User
from billing.models import (
    AddOnSubscription,
    CreditAccount,
    Event,
    Invoice,
    InvoiceLineItem,
    Payment,
    Subscription,
)
from billing.models.subscription import LIVE
from tests.histories.account import Told
from tests.histories.arithmetic import shown, units
from tests.histories.recomputation import Recomputation

_STATUS = {"pending": "open", "failed": "open"}


def differences(user: User) -> list[str]:
    """Each in words; none where all is as it should be."""
    reckoned = Recomputation()
    reckoned.play(
        Told(event.name, str(event.subject_id), event.payload, event.created_at)
        for event in Event.objects.filter(user=user).order_by("pk")
    )
    return [
        *reckoned.faults,
        *_of_invoices(user, reckoned),
        *_of_credit(user, reckoned),
        *_of_periods(user, reckoned),
        *_of_money_for_nothing(user),
    ]


def _of_invoices(user: User, reckoned: Recomputation) -> list[str]:
    found = []
    lines = defaultdict(list)
    for line in InvoiceLineItem.objects.filter(user=user):
        lines[str(line.invoice_id)].append(line)
    rows = {str(row.pk): row for row in Invoice.objects.filter(user=user)}
    found += [f"invoice {pk} is not told of" for pk in rows.keys() - reckoned.invoices.keys()]
    found += [f"invoice {pk} is told of only" for pk in reckoned.invoices.keys() - rows.keys()]
    for pk in rows.keys() & reckoned.invoices.keys():
        row, other = rows[pk], reckoned.invoices[pk]
        name = f"{row.reason} {row.number} of {row.invoiced_at:%Y-%m-%d}"
        if units(str(row.total_amount), row.currency) != other.total:
            total = shown(other.total, row.currency)
            found.append(f"{name}: {row.total_amount}, and not {total}")
        if _STATUS.get(row.status, row.status) != other.status:
            found.append(f"{name}: {row.status}, and not {other.status}")
        has_periods = row.reason == "renewal"
        own = sorted(_of_line(line, row.currency, has_periods) for line in lines[pk])
        asked = sorted(
            (
                line.kind,
                line.item,
                line.amount,
                str(line.start if has_periods else None),
                str(line.end if has_periods else None),
            )
            for line in other.lines
        )
        if own != asked:
            found.append(f"{name}: {own}, and not {asked}")
    return found


def _of_line(line: InvoiceLineItem, currency: str, has_periods: bool) -> tuple[object, ...]:
    begins, ends = (line.period_start, line.period_end) if has_periods else (None, None)
    amount = units(str(line.amount), currency)
    return (str(line.type), str(line.item_id), amount, str(begins), str(ends))


def _of_credit(user: User, reckoned: Recomputation) -> list[str]:
    balances = {
        account.currency: units(str(account.balance), account.currency)
        for account in CreditAccount.objects.filter(user=user)
    }
    return [
        f"credit of {shown(balances.get(currency, 0), currency)}, and not"
        f" {shown(reckoned.credit[currency], currency)}"
        for currency in balances.keys() | reckoned.credit.keys()
        if balances.get(currency, 0) != reckoned.credit[currency]
    ]


def _of_periods(user: User, reckoned: Recomputation) -> list[str]:
    """What runs: its state, what it is worth, and from when to when it is paid for."""
    found = []
    kinds = (Subscription, AddOnSubscription)
    rows = [row for kind in kinds for row in kind.objects.filter(user=user, status__in=LIVE)]
    items = {item.id: item for holding in reckoned.holdings.values() for item in holding.items}
    for row in rows:
        item = items[str(row.pk)]
        value = units(str(row.period_value), row.currency)
        own = (row.status, value, row.quantity, row.period_start, row.paid_end)
        asked = (item.status, item.value, item.quantity, item.start, item.ends)
        if own != asked:
            found.append(f"{row.name}: {own}, and not {asked}")
    live = {str(row.pk) for row in rows}
    found += [
        f"{item.kind} {item.id} runs no more"
        for item in items.values()
        if item.status in LIVE and item.id not in live
    ]
    return found


def _of_money_for_nothing(user: User) -> list[str]:
    """Nobody is asked for what they cannot have: only people transfer what fits nothing."""
    taken = Payment.objects.filter(user=user, provider="sandbox", invoice=None)
    return [f"taken, and kept: {payment.unmatched_reason}" for payment in taken]
