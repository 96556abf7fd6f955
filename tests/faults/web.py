"""Requests as clients send them: over a real connection, with time-outs and repeats."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from standardwebhooks import Webhook

from tests.faults.journal import Journal

PATIENCE = 5.0  # seconds that a client waits for an answer
# Seconds after which a client that repeats itself has been given up on: longer than any fault.
GIVES_UP = 90


class NoAnswer(Exception):
    """Nobody knows what became of the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json.get("code", "")) if self.status >= 400 else ""

    @property
    def is_final(self) -> bool:
        """Whether a repeat would be told the same."""
        return self.status != 503 and self.code != "idempotency_in_progress"


class Web:
    """The server's address, and the count of what was asked of it and answered."""

    def __init__(self, *, port: int, secret: str, journal: Journal) -> None:
        self.port = port
        self.secret = secret
        self.journal = journal
        self.statuses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: dict[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Answer:
        """
        Send a request once.

        :raises NoAnswer: if none came in time, or the line broke
        """
        content = None if body is None else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/json", **(headers or {})}
        if token:
            all_headers["Authorization"] = f"Bearer {token}"
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        try:
            line.request(method, f"/api/v1/{path}", content, all_headers)
            response = line.getresponse()
            answer = Answer(response.status, response.read())
        except (OSError, http.client.HTTPException) as failure:
            self._count("none")
            raise NoAnswer from failure
        finally:
            line.close()
        self._count(str(answer.status))
        self._look_at(answer, method, path)
        return answer

    def until_final(
        self, method: str, path: str, body: Any = None, *, patience: float = PATIENCE, **how: Any
    ) -> Answer:
        """
        Send it until it is answered for good, as a client does that has to know.

        :raises NoAnswer: if that takes longer than ``GIVES_UP``; it is a complaint, too
        """
        deadline = time.monotonic() + GIVES_UP
        wait = 0.01
        while time.monotonic() < deadline:
            try:
                answer = self.send(method, path, body, patience=patience, **how)
            except NoAnswer:
                patience = PATIENCE
                wait = min(wait * 2, 0.5)
            else:
                if answer.is_final:
                    return answer
                if answer.status == 503:
                    wait = min(wait * 2, 0.5)
            time.sleep(wait)
        self.journal.complain(f"{method} {path}: no final answer in {GIVES_UP} seconds")
        raise NoAnswer

    def notify(self, notice: dict[str, str], **how: Any) -> Answer:
        """Send a signed notification of a payment once."""
        return self.send("POST", "webhooks/payment", notice, headers=self.signed(notice), **how)

    def signed(self, notice: dict[str, str]) -> dict[str, str]:
        now = datetime.now(UTC)
        name = f"msg_{uuid4().hex}"
        return {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(name, now, json.dumps(notice)),
        }

    def is_ready(self, patience: float = 1.0) -> bool:
        """Whether the server and its database answer; not counted as a request of a client."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        try:
            line.request("GET", "/api/v1/health/ready")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def _count(self, status: str) -> None:
        with self._lock:
            self.statuses[status] += 1

    def _look_at(self, answer: Answer, method: str, path: str) -> None:
        """An error of the server's is never an answer: what passes by itself is a 503."""
        if answer.status >= 500 and answer.status != 503:
            self.journal.complain(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        if answer.status >= 400:
            try:
                is_in_shape = {"error", "code"} <= set(answer.json)
            except ValueError:
                is_in_shape = False
            if not is_in_shape:
                self.journal.complain(f"{method} {path}: no error of ours: {answer.body[:200]!r}")
