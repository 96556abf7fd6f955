"""
Guards of the product that can be taken away: what each loses is a patch of the code, statements for
the database, or both, under the name of the guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Mutation:
    name: str
    patch: Path | None
    statements: Path | None


def every_mutation() -> list[Mutation]:
    names = sorted({path.stem for path in FOLDER.iterdir() if path.suffix in (".patch", ".sql")})
    return [Mutation(name, _there(f"{name}.patch"), _there(f"{name}.sql")) for name in names]


def _there(name: str) -> Path | None:
    path = FOLDER / name
    return path if path.exists() else None
