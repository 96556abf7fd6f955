"""The process that prints, and its replacement after a while."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from config.errors import DomainError

FOLDER = Path(__file__).resolve().parent.parent.parent / "documents"
# Typst never gives back what it has worked out, some 100 KB for each document.
DOCUMENTS_PER_PROCESS = 200
DEADLINE = 20  # seconds for one document; one of fifty lines takes a twentieth of one


class DocumentNotPrinted(DomainError):
    code = "document_not_printed"
    http_status = 503


class Press:
    """One process that prints one document at a time, started when it is first needed."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew. After a fork the process is the parent's, and so is whatever it answers."""
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: Connection | None = None
        self._printed = 0

    def print(self, order: dict[str, Any]) -> bytes:
        """
        Print what billing/documents/press.py calls an order.

        :raises DocumentNotPrinted: if there is no process that does, or it takes too long
        """
        message = json.dumps(order).encode()
        with self._turn:
            if self._printed >= DOCUMENTS_PER_PROCESS:
                self._stop()
            try:
                answer = self._ask_twice(message)
            except (EOFError, OSError) as error:
                self._stop()
                raise DocumentNotPrinted("The document cannot be printed now.") from error
            self._printed += 1
        if answer[:1] != b"+":
            raise RuntimeError(f"The template is wrong: {answer[1:].decode()}")
        return answer[1:]

    def _ask_twice(self, message: bytes) -> bytes:
        try:
            return self._ask(message)
        except TimeoutError:
            raise
        except (EOFError, OSError):
            # Killed from outside since the last document, for its memory perhaps: a new one may do.
            self._stop()
            return self._ask(message)

    def _ask(self, message: bytes) -> bytes:
        orders = self._orders or self._start()
        orders.send_bytes(message)
        if not orders.poll(DEADLINE):
            raise TimeoutError
        return orders.recv_bytes()

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, str(FOLDER / "press.py"), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._orders = ours
        self._printed = 0
        return ours

    def _stop(self) -> None:
        if self._orders:
            self._orders.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._orders = self._process = None


press = Press()
os.register_at_fork(after_in_child=press.forget)
