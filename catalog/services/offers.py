"""What a customer chose, as it is for sale at this moment: one statement for any number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.db import connection

from catalog.money import Money
from config.prepared import Prepared

Kind = Literal["plan", "token_bundle", "add_on"]

# By hand because it is on the checkout's path: through the ORM these are three queries with their
# prices, and a fourth for the plans that an add-on is bound to.
_PRICE = """
    LEFT JOIN catalog_price price
           ON price.{column} = item.id AND price.currency = chosen.currency
          AND price.valid_from <= %(now)s
          AND (price.valid_until IS NULL OR price.valid_until > %(now)s)
"""
_OFFERS = Prepared(
    "offers",
    f"""
    WITH chosen AS (
        SELECT COALESCE(
            %(currency)s::text,
            (SELECT default_currency FROM catalog_plan WHERE id = %(plan)s::uuid),
            %(default_currency)s
        ) AS currency
    )
    SELECT 'plan', item.id, item.name, item.slug, item.is_active, item.billing_period,
           NULL::bigint, NULL::uuid[], price.id, price.amount, chosen.currency
      FROM catalog_plan item CROSS JOIN chosen {_PRICE.format(column="plan_id")}
     WHERE item.id = %(plan)s::uuid
    UNION ALL
    SELECT 'token_bundle', item.id, item.name, '', item.is_active, 'one_time',
           item.token_amount, NULL, price.id, price.amount, chosen.currency
      FROM catalog_tokenbundle item CROSS JOIN chosen {_PRICE.format(column="bundle_id")}
     WHERE item.id = ANY(%(bundles)s::uuid[])
    UNION ALL
    SELECT 'add_on', item.id, item.name, item.slug, item.is_active, item.billing_period,
           NULL, ARRAY(SELECT plan_id FROM catalog_addon_plans WHERE addon_id = item.id),
           price.id, price.amount, chosen.currency
      FROM catalog_addon item CROSS JOIN chosen {_PRICE.format(column="add_on_id")}
     WHERE item.id = ANY(%(add_ons)s::uuid[])
""",  # noqa: S608 - the only thing that is put in is the name of a column, above
    plan="uuid",
    bundles="uuid[]",
    add_ons="uuid[]",
    currency="text",
    default_currency="text",
    now="timestamptz",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """
    One item as it is for sale now, in the currency that was asked for.

    ``amount`` and ``price_id`` are None where the item has no price in ``currency``;
    ``plan_ids`` are the plans that an add-on is bound to, none for one sold with any.
    """

    kind: Kind
    id: UUID
    name: str
    slug: str
    is_active: bool
    billing_period: str
    token_amount: int
    plan_ids: frozenset[UUID]
    price_id: UUID | None
    amount: Decimal | None
    currency: str

    @property
    def price(self) -> Money:
        """The price of an item that has one."""
        assert self.amount is not None  # noqa: S101 - whoever sells it has asked before
        return Money(self.amount, self.currency)


@dataclass(frozen=True, slots=True)
class Offers:
    """The offers found, by id; what is not here does not exist."""

    plans: dict[UUID, Offer]
    bundles: dict[UUID, Offer]
    add_ons: dict[UUID, Offer]


def read(
    *,
    plan_id: UUID | None,
    bundle_ids: Sequence[UUID],
    add_on_ids: Sequence[UUID],
    currency: str | None,
    now: datetime,
) -> Offers:
    """
    Read plan, bundles and add-ons with their current prices.

    :param currency: None means the plan's default currency, or without a plan
        ``BILLING_DEFAULT_CURRENCY``
    """
    with connection.cursor() as cursor:
        _OFFERS.execute(
            cursor,
            plan=plan_id,
            bundles=list(set(bundle_ids)),
            add_ons=list(add_on_ids),
            currency=currency,
            default_currency=settings.BILLING_DEFAULT_CURRENCY,
            now=now,
        )
        offers = [_offer(row) for row in cursor.fetchall()]
    by_kind: dict[Kind, dict[UUID, Offer]] = {"plan": {}, "token_bundle": {}, "add_on": {}}
    for offer in offers:
        by_kind[offer.kind][offer.id] = offer
    return Offers(by_kind["plan"], by_kind["token_bundle"], by_kind["add_on"])


def _offer(row: tuple) -> Offer:
    kind, pk, name, slug, is_active, period, tokens, plan_ids, price_id, amount, currency = row
    return Offer(
        kind=kind,
        id=pk,
        name=name,
        slug=slug,
        is_active=is_active,
        billing_period=period,
        token_amount=tokens or 0,
        plan_ids=frozenset(plan_ids or ()),
        price_id=price_id,
        amount=amount,
        currency=currency,
    )
