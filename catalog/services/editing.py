"""New items, and what staff change of one by the API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils.text import slugify

from catalog.models import AddOn, Plan
from catalog.money import Money
from catalog.services import prices
from catalog.services.items import ItemArchived, SlugTaken
from catalog.services.prices import AnyItem, ItemType
from config.errors import DomainError

# An address of the API, which a plan of this name would hide behind.
TAKEN_BY_THE_API = frozenset({"addons"})
_SLUG_LENGTH = 100
_NUMBERED = re.compile(r"-[1-9][0-9]{0,7}\Z")


class UnknownPlans(DomainError):
    code = "unknown_plans"


def create(
    *,
    kind: type[ItemType],
    values: Mapping[str, Any],
    price: Money,
    setup_fee: Money | None = None,
    plan_ids: Sequence[UUID] = (),
    now: datetime,
) -> ItemType:
    """
    Make an item with its first price.

    :param values: columns; a ``slug`` among them is taken as it is, without one it is made from
        the name, with -2, -3… where that is taken
    :raises SlugTaken: if the slug that was named is taken
    :raises NegativePrice: zero is allowed, less is not
    :raises UnknownPlans: if an add-on is to be bound to a plan that is not there
    """
    is_made_here = hasattr(kind, "slug") and not values.get("slug")
    while True:
        own = dict(values)
        if is_made_here:
            own["slug"] = free_slug(kind=kind, name=own["name"])
        try:
            with transaction.atomic():
                item = kind(**own, created_at=now)
                _save(item, plan_ids)
                prices.set_price(item=item, money=price, setup_fee=setup_fee, now=now)
                return item
        except SlugTaken:
            if not is_made_here:  # somebody else has just taken the one that was free
                raise


@transaction.atomic
def edit(
    *,
    item: ItemType,
    values: Mapping[str, Any],
    price: Money | None = None,
    setup_fee: Money | None = None,
    plan_ids: Sequence[UUID] | None = None,
    now: datetime,
) -> ItemType:
    """
    Replace the columns that are named, and the price; the others stay.

    :param price: a new one; None lets it stay, with its fee
    :param setup_fee: of the new price; None: the one that stands
    :raises SlugTaken: if the new slug is taken
    :raises ItemArchived: if an archived item were to go on sale
    :raises NegativePrice: zero is allowed, less is not
    :raises FeeNotForBundle: tokens are not set up
    :raises UnknownPlans: as ``create`` does
    """
    locked = type(item).objects.lock(item.pk)
    for name, value in values.items():
        setattr(locked, name, value)
    if locked.archived_at is not None and locked.is_active:
        raise ItemArchived(f"“{locked}” is archived: restore it before it goes on sale.")
    _save(locked, plan_ids)
    if price is not None:
        fee = setup_fee or prices.standing_fee(item=locked, currency=price.currency, now=now)
        prices.set_price(item=locked, money=price, setup_fee=fee, now=now)
    return locked


def free_slug(*, kind: type[AnyItem], name: str) -> str:
    """The name as a slug; with the first number from 2 that makes it free, where it is taken."""
    base = slugify(name)[: _SLUG_LENGTH - 10] or str(kind._meta.model_name)
    if base in TAKEN_BY_THE_API:
        base = f"{base}-plan"
    rows: Any = kind._default_manager
    similar = rows.filter(slug__startswith=base)
    taken = set(similar.values_list("slug", flat=True))
    if base not in taken:
        return base
    numbered = re.compile(re.escape(base) + r"-([0-9]{1,8})")
    used = {int(found[1]) for slug in taken if (found := numbered.fullmatch(slug))}
    number = 2
    while number in used:
        number += 1
    return f"{base}-{number}"


def slug_for_copy(*, kind: type[AnyItem], slug: str) -> str:
    """The next free number of the series: after a-2 comes a-3, and not a-2-2."""
    base = _NUMBERED.sub("", slug)
    rows: Any = kind._default_manager
    is_of_series = base != slug and rows.filter(slug=base).exists()
    return free_slug(kind=kind, name=base if is_of_series else slug)


@contextmanager
def binding_to_plans() -> Iterator[None]:
    """
    Around what binds an add-on to plans: one that is deleted at this moment is noticed here.

    The foreign key's own check waits for whoever deletes the plan; left to itself it comes at the
    commit, where nobody would tell what was wrong.

    :raises UnknownPlans: if one of the plans is gone
    """
    try:
        with transaction.atomic():
            yield
            connection.check_constraints()
    except IntegrityError as failure:
        diagnostics = getattr(failure.__cause__, "diag", None)
        if getattr(diagnostics, "table_name", "") != AddOn.plans.through._meta.db_table:
            raise
        raise UnknownPlans("plan_ids: it names a plan that is not there.") from None


def _save(item: AnyItem, plan_ids: Sequence[UUID] | None) -> None:
    slug = getattr(item, "slug", "")
    if isinstance(item, Plan) and slug in TAKEN_BY_THE_API:
        raise SlugTaken(f"slug: “{slug}” is an address of the API.")
    try:
        with transaction.atomic():
            item.save()
    except IntegrityError:
        if not slug or not type(item).objects.filter(slug=slug).exclude(pk=item.pk).exists():
            raise
        raise SlugTaken(f"slug: “{slug}” is taken.") from None
    if isinstance(item, AddOn) and plan_ids is not None:
        plans = list(Plan.objects.filter(pk__in=plan_ids))
        if len(plans) < len(set(plan_ids)):
            raise UnknownPlans("plan_ids: it names a plan that is not there.")
        with binding_to_plans():
            item.plans.set(plans)
