"""Links from one page of the admin to another, for whoever may open that."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


class Links:
    """What somebody may not open is named to them, and no link."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader

    def may_open(self, model: type[models.Model]) -> bool:
        app, name = model._meta.app_label, model._meta.model_name
        return self.reader.has_perm(f"{app}.view_{name}") or self.reader.has_perm(
            f"{app}.change_{name}"
        )

    def to(self, row: models.Model, text: str = "") -> SafeString:
        text = text or str(row)
        if not self.may_open(type(row)):
            return format_html('<span class="whitespace-nowrap">{}</span>', text)
        return format_html(
            '<a class="text-link whitespace-nowrap" href="{}">{}</a>', address(row), text
        )


def address(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
