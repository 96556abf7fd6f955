"""Columns that several tables share."""

from typing import Any

from django.db import models

from catalog.money import DECIMAL_PLACES, MAX_DIGITS


def amount_column(**options: Any) -> models.DecimalField:
    """An amount of money; the currency stands in a column beside it."""
    return models.DecimalField(max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES, **options)
