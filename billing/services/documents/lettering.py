"""What can be printed of a text: letters that the fonts have, and nothing that moves others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from billing.services.documents.press import FOLDER

MISSING = "\N{WHITE SQUARE}"
# Of the invisible ones, these shape letters or order them, without a beginning and an end that
# somebody could leave out.
_KEPT = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}\u200e\u200f")
_SPACES = re.compile(r"\s+")
# Forms of a Chinese letter that a name insists on, and that normalization would level.
_CHOSEN_FORMS = re.compile("([\uf900-\ufaff]+)")


@cache
def _fonts() -> tuple[frozenset[int], ...]:
    """The characters of each font."""
    # Imported here: only who prints an invoice needs it.
    from fontTools.ttLib import TTFont

    return tuple(
        frozenset(TTFont(path, lazy=True).getBestCmap())
        for path in sorted((FOLDER / "fonts").glob("*.[ot]tf"))
    )


def printable(text: str) -> str:
    """
    The text on one line, without what is invisible, and a square for each letter that no font has.

    PDF/A forbids a letter without a glyph, so what is not done here fails later.
    """
    visible = "".join(
        character
        for character in _SPACES.sub(" ", text).strip()
        if character in _KEPT or unicodedata.category(character) not in ("Cc", "Cf")
    )
    return "".join(_printable_cluster(cluster) for cluster in _clusters(_in_one_piece(visible)))


def is_right_to_left(text: str) -> bool:
    """The direction of its first letter that has one (Unicode's bidirectional algorithm, P2)."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _in_one_piece(text: str) -> str:
    """Some systems send letters taken apart: ``e`` and its accent, the three parts of ``각``."""
    return "".join(
        part if _CHOSEN_FORMS.match(part) else unicodedata.normalize("NFC", part)
        for part in _CHOSEN_FORMS.split(text)
    )


def _clusters(text: str) -> Iterator[str]:
    """A letter with the marks upon it: what one font has to draw."""
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not _goes_with_the_one_before(text[position]):
            yield text[start:position]
            start = position


def _goes_with_the_one_before(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character).startswith("M")


def _printable_cluster(cluster: str) -> str:
    letter, marks = cluster[0], cluster[1:]
    if unicodedata.category(letter) == "Co":
        return MISSING  # private use: what it means is nobody's business but the sender's
    fonts = [font for font in _fonts() if ord(letter) in font]
    if not fonts:
        return letter if letter in _KEPT else MISSING
    drawn = max(
        ("".join(mark for mark in marks if mark in _KEPT or ord(mark) in font) for font in fonts),
        key=len,
    )
    return letter + drawn
