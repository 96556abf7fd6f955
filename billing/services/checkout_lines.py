"""The lines of a checkout: what is chosen, its fees, and what is taken off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from billing.models import CouponRedemption, Invoice, InvoiceLineItem
from billing.services import coupons, customer_credit
from billing.services.offers import Kind, Offer
from billing.services.selection import Selection
from catalog.money import Money

Line = InvoiceLineItem.Type
LESSENED = (Line.SUBSCRIPTION, Line.ADD_ON)  # by a coupon
_TYPES: dict[Kind, str] = {
    "plan": Line.SUBSCRIPTION,
    "token_bundle": Line.TOKEN_BUNDLE,
    "add_on": Line.ADD_ON,
}


def of_items(*, chosen: Selection, ids: Sequence[UUID]) -> list[InvoiceLineItem]:
    """
    A line for each item, then one for each setup fee.

    :param ids: of what each of ``chosen.offers`` becomes: subscription, purchase or add-on
    """
    lines = [
        _line(
            _TYPES[offer.kind],
            pk,
            _description(chosen, offer),
            Money.zero(offer.currency) if chosen.is_free(offer) else offer.price,
            chosen.quantity_of(offer),
        )
        for offer, pk in zip(chosen.offers, ids, strict=True)
    ]
    for offer, pk in zip(chosen.offers, ids, strict=True):
        if offer.setup_fee and not _is_owed_later(chosen, offer):
            fee = Money(offer.setup_fee, offer.currency)
            lines.append(_line(Line.SETUP_FEE, pk, f"Setup of {offer.name}", fee))
    return lines


def fees_to_come(chosen: Selection) -> Money:
    """The setup fees of what begins with a free trial: owed with the first renewal."""
    fees = (
        Money(offer.setup_fee, offer.currency)
        for offer in chosen.offers
        if offer.setup_fee and _is_owed_later(chosen, offer)
    )
    return Money.sum(fees, chosen.currency)


def less_coupon(
    *, redemption: CouponRedemption, lines: Sequence[InvoiceLineItem]
) -> list[InvoiceLineItem]:
    """What a coupon takes off plan and add-ons; where they are free yet, it is not used."""
    lessened = [line for line in lines if line.type in LESSENED and line.amount]
    if not lessened:
        return []
    amounts = [Money(line.amount, redemption.currency) for line in lessened]
    coupons.use_period(redemption)
    zero = Money.zero(redemption.currency)
    return [
        _line(Line.DISCOUNT, line.item_id, redemption.name, zero - off)
        for line, off in zip(
            lessened, coupons.discounts(redemption=redemption, amounts=amounts), strict=True
        )
        if off.amount
    ]


def less_credit(
    *, invoice: Invoice, lines: Sequence[InvoiceLineItem], now: datetime
) -> list[InvoiceLineItem]:
    """Use what the owner owes the customer, as far as it goes."""
    used = customer_credit.use(
        user_id=invoice.user_id,
        at_most=total(lines, invoice.currency),
        reference=invoice.pk,
        now=now,
    )
    if not used.amount:
        return []
    less = Money.zero(invoice.currency) - used
    return [_line(Line.CREDIT, invoice.pk, customer_credit.DESCRIPTION, less)]


def total(lines: Sequence[InvoiceLineItem], currency: str) -> Money:
    """:raises InvalidAmount: if it is too large to be booked"""
    return Money.sum((Money(line.amount, currency) for line in lines), currency)


def _is_owed_later(chosen: Selection, offer: Offer) -> bool:
    """With the first renewal, where nothing is paid before; what joins pays its fee at once."""
    return chosen.plan is not None and chosen.is_free(offer)


def _description(chosen: Selection, offer: Offer) -> str:
    if not chosen.is_free(offer):
        return offer.name
    if chosen.trial is None:
        return f"{offer.name} (to the end of the trial)"
    days = chosen.trial.days
    return f"{offer.name} ({days} {'day' if days == 1 else 'days'} of trial)"


def _line(
    line_type: str, item_id: UUID, description: str, price: Money, quantity: int = 1
) -> InvoiceLineItem:
    return InvoiceLineItem(
        type=line_type,
        item_id=item_id,
        description=description,
        quantity=quantity,
        unit_price=price.amount,
        amount=(price * quantity).amount if quantity > 1 else price.amount,
    )
