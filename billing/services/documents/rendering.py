"""From an invoice to its PDF."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from billing.models import Invoice
from billing.services.documents.contents import contents
from billing.services.documents.press import FOLDER, press


def render(*, invoice: Invoice) -> bytes:
    """
    The invoice as PDF/A-3a and PDF/UA-1: the same bytes from the same rows, whenever asked for.

    Reads the lines and payments, where they are not prefetched.

    :raises DocumentNotPrinted: if it cannot be printed now
    """
    logo = settings.BILLING_SELLER_LOGO
    return press.print(
        {
            "invoice": contents(invoice=invoice),
            "folder": str(Path(logo).resolve().parent if logo else FOLDER),
            "timestamp": int(invoice.invoiced_at.timestamp()),
        }
    )
