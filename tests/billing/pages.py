"""Printed invoices, read again as a viewer reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import pypdf
import pypdfium2

from billing.services.documents.lettering import is_right_to_left
from billing.services.documents.press import FOLDER


@dataclass(frozen=True)
class Pdf:
    content: bytes

    @cached_property
    def pages(self) -> list[list[str]]:
        """The lines of each page."""
        document = pypdfium2.PdfDocument(self.content)
        return [page.get_textpage().get_text_range().split("\r\n") for page in document]

    @property
    def lines(self) -> list[str]:
        return [line for page in self.pages for line in page]

    @property
    def rightmost(self) -> float:
        """How far right any letter reaches, in points; A4 ends at 595."""
        return max(right for _letter, _left, right in self._letters)

    def width_of(self, letters: str) -> float:
        """From the leftmost to the rightmost of these, in points."""
        found = [(left, right) for letter, left, right in self._letters if letter in letters]
        return max(right for _left, right in found) - min(left for left, _right in found)

    @cached_property
    def _letters(self) -> list[tuple[str, float, float]]:
        found = []
        for page in pypdfium2.PdfDocument(self.content):
            text = page.get_textpage()
            for position in range(text.count_chars()):
                left, _bottom, right, _top = text.get_charbox(position)
                found.append((text.get_text_range(position, 1), left, right))
        return found

    @cached_property
    def reader(self) -> pypdf.PdfReader:
        return pypdf.PdfReader(BytesIO(self.content))

    @property
    def metadata(self) -> str:
        """Its XMP."""
        return self.reader.trailer["/Root"]["/Metadata"].get_data().decode()

    @property
    def fonts(self) -> dict[str, bool]:
        """The name of each font, and whether it is embedded."""
        found = {}
        for page in self.reader.pages:
            for font in page["/Resources"]["/Font"].values():
                inner = font.get_object()["/DescendantFonts"][0].get_object()
                name = inner["/BaseFont"].split("+")[1]
                found[name] = bool({"/FontFile2", "/FontFile3"} & set(inner["/FontDescriptor"]))
        return found


def order_of(*lines: str) -> dict[str, Any]:
    """What the press is asked for, for an invoice of nothing but these descriptions."""

    def text(value: str) -> dict[str, Any]:
        return {"text": value, "rtl": is_right_to_left(value)}

    one = text("x")
    return {
        "invoice": {
            "title": "x",
            "number": one,
            "void": False,
            "state": {"label": "x", "tone": "open"},
            "logo": None,
            "seller": {"name": one, "lines": [], "footer": one},
            "buyer": {"name": one, "lines": [text(line) for line in lines]},
            "dates": [],
            "lines": [
                {"description": text(line), "quantity": "1", "unit_price": "1", "amount": "1"}
                for line in lines
            ],
            "currency": "USD",
            "subtotal": "1",
            "tax": "1",
            "total": "1",
            "payment": {"heading": one, "sentences": [], "rows": [], "code": None},
        },
        "folder": str(FOLDER),
        "timestamp": 0,
    }
