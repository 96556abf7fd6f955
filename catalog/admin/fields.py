"""Form fields of the catalogue's desk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import orjson
from babel.numbers import get_currency_name
from django import forms
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.fields import InvalidJSONInput
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from catalog.money import currencies
from catalog.validators import validate_storable


@cache
def currency_choices() -> list[tuple[str, str]]:
    return [
        (code, f"{code} · {get_currency_name(code, locale='en_US')}")
        for code in sorted(currencies())
    ]


def currency_field(db_field: models.Field) -> forms.ChoiceField:
    """A drop-down of the currencies in use, empty where the column has no default."""
    if db_field.has_default():
        choices, initial = currency_choices(), db_field.get_default()
    else:
        choices, initial = [("", "—"), *currency_choices()], None
    return forms.ChoiceField(choices=choices, initial=initial, widget=UnfoldAdminSelectWidget)


class SelectKnown(AutocompleteSelectMultiple):
    """A form that is shown again with ids that are none: Django's own widget looks them up."""

    def optgroups(self, name: str, value: Sequence[str], attrs: Any = None) -> Any:
        try:
            return super().optgroups(name, value, attrs)
        except ValidationError:
            return super().optgroups(name, [], attrs)


class StorableJSONField(forms.JSONField):
    """
    JSON as the API reads it, that the database can hold.

    Django's own lets NaN, numbers of any length and depths of any number through, and makes NULL
    of an empty text; each of them would be an error of the server's later on.

    :param empty: makes what an empty text means
    :param shape: the column's validators; Django does not ask them about ``null``, ``[]``, ``{}``
    """

    widget = UnfoldAdminTextareaWidget

    def __init__(
        self,
        *,
        empty: Callable[[], Any],
        shape: Sequence[Callable[[Any], None]],
        **options: Any,
    ) -> None:
        self.empty = empty
        self.shape = shape
        super().__init__(**options)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return self.empty()
        if not isinstance(value, str):
            return value
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from None
        for validate in (validate_storable, *self.shape):
            validate(parsed)
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        if self.disabled:
            return initial
        try:
            return self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data)
