"""The two lines of a change's invoice: what is given back, and what is asked for instead."""

from __future__ import annotations

from datetime import datetime

from billing.models import AddOnSubscription, InvoiceLineItem
from billing.services import periods
from billing.services.change_quotes import Quote, Target, smaller
from billing.services.changed import Item
from billing.services.issuing import Draft
from catalog.money import Money

Line = InvoiceLineItem.Type


def of(*, item: Item, target: Target, asked: Quote, now: datetime) -> list[Draft]:
    """
    Return the credit, as far as it is used here, and the charge.

    What the credit is more goes to the customer's credit account, so that the sum is not negative.
    """
    used = smaller(asked.credit, asked.charge)
    given_back = [_credit(item, used, now)] if used.amount else []
    return [*given_back, _charge(item, target, asked, now)]


def _credit(item: Item, used: Money, now: datetime) -> Draft:
    return Draft(
        type=_kind(item),
        item_id=item.pk,
        description=f"{_named(item.name, item.quantity)}: what is not used of it",
        unit_price=Money.zero(used.currency) - used,
        period=(now, item.paid_end),
    )


def _charge(item: Item, target: Target, asked: Quote, now: datetime) -> Draft:
    if not asked.begins_new_period:
        rest = " for the rest of the period" if item.paid_end else ""
        return Draft(
            type=_kind(item),
            item_id=item.pk,
            description=_named(target.name, target.quantity) + rest,
            unit_price=asked.charge,
            period=(now, item.paid_end),
        )
    is_whole = asked.charge == target.price
    return Draft(
        type=_kind(item),
        item_id=item.pk,
        description=target.name if is_whole else _named(target.name, target.quantity),
        unit_price=Money(target.amount, target.currency) if is_whole else asked.charge,
        quantity=target.quantity if is_whole else 1,
        period=(now, periods.end(anchor=now, billing_period=target.billing_period)),
    )


def _kind(item: Item) -> Line:
    return Line.ADD_ON if isinstance(item, AddOnSubscription) else Line.SUBSCRIPTION


def _named(name: str, quantity: int) -> str:
    return name if quantity == 1 else f"{quantity} × {name}"
