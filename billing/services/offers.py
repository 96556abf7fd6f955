"""
What a customer chose, as it is for sale to them at this moment: one statement for any number of
items, with what else a checkout has to know of the customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.db import connection

from accounts.services.erasure import AccountErased
from catalog.models import BillingPeriod
from catalog.money import Money
from config.prepared import Prepared

Kind = Literal["plan", "token_bundle", "add_on"]

# By hand because it is on the checkout's path: through the ORM these are three queries with their
# prices, a fourth for the plans that an add-on is bound to, and two about the customer.
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
    ), customer AS (
        SELECT (SELECT balance FROM billing_creditaccount account
                 WHERE account.user_id = %(user)s::uuid AND account.currency = chosen.currency
               ) AS credit,
               EXISTS(SELECT FROM billing_subscription
                       WHERE user_id = %(user)s::uuid
                         AND COALESCE(trial_plan_id, plan_id) = %(plan)s::uuid
                         AND trial_ends_at IS NOT NULL) AS had_trial
          FROM chosen
    ), account AS (
        SELECT erased_at FROM accounts_user WHERE id = %(user)s::uuid FOR KEY SHARE
    )
    SELECT 'plan', item.id, item.name, item.slug, item.is_active, item.billing_period,
           0::bigint, '{{}}'::uuid[], price.id, price.amount, price.setup_fee,
           CASE WHEN customer.had_trial THEN 0 ELSE item.trial_days END, item.is_trial_paid,
           chosen.currency, customer.credit,
           (SELECT erased_at FROM account) IS NOT NULL
      FROM catalog_plan item
           CROSS JOIN chosen CROSS JOIN customer {_PRICE.format(column="plan_id")}
     WHERE item.id = %(plan)s::uuid
    UNION ALL
    SELECT 'token_bundle', item.id, item.name, '', item.is_active, 'one_time',
           item.token_amount, '{{}}', price.id, price.amount, 0, 0, FALSE,
           chosen.currency, customer.credit,
           (SELECT erased_at FROM account) IS NOT NULL
      FROM catalog_tokenbundle item
           CROSS JOIN chosen CROSS JOIN customer {_PRICE.format(column="bundle_id")}
     WHERE item.id = ANY(%(bundles)s::uuid[])
    UNION ALL
    SELECT 'add_on', item.id, item.name, item.slug, item.is_active, item.billing_period,
           0, ARRAY(SELECT plan_id FROM catalog_addon_plans WHERE addon_id = item.id),
           price.id, price.amount, price.setup_fee, 0, FALSE, chosen.currency, customer.credit,
           (SELECT erased_at FROM account) IS NOT NULL
      FROM catalog_addon item
           CROSS JOIN chosen CROSS JOIN customer {_PRICE.format(column="add_on_id")}
     WHERE item.id = ANY(%(add_ons)s::uuid[])
""",  # noqa: S608 - the only thing that is put in is the name of a column, above
    plan="uuid",
    bundles="uuid[]",
    add_ons="uuid[]",
    currency="text",
    default_currency="text",
    user="uuid",
    now="timestamptz",
)


@dataclass(frozen=True)
class Offer:
    """
    One item as it is for sale now, in the currency that was asked for.

    ``amount`` and ``price_id`` are None where the item has no price in ``currency``;
    ``plan_ids`` are the plans that an add-on is bound to, none for one sold with any.
    ``trial_days`` of a plan are what this customer may still have of them.
    """

    kind: Kind
    id: UUID
    name: str
    slug: str
    is_active: bool
    billing_period: str
    token_amount: int
    plan_ids: Sequence[UUID]
    price_id: UUID | None
    amount: Decimal | None
    setup_fee: Decimal | None
    trial_days: int
    is_trial_paid: bool
    currency: str

    @property
    def is_recurring(self) -> bool:
        return self.billing_period != BillingPeriod.ONE_TIME

    @cached_property
    def price(self) -> Money:
        """The price of an item that has one."""
        assert self.amount is not None  # noqa: S101 - whoever sells it has asked before
        return Money(self.amount, self.currency)


@dataclass(frozen=True, slots=True)
class Offers:
    """
    The offers found, by id; what is not here does not exist.

    :param has_credit: whether the owner owes the customer something, in the currency of the offers
    """

    plans: dict[UUID, Offer]
    bundles: dict[UUID, Offer]
    add_ons: dict[UUID, Offer]
    has_credit: bool


def read(
    *,
    user_id: UUID,
    plan_id: UUID | None,
    bundle_ids: Sequence[UUID] = (),
    add_on_ids: Sequence[UUID] = (),
    currency: str | None,
    now: datetime,
) -> Offers:
    """
    Read plan, bundles and add-ons with their current prices.

    The customer is held (``FOR KEY SHARE``) until what is sold refers to them: an erasure waits,
    and whoever was overtaken by one buys nothing any more.

    :param currency: None means the plan's default currency, or without a plan
        ``BILLING_DEFAULT_CURRENCY``
    :raises AccountErased: if the customer was forgotten meanwhile
    """
    with connection.cursor() as cursor:
        _OFFERS.execute(
            cursor,
            plan=plan_id,
            bundles=list(set(bundle_ids)),
            add_ons=list(add_on_ids),
            currency=currency,
            default_currency=settings.BILLING_DEFAULT_CURRENCY,
            user=user_id,
            now=now,
        )
        found = cursor.fetchall()
    by_kind: dict[Kind, dict[UUID, Offer]] = {"plan": {}, "token_bundle": {}, "add_on": {}}
    has_credit = False
    for *columns, credit, is_erased in found:
        if is_erased:
            raise AccountErased("This account is erased.")
        offer = Offer(*columns)
        by_kind[offer.kind][offer.id] = offer
        has_credit = bool(credit)
    return Offers(by_kind["plan"], by_kind["token_bundle"], by_kind["add_on"], has_credit)
