"""What a check is, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """
    One rule over all rows that it is about.

    :param what: the rule in words
    :param rows: a SELECT of every row that is checked: its ``id``, and whether the rule ``holds``.
        Where it cannot be told (NULL) it counts as broken. Joined to aggregates and never by a
        subquery per row, so that a million rows are a few seconds. It may use the parameters
        ``currencies`` and ``places``.
    """

    name: str
    what: str
    rows: str


@dataclass(frozen=True, slots=True)
class Result:
    """
    What one check found.

    :param rows: how many were checked
    :param examples: the ids of a few rows that break the rule
    """

    name: str
    what: str
    rows: int
    violations: int
    examples: tuple[str, ...] = ()
