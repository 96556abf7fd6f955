"""The tables of docs/roles.md: who may open, use and call what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.db import transaction

PATH = Path(__file__).resolve().parents[2] / "docs" / "roles.md"
COLUMNS = ("stranger", "customer", "Catalogue", "Finance", "Support", "superuser")
Answers = dict[str, dict[str, str]]


def read(heading: str, columns: Sequence[str] = COLUMNS) -> Answers:
    """The rows under one heading."""
    section = PATH.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    answers = {}
    for row in rows:
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        answers[name.strip("`")] = dict(zip(columns, cells, strict=True))
    return answers


def rendered(answers: Answers, columns: Sequence[str] = COLUMNS) -> str:
    """What the section would read if what was found were right: to compare, and to paste."""
    head = f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    rows = (
        f"| `{name}` | {' | '.join(cells[column] for column in columns)} |"
        for name, cells in sorted(answers.items())
    )
    return head + "\n".join(rows)


@contextmanager
def undone() -> Iterator[None]:
    """As if nothing had been asked; also of what wants a transaction of its own."""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)
