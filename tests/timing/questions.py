"""The same question about somebody and about nobody, in turn, and how far the answers differ."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from statistics import median

from django.conf import settings
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone
from rich.progress import track
from rich.table import Table

from accounts.models import User
from config import background
from tests.benchmarks import results

PASSWORD = "not the password of anybody"
MAIL_SERVER = "tests.timing.mail_server.SlowMailServer"
_numbers = count()


@dataclass(frozen=True, slots=True)
class Question:
    """:param ask: sends the request with an e-mail, from an address that nobody else has"""

    name: str
    email: str
    ask: Callable[[str, str], int]
    status: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Seconds, of about as many answers each."""

    known: list[float]
    unknown: list[float]

    @property
    def slower(self) -> float:
        """
        How often, of one answer each, the one about somebody took longer: a half says nothing.

        It is the statistic of Mann and Whitney, divided by the number of pairs.
        """
        wins = sum(
            (one > other) + (one == other) / 2 for one in self.known for other in self.unknown
        )
        return wins / (len(self.known) * len(self.unknown))

    @property
    def margin(self) -> float:
        """How far from a half ``slower`` is 19 times of 20 where nothing tells."""
        known, unknown = len(self.known), len(self.unknown)
        return 1.96 * math.sqrt((known + unknown + 1) / (12 * known * unknown))


def run(*, rounds: int) -> None:
    logging.disable(logging.CRITICAL)  # each of the questions is told as a failure
    no_limits = dict.fromkeys(settings.RATE_LIMITS)
    with override_settings(EMAIL_BACKEND=MAIL_SERVER, RATE_LIMITS=no_limits):
        found = {question.name: _measured(question, rounds) for question in _questions()}
        background.wait_for_all(seconds=rounds)  # the mails
    table = Table(title=f"Does the time tell who has an account? {rounds} rounds of each question")
    for heading in ("question", "known, ms", "unknown, ms", "known is slower", "by chance"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    for name, answers in found.items():
        table.add_row(
            name,
            f"{median(answers.known) * 1000:.2f}",
            f"{median(answers.unknown) * 1000:.2f}",
            f"{answers.slower:.1%}",
            f"50 ± {answers.margin * 100:.1f} %",
        )
    results.show(table)
    results.keep(
        "timing",
        [
            {"question": name, "known": answers.known, "unknown": answers.unknown}
            for name, answers in found.items()
        ],
    )


def _questions() -> list[Question]:
    def account(name: str, **fields: object) -> str:
        return str(
            User.objects.create_user(f"{name}@example.com", "a long password", **fields).email
        )

    known = account("known")
    suspended = account("suspended", status=User.Status.SUSPENDED)
    deleted = account("deleted", status=User.Status.DELETED, erased_at=timezone.now())
    staff = account("staff", is_staff=True)
    api, form = _posting("/api/v1/auth/login"), _posting_form("/admin/login/")
    forgotten = _posting("/api/v1/auth/forgot-password", password=None)
    return [
        Question("sign in, wrong password", known, api, 401),
        Question("sign in, suspended", suspended, api, 401),
        Question("sign in, erased", deleted, api, 401),
        Question("sign in to the admin, wrong password", staff, form, 200),
        Question("forgotten password", known, forgotten, 200),
        Question("forgotten password, suspended", suspended, forgotten, 200),
    ]


def _posting(address: str, password: str | None = PASSWORD) -> Callable[[str, str], int]:
    client = Client(SERVER_NAME="localhost")

    def ask(email: str, caller: str) -> int:
        body = {"email": email} | ({"password": password} if password else {})
        answer = client.post(address, body, content_type="application/json", REMOTE_ADDR=caller)
        return answer.status_code

    return ask


def _posting_form(address: str) -> Callable[[str, str], int]:
    client = Client(SERVER_NAME="localhost")

    def ask(email: str, caller: str) -> int:
        body = {"username": email, "password": PASSWORD}
        return client.post(address, body, REMOTE_ADDR=caller).status_code

    return ask


def _measured(question: Question, rounds: int) -> Answers:
    """In a random order: whatever else the machine does falls on both alike."""
    answers = Answers([], [])
    for _ in range(5):
        _asked(question, question.email)  # warms up
    for _ in track(range(rounds), description=question.name):
        for is_known in random.sample((True, False), 2):
            nobody = f"n{next(_numbers):0{len(question.email) - len('n@example.com')}}@example.com"
            took = _asked(question, question.email if is_known else nobody)
            (answers.known if is_known else answers.unknown).append(took)
    return answers


def _asked(question: Question, email: str) -> float:
    number = next(_numbers)
    caller = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    began = time.perf_counter()
    status = question.ask(email, caller)
    took = time.perf_counter() - began
    assert status == question.status, (question.name, email, status)
    return took
