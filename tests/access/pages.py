"""Every page of the admin, as the resolver has it, with something real in place of parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

PARAMETER = re.compile(r"<(?:\w+:)?\w+>")


@dataclass(frozen=True, slots=True)
class Page:
    """``template`` has parameters in pointed brackets; ``address`` says where one such page is."""

    template: str
    address: str


def every_page(rows: dict[type[Model], Model]) -> list[Page]:
    """All of them, once each; ``rows`` has one of each model that has pages."""
    admin = [
        pattern
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLResolver) and str(pattern.pattern) == "admin/"
    ]
    found = {page.template: page for part in admin for page in _walk(part, "/admin/", rows)}
    return sorted(found.values(), key=lambda page: page.template)


def _walk(resolver: URLResolver, prefix: str, rows: dict[type[Model], Model]) -> Iterator[Page]:
    for pattern in resolver.url_patterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, prefix + route, rows)
        elif isinstance(pattern, URLPattern) and not _is_of_another_kind(route):
            template = PARAMETER.sub("<id>", prefix + route)
            yield Page(template, _filled(template, rows))


def _is_of_another_kind(route: str) -> bool:
    """Redirects to the pages themselves, and what catches the rest."""
    return route == "<path:object_id>/" or route.startswith(("r/", "(?P", "^"))


def _filled(template: str, rows: dict[type[Model], Model]) -> str:
    if "<id>" not in template:
        return template
    _empty, _admin, *names = template.split("/")
    row: Any = rows[apps.get_model(names[0], names[1])]
    return template.replace("<id>", str(row.pk))
