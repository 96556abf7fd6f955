"""Many invoices in one file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import RawIOBase
from itertools import islice
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.db.models import QuerySet, prefetch_related_objects

from billing.models import Invoice
from billing.services.documents.rendering import render

BATCH = 100  # invoices whose lines are read at once
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class _Outlet(RawIOBase):
    """A file that can only be written, and gives away what it has got."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, part: bytes) -> int:  # type: ignore[override]
        self._written += part
        return len(part)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def file_name(*, invoice: Invoice) -> str:
    """``INV-20260301-01-000001.pdf``"""
    return f"{_UNSAFE.sub('_', invoice.number)}.pdf"


def archive(*, invoices: Iterable[Invoice]) -> Iterator[bytes]:
    """
    A ZIP with the PDF of each invoice, in parts, as they are printed.

    Memory does not grow with their number: a queryset is read in batches, and each document is
    given away before the next is printed.

    :raises DocumentNotPrinted: in the middle of it, if one cannot be printed: no archive is better
        than one that somebody takes for complete
    """
    rows = invoices.iterator(chunk_size=BATCH) if isinstance(invoices, QuerySet) else iter(invoices)
    outlet = _Outlet()
    with ZipFile(outlet, "w", ZIP_DEFLATED) as file:
        while batch := list(islice(rows, BATCH)):
            prefetch_related_objects(batch, "line_items", "payments")
            for invoice in batch:
                entry = ZipInfo(file_name(invoice=invoice), invoice.invoiced_at.timetuple()[:6])
                entry.compress_type = ZIP_DEFLATED
                file.writestr(entry, render(invoice=invoice))
                yield outlet.take()
    yield outlet.take()
