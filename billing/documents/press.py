"""
Prints invoices, in a process of its own: ``python press.py <descriptor of a connection>``.

Typst keeps what it has worked out for as long as its process lives, so this one is replaced after
a while (billing.services.documents.press). It knows nothing but its template and its fonts.
"""

from __future__ import annotations

import json
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import typst

HERE = Path(__file__).resolve().parent


def serve(orders: Connection) -> None:
    """
    Answer each order with ``b"+"`` and the document, or ``b"-"`` and why there is none.

    :param orders: gives JSON: ``invoice``, what stands on it; ``folder``, the only one that the
        template may read from; ``timestamp``, the moment that the document says it was made at
    """
    template = (HERE / "invoice.typ").read_bytes()
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[HERE / "fonts"]
    )
    while True:
        try:
            order = json.loads(orders.recv_bytes())
        except EOFError:
            return  # who asked is gone
        try:
            printed = typst.compile(
                template,
                root=order["folder"],
                font_paths=fonts,
                ignore_system_fonts=True,
                sys_inputs={"invoice": json.dumps(order["invoice"])},
                timestamp=order["timestamp"],
                pdf_standards=["a-3a", "ua-1"],
            )
        except typst.TypstError as error:
            orders.send_bytes(b"-" + error.diagnostic.encode())
        else:
            orders.send_bytes(b"+" + printed)


if __name__ == "__main__":
    # A developer's Ctrl-C is for the server; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
