"""
The invoice as a document: PDF/A-3 and PDF/UA-1, from the stored rows alone.

See docs/adr/0009-invoice-pdf-by-typst.md.
"""

from billing.services.documents.archive import archive, file_name
from billing.services.documents.rendering import render

__all__ = ["archive", "file_name", "render"]
