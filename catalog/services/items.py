"""Whether an item is on sale, put away, or gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from catalog.models import AddOn, Plan
from catalog.services.prices import ItemType, set_price
from config.errors import DomainError


class ItemArchived(DomainError):
    code = "item_archived"


class ItemInUse(DomainError):
    code = "item_in_use"


class SlugTaken(DomainError):
    code = "slug_taken"


@transaction.atomic
def activate(*, item: ItemType) -> ItemType:
    """
    Put the item on sale.

    :raises ItemArchived: what is archived is restored first, on purpose
    """
    locked = type(item).objects.lock(item.pk)
    if locked.archived_at is not None:
        raise ItemArchived(f"“{locked}” is archived: restore it before it goes on sale.")
    locked.is_active = True
    locked.save(update_fields=["is_active", "updated_at"])
    return locked


@transaction.atomic
def deactivate(*, item: ItemType) -> ItemType:
    """Take the item off sale. Whoever has it keeps it."""
    locked = type(item).objects.lock(item.pk)
    locked.is_active = False
    locked.save(update_fields=["is_active", "updated_at"])
    return locked


@transaction.atomic
def archive(*, item: ItemType, now: datetime) -> ItemType:
    """Take the item off sale for good; an item that was archived before keeps its date."""
    locked = type(item).objects.lock(item.pk)
    locked.is_active = False
    locked.archived_at = locked.archived_at or now
    locked.save(update_fields=["is_active", "archived_at", "updated_at"])
    return locked


@transaction.atomic
def restore(*, item: ItemType) -> ItemType:
    """Take the item back from the archive, off sale still."""
    locked = type(item).objects.lock(item.pk)
    locked.archived_at = None
    locked.save(update_fields=["archived_at", "updated_at"])
    return locked


@transaction.atomic
def delete(*, item: ItemType) -> None:
    """
    Remove an item that nobody ever bought, with its prices.

    :raises ItemInUse: if it was sold, or if an add-on is bound to it: without its plans an add-on
        would be sold with any
    """
    locked = type(item).objects.lock(item.pk)
    if isinstance(locked, Plan):
        bound = locked.add_ons.first()
        if bound is not None:
            raise ItemInUse(f"“{locked}” cannot be deleted: the add-on “{bound}” is bound to it.")
    try:
        with transaction.atomic():
            locked.delete()
            # What was sold after Django looked is noticed here, not at the caller's commit.
            connection.check_constraints()
    except (ProtectedError, IntegrityError):
        raise ItemInUse(f"“{locked}” cannot be deleted: it was sold. Archive it instead.") from None


@transaction.atomic
def duplicate(*, item: ItemType, name: str, slug: str = "", now: datetime) -> ItemType:
    """
    Make another item like this one, with its current prices and bound plans, off sale at first.

    :param slug: free; a bundle has none
    :raises SlugTaken: if it is not free
    """
    locked = type(item).objects.lock(item.pk)
    copied = {
        field.attname: getattr(locked, field.attname)
        for field in type(locked)._meta.concrete_fields
        if field.editable and not field.primary_key
    }
    copied |= {"name": name, "is_active": False}
    if hasattr(locked, "slug"):
        copied["slug"] = slug
    made = type(item)(**copied, created_at=now)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        rows: Any = type(item).objects
        if not rows.filter(slug=slug).exists():
            raise
        raise SlugTaken(f"slug: “{slug}” is taken.") from None
    for price in locked.prices.current(now):
        set_price(item=made, money=price.money, setup_fee=price.fee, now=now)
    if isinstance(locked, AddOn) and isinstance(made, AddOn):
        made.plans.set(locked.plans.all())
    return made
