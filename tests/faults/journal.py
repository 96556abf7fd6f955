"""What was promised to clients: written to a file before anything else may happen."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any


class Journal:
    """
    Every acknowledged thing is one line of JSON, on the disk before it is believed.

    The harness's own memory of it is read back from those lines by ``of_round``.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stream = file.open("a+b")
        self._lock = threading.Lock()
        self._round_begins = 0
        self.counts: Counter[str] = Counter()
        self._first_answers: dict[str, str] = {}
        self.wrong: list[str] = []

    def acknowledge(self, kind: str, **what: Any) -> None:
        line = json.dumps({"kind": kind, "at": time.time(), **what}).encode() + b"\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self.counts[kind] += 1

    def note_answer(self, request: str, body: bytes) -> bool:
        """
        Compare with the first answer to the same request: whoever repeats it must get the same.

        Returns whether it is the first.
        """
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            first = self._first_answers.setdefault(request, "")
            if not first:
                self._first_answers[request] = digest
                return True
        if first != digest:
            self.complain(f"{request}: a repeat got another answer than the first: {body[:300]!r}")
        return False

    def complain(self, sentence: str) -> None:
        """Something is wrong that is seen without looking into the database."""
        with self._lock:
            self.wrong.append(sentence)

    def begin_round(self) -> None:
        with self._lock:
            self._round_begins = self._stream.tell()
            self._first_answers = {}

    def of_round(self) -> dict[str, list[dict[str, Any]]]:
        """What was acknowledged since the round began, by kind, as the file has it."""
        entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with self.file.open("rb") as lines:
            lines.seek(self._round_begins)
            for line in lines:
                entry = json.loads(line)
                entries[entry["kind"]].append(entry)
        return entries
