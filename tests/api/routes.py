"""Every route of the API, as the resolver has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLResolver
from django.urls.resolvers import RoutePattern

from config import api

SOMEBODY_ELSES = "019aa000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Route:
    """``address`` has something in place of each parameter."""

    template: str
    address: str
    methods: tuple[str, ...]


def every_route() -> list[Route]:
    return list(_walk(api.urlpatterns, "/api/v1/"))


def _walk(patterns: list[Any], prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern.pattern, RoutePattern):
            template = prefix + str(pattern.pattern)
            address = re.sub(r"<str:\w+>", SOMEBODY_ELSES, template)
            address = re.sub(r"<\w+:\w+>", "unknown", address)
            yield Route(template, address, tuple(_methods(pattern.callback)))


def _methods(view: Any) -> list[str]:
    known = ("get", "post", "put", "patch", "delete")
    actions = getattr(view, "actions", None)  # of a view set
    return [
        name for name in known if (name in actions if actions else hasattr(view.view_class, name))
    ]
