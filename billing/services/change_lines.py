"""The lines of a change's invoice: what is given back, and what is asked for instead."""

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
    Return the credit, as far as it is used here, the charge, and what a coupon takes off a new
    period.

    What the credit is more goes to the customer's credit account, so that the sum is not negative.
    """
    used = smaller(asked.credit, asked.charge)
    given_back = [_credit(item, used, now)] if used.amount else []
    return [*given_back, _charge(item, target, asked, now), *_discount(item, target, asked)]


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
    return Draft(
        type=_kind(item),
        item_id=item.pk,
        description=target.name,
        unit_price=Money(target.amount, target.currency),
        quantity=target.quantity,
        period=(now, periods.end(anchor=now, billing_period=target.billing_period)),
    )


def _discount(item: Item, target: Target, asked: Quote) -> list[Draft]:
    if asked.coupon is None:
        return []
    return [Draft(Line.DISCOUNT, item.pk, asked.coupon.name, asked.charge - target.price)]


def _kind(item: Item) -> Line:
    return Line.ADD_ON if isinstance(item, AddOnSubscription) else Line.SUBSCRIPTION


def _named(name: str, quantity: int) -> str:
    return name if quantity == 1 else f"{quantity} × {name}"
