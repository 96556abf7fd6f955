"""What was changed, by whom and why, out of the rows as they were before each change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Case, OuterRef, QuerySet, Subquery, UUIDField, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils.formats import localize
from django.utils.text import Truncator, capfirst
from django.utils.timezone import template_localtime

from accounts.models import User
from billing.admin.columns import NOTHING, channel, money

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_LONGEST = 300  # characters of a value that are shown
_CHANNELS = {"payment_method", "method", "provider"}
_SILENT = {"id", "updated_at"}  # they say nothing that the rest does not

Names = dict[tuple[type[models.Model], Any], str]


@dataclass(frozen=True, slots=True)
class FieldChange:
    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change of one row.

    :param by: the e-mail of the member of staff, empty where it was not one of them
    :param of: what the row is, where it is not the one that the page is about
    :param note: what the admin noted in words, where no column tells it
    """

    at: datetime
    by: str
    reason: str
    of: str = ""
    fields: tuple[FieldChange, ...] = ()
    note: str = ""


def history_of(row: models.Model) -> QuerySet[Any]:
    """The row's earlier states, the latest first, each with who ended it and why."""
    return noted(row.history.all())  # type: ignore[attr-defined]


def noted(history: QuerySet[Any]) -> QuerySet[Any]:
    """The same, with ``changed_by_email`` and ``noted_reason``: all in one statement."""
    # Any program may note any "user"; only an account's id is looked up.
    changed_by_pk = Case(
        When(noted_user__regex=_UUID, then=Cast("noted_user", UUIDField())),
        output_field=UUIDField(),
    )
    by = User.objects.filter(pk=OuterRef("changed_by_pk"))
    return (
        history.annotate(
            noted_user=KeyTextTransform("user", "pgh_context__metadata"),
            noted_reason=KeyTextTransform("reason", "pgh_context__metadata"),
        )
        .annotate(changed_by_pk=changed_by_pk)
        .annotate(changed_by_email=Subquery(by.values("email")))
        .order_by("-pgh_id")
    )


def compare(rows: Sequence[Any], present: dict[Any, Any], of: str = "") -> list[Change]:
    """
    Say of each earlier state what the next one, or the row as it is now, has otherwise.

    :param rows: earlier states, the latest first, with nothing left out between them
    :param present: by primary key, what comes after the first of each row's states
    """
    newer = dict(present)
    pairs = []
    for row in rows:
        pairs.append((row, newer[row.pgh_obj_id]))
        newer[row.pgh_obj_id] = row
    names = _names_of(pairs)
    return [
        Change(
            at=old.pgh_created_at,
            by=old.changed_by_email or "",
            reason=old.noted_reason or "",
            of=of and f"{of} {present[old.pgh_obj_id]}",
            fields=tuple(
                FieldChange(
                    label=capfirst(field.verbose_name),
                    old=_shown(field, old, names),
                    new=_shown(field, new, names),
                )
                for field in _changed(old, new)
            ),
        )
        for old, new in pairs
    ]


def of_row(row: models.Model, most: int) -> list[Change]:
    """The latest changes of one row."""
    return compare(history_of(row)[:most], {row.pk: row})


def of_rows(history: QuerySet[Any], of: str, most: int) -> list[Change]:
    """The latest changes of rows that belong to the one that the page is about."""
    rows = list(noted(history).select_related("pgh_obj")[:most])
    return compare(rows, {row.pgh_obj_id: row.pgh_obj for row in rows}, of)


def in_words(row: models.Model, most: int) -> list[Change]:
    """What the admin noted: rights, inline rows, actions. Columns have told the rest better."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk)
    ).select_related("user")
    tracked = _labels(type(row))
    latest = entries.order_by("-action_time", "-id")[:most]
    notes = ((entry, _note(entry, tracked)) for entry in latest)
    return [
        Change(at=entry.action_time, by=entry.user.email, reason="", note=note)
        for entry, note in notes
        if note
    ]


def merged(sources: Iterable[list[Change]]) -> list[Change]:
    """All of them, the latest first."""
    every = [change for source in sources for change in source]
    return sorted(every, key=lambda change: change.at, reverse=True)


# --- Fields and their values ---


def _changed(old: Any, new: Any) -> list[models.Field]:
    return [
        field
        for field in _fields(old)
        if getattr(old, field.attname) != getattr(new, field.attname)
    ]


def _fields(old: Any) -> list[models.Field]:
    kept = {field.name for field in old._meta.fields}
    return [
        field
        for field in old.pgh_tracked_model._meta.fields
        if field.name in kept and field.name not in _SILENT
    ]


def _names_of(pairs: list[tuple[Any, Any]]) -> Names:
    """What the rows are called that a change leads from and to: one statement per model."""
    wanted: dict[type[models.Model], set[Any]] = {}
    for old, new in pairs:
        for field in _changed(old, new):
            if isinstance(field, models.ForeignKey):
                both = {getattr(old, field.attname), getattr(new, field.attname)}
                wanted.setdefault(field.related_model, set()).update(both - {None})
    return {
        (model, pk): str(row)
        for model, pks in wanted.items()
        for pk, row in model._default_manager.in_bulk(pks).items()
    }


def _shown(field: Any, row: Any, names: Names) -> str:
    value = getattr(row, field.attname)
    if value is None or value == "":
        return NOTHING
    if isinstance(field, models.ForeignKey):
        text = names.get((field.related_model, value), str(value))
    elif field.flatchoices:
        text = capfirst(dict(field.flatchoices).get(value, value))
    elif field.name in _CHANNELS:
        text = channel(value)
    elif isinstance(value, bool):
        text = "Yes" if value else "No"
    elif isinstance(value, datetime):
        text = localize(template_localtime(value))
    elif isinstance(value, Decimal) and hasattr(row, "currency"):
        text = money(value, row.currency)
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return Truncator(text).chars(_LONGEST)


# --- What the admin noted ---


def _labels(model: type[models.Model]) -> set[str]:
    """What forms call the columns whose history is kept."""
    if not hasattr(model, "history"):
        return set()
    kept = {field.name for field in model.history.rel.related_model._meta.fields}
    return {
        str(label).casefold()
        for field in model._meta.fields
        if field.name in kept
        for label in (field.verbose_name, field.name)
    }


def _note(entry: LogEntry, tracked: set[str]) -> str:
    if not entry.change_message.startswith("["):
        return entry.change_message
    try:
        parts = json.loads(entry.change_message)
    except json.JSONDecodeError:
        return entry.change_message
    kept = []
    for part in parts:
        changed = part.get("changed")
        if changed is not None and "name" not in changed:
            changed["fields"] = [
                label for label in changed["fields"] if label.casefold() not in tracked
            ]
            if not changed["fields"]:
                continue
        kept.append(part)
    if not kept:
        return ""
    # Django's own words for what is left of it.
    return LogEntry(change_message=json.dumps(kept)).get_change_message()
