"""The catalogue as a table: an item a line, one column for its price in each currency."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from django import forms
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.utils import timezone
from import_export.instance_loaders import BaseInstanceLoader
from import_export.resources import Resource
from import_export.results import Result, RowResult

from catalog.admin import exchange_amounts
from catalog.admin.exchange_amounts import Change
from catalog.admin.exchange_files import NUMBER, UnreadableFile, defused
from catalog.admin.fields import StorableJSONField, currency_field
from catalog.models import AddOn, Plan, Price, TokenBundle
from catalog.services import exchange, prices
from config.errors import DomainError

COLUMNS: dict[Any, tuple[str, ...]] = {  # the first says which item it is
    Plan: ("slug", "name", "description", "billing_period", "features")
    + ("trial_days", "is_trial_paid", "arrival"),
    TokenBundle: ("id", "name", "description", "token_amount"),
    AddOn: ("slug", "name", "description", "billing_period", "plans", "config"),
}
_OF_ALL = ("default_currency", "is_active", "sort_order")
_TRUTHS = ("is_active", "is_trial_paid")
_LINES = re.compile(r"\r\n?")  # a spreadsheet makes \n of them


class ItemResource(Resource):
    """Writes the lines of ``kind``, and reads them: all of a file, or nothing."""

    kind: Any

    class Meta:
        use_transactions = True
        report_skipped = True
        instance_loader_class = BaseInstanceLoader  # asked for nothing: see _read_items

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.now: datetime = timezone.now()
        self.columns = (*COLUMNS[self.kind], *_OF_ALL)
        self.has_fees = self.kind is not TokenBundle
        self.currencies: list[str] = []
        self.items: dict[str, Any] = {}
        self.scheduled: dict[tuple[Any, str], Price] = {}
        self.seen: dict[str, str] = {}

    @classmethod
    def get_display_name(cls) -> str:
        return str(cls.kind._meta.verbose_name_plural)

    def get_user_visible_fields(self) -> list[Any]:
        """The library's fields are not used: see ``columns``."""
        return []

    # --- Writing ---

    def before_export(self, queryset: QuerySet[Any], **options: Any) -> None:
        own = Price.objects.filter(**{f"{_column(self.kind)}__isnull": False})
        codes = own.current(self.now).order_by("currency").values_list("currency", flat=True)
        self.currencies = list(codes.distinct())

    def filter_export(self, queryset: QuerySet[Any], **options: Any) -> QuerySet[Any]:
        return queryset.prefetch_related("plans") if self.kind is AddOn else queryset

    def get_export_headers(self, selected_fields: Any = None) -> list[str]:
        return [*self.columns, *self._amount_columns()]

    def export_resource(self, instance: Any, selected_fields: Any = None, **_: Any) -> list[Any]:
        cells = self._cells(instance)
        row = [cells[column] for column in self.columns]
        row += [cells.get(column, "") for column in self._amount_columns()]
        return [defused(cell) if isinstance(cell, str) else cell for cell in row]

    def _cells(self, item: Any) -> dict[str, Any]:
        """What stands in the columns of an item: text and numbers."""
        cells = {column: _shown(item, column) for column in self.columns}
        for price in _current(item):
            cells[f"price {price.currency}"] = price.money.amount
            if self.has_fees:
                cells[f"setup fee {price.currency}"] = price.fee.amount
        return cells

    def _amount_columns(self) -> list[str]:
        kinds = ("price", "setup fee") if self.has_fees else ("price",)
        return [f"{kind} {code}" for code in self.currencies for kind in kinds]

    # --- Reading ---

    def import_data(self, dataset: Any, *, expected: str = "", **options: Any) -> Result:
        """
        Import all lines, or none.

        :param expected: the digest of what somebody has said yes to: nothing else is done
        """
        fault = self._fault_of(dataset.headers)
        if fault is not None:
            result = Result()
            result.append_base_error(self.get_error_result_class()(fault))
            return result
        with transaction.atomic():
            self._read_items(dataset)
            result = super().import_data(
                dataset, rollback_on_validation_errors=True, use_transactions=True, **options
            )
            result.digest = _digest(result)
            result.is_another = bool(expected) and result.digest != expected
            if result.is_another:
                transaction.set_rollback(True)
        return result

    def import_row(self, row: Mapping[str, str], instance_loader: Any, **_: Any) -> RowResult:
        """One line. What is refused is told; a fault of ours is raised, and undoes everything."""
        told = self.get_row_result_class()()
        told.number = row[NUMBER]
        told.changes = []
        try:
            told.import_type, told.instance, told.changes = self._save(row)
            told.add_instance_info(told.instance)
        except ValidationError as fault:
            told.import_type, told.validation_error = RowResult.IMPORT_TYPE_INVALID, fault
        except DomainError as refusal:
            told.import_type = RowResult.IMPORT_TYPE_INVALID
            told.validation_error = ValidationError(refusal.message)
        return told

    def _check_import_id_fields(self, headers: Any) -> None:
        """Checked already, for a message of its own."""

    def _fault_of(self, headers: list[str]) -> UnreadableFile | None:
        own = [column for column in headers if column != NUMBER]
        key = self.columns[0]
        if key not in own:
            return UnreadableFile(f"There is no column “{key}”, which says what a row is about.")
        unknown = [
            column for column in own if column not in self.columns and not self._is_amount(column)
        ]
        if unknown:
            known = ", ".join(self.columns)
            return UnreadableFile(
                f"These columns are unknown: {', '.join(unknown)[:200]}. "
                f"There are {known}, and “price USD” or another currency."
            )
        return None

    def _is_amount(self, column: str) -> bool:
        kind, _code = exchange_amounts.column(column)
        return kind == "price" or (kind == "setup fee" and self.has_fees)

    def _read_items(self, dataset: Any) -> None:
        """Lock those that are named, in one order, and read them with their prices and plans."""
        key = self.columns[0]
        named = set(dataset[key])
        if key == "id":
            named = {str(pk) for pk in map(_uuid, named) if pk}
        rows = self.kind.objects.filter(**{f"{key}__in": named})
        list(rows.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk"))
        self.now = timezone.now()  # whoever had to wait comes after who was first
        found = prices.with_current_prices(rows, now=self.now)
        if self.kind is AddOn:
            found = found.prefetch_related("plans")
        self.items = {str(getattr(item, key)): item for item in found}
        owner = f"{_column(self.kind)}_id"
        to_come = Price.objects.filter(
            models.Q(valid_until=None) | models.Q(valid_until__gt=models.F("valid_from")),
            **{f"{_column(self.kind)}__in": rows, "valid_from__gt": self.now},
        )
        self.scheduled = {(getattr(price, owner), price.currency): price for price in to_come}

    def _find(self, row: Mapping[str, str]) -> Any:
        key = self.columns[0]
        text = row[key].strip()
        if key == "id":
            if not text:
                return None
            text = str(_uuid(text) or "")
            if text not in self.items:
                raise ValidationError(
                    {key: "There is no bundle of this id. Empty makes a new one."}
                )
        elif not text:
            raise ValidationError({key: "Without it nobody knows what this row is about."})
        if text in self.seen:
            raise ValidationError({key: f"Row {self.seen[text]} is about the same one."})
        self.seen[text] = row[NUMBER]
        return self.items.get(text)

    def _save(self, row: Mapping[str, str]) -> tuple[str, Any, list[Change]]:
        item = self._find(row)
        touched = self._touched(row, item)
        faults: dict[str, Any] = {}
        standing = {price.currency: price for price in _current(item)} if item else {}
        amounts = exchange_amounts.read(touched, standing, faults)
        values = self._values(touched, item, faults)
        if item is None and not amounts and not faults:
            faults["price"] = "A new one has a price, in some currency."
        if faults:
            raise ValidationError(faults)
        changes = self._changes(item, values)
        changes += exchange_amounts.changes(amounts, standing, self._lost_prices(item))
        if not changes:
            return RowResult.IMPORT_TYPE_SKIP, item, []
        plans = values.pop("plans", None)
        saved = exchange.save(
            kind=self.kind,
            item=item,
            values=values,
            amounts=amounts,
            plan_ids=None if plans is None else [plan.pk for plan in plans],
            now=self.now,
        )
        made = RowResult.IMPORT_TYPE_NEW if item is None else RowResult.IMPORT_TYPE_UPDATE
        return made, saved, changes

    def _touched(self, row: Mapping[str, str], item: Any) -> dict[str, str]:
        """The cells that say something else than an export of the item would."""
        if item is None:
            cells = {column: text for column, text in row.items() if text.strip()}
        else:
            stands = {column: _plain(cell) for column, cell in self._cells(item).items()}
            cells = {
                column: text
                for column, text in row.items()
                if _plain(text) != stands.get(column, "") and column != self.columns[0]
            }
        cells.pop(NUMBER, None)
        if item is None and "name" not in cells:
            cells["name"] = ""  # to be told that it is missing
        return cells

    def _values(
        self, touched: Mapping[str, str], item: Any, faults: dict[str, Any]
    ) -> dict[str, Any]:
        """What the item's own form makes of the cells that are not prices, where it differs."""
        typed: dict[str, Any] = {
            column: touched[column] for column in self.columns if column in touched
        }
        typed.pop("id", None)
        for column in _TRUTHS:
            if column not in typed:
                continue
            answer = typed[column].strip().lower()
            if answer not in _YES | _NO:
                faults[column] = "Write yes or no."
            typed[column] = answer in _YES
        if "plans" in typed:
            typed["plans"] = typed["plans"].replace(",", " ").split()
        form_class = forms.modelform_factory(
            self.kind, fields=list(typed), formfield_callback=_form_field
        )
        form = form_class(typed, instance=copy.copy(item) if item else self.kind())
        if not form.is_valid():
            for column, messages in form.errors.items():
                faults.setdefault(column, list(messages))
        if item is None:
            return dict(form.cleaned_data)
        return {
            column: value
            for column, value in form.cleaned_data.items()
            if _cell(column, value) != _shown(item, column)
        }

    def _changes(self, item: Any, values: Mapping[str, Any]) -> list[Change]:
        return [
            Change(
                column, _plain(_shown(item, column)) if item else "", _plain(_cell(column, value))
            )
            for column, value in values.items()
        ]

    def _lost_prices(self, item: Any) -> dict[str, Price]:
        """By currency: what is scheduled, and taken back by a new price."""
        if item is None:
            return {}
        return {code: price for (pk, code), price in self.scheduled.items() if pk == item.pk}


_YES = frozenset({"yes", "true", "1"})
_NO = frozenset({"no", "false", "0"})


def resource_of(kind: Any) -> type[ItemResource]:
    return type(f"{kind.__name__}Resource", (ItemResource,), {"kind": kind})


def _column(kind: Any) -> str:
    return {Plan: "plan", TokenBundle: "bundle", AddOn: "add_on"}[kind]


def _current(item: Any) -> list[Price]:
    return item.current_prices


def _standing(item: Any, column: str) -> Any:
    return item.plans.all() if column == "plans" else getattr(item, column)


def _shown(item: Any, column: str) -> Any:
    return _cell(column, _standing(item, column))


def _cell(column: str, value: Any) -> Any:
    """What is written of a value: a text or a number."""
    if column == "plans":
        return " ".join(sorted(plan.slug for plan in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return str(value) if isinstance(value, UUID) else value


def _plain(cell: Any) -> str:
    """As text that is the same whatever program has written it."""
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return _LINES.sub("\n", str(cell))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def _form_field(db_field: Any, **options: Any) -> Any:
    if db_field.name == "default_currency":
        return currency_field(db_field)
    if db_field.name == "plans":
        return forms.ModelMultipleChoiceField(
            Plan.objects.all(), to_field_name="slug", required=False
        )
    if isinstance(db_field, models.JSONField):
        options |= {
            "form_class": StorableJSONField,
            "empty": db_field.default,
            "shape": db_field.validators,
        }
    return db_field.formfield(**options)


def _digest(result: Result) -> str:
    """Of everything that the rows do."""
    told = [(row.number, row.import_type, [str(one) for one in row.changes]) for row in result]
    return sha256(orjson.dumps(told)).hexdigest()
