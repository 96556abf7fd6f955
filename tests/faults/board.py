"""What the actors of one round know of each other's doings."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(slots=True)
class Person:
    """A customer. ``unknown``: requests without a key of which nobody knows what became."""

    id: str
    email: str
    token: str
    unknown: int = 0


@dataclass(slots=True)
class Bill:
    """An invoice as its checkout told of it."""

    id: str
    owner: Person
    amount: str


@dataclass(slots=True)
class Late:
    """A notification that is delivered again, some time later."""

    notice: dict[str, str]


@dataclass
class Board:
    """
    :param items: ids of what is for sale: ``plans``, ``free``, ``bundles``, ``add_ons``
    """

    items: dict[str, list[str]]
    staff_token: str
    people: list[Person] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    # Ids of invoices for whom staff has something to do.
    unpaid: list[Bill] = field(default_factory=list)
    paid: list[Bill] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, where: list[Any], what: Any) -> None:
        with self._lock:
            where.append(what)

    def take(self, where: list[Any], chance: Random) -> Any | None:
        """One of them, at random, so that orders get mixed up."""
        with self._lock:
            return where.pop(chance.randrange(len(where))) if where else None
