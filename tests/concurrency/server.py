"""
A server process that can be killed between two statements of a request.

The fork server of multiprocessing imports this, and nothing of pytest: every request is a fork of
a process that has the application loaded and has never had a connection to the database.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import django
from django.apps import apps
from django.db import connection

if not apps.ready:
    django.setup()

from django.urls import get_resolver
from rest_framework.test import APIClient

# What a first request would load is loaded now, and not again in every fork.
get_resolver().url_patterns  # noqa: B018
CLIENT = APIClient()
CLIENT.get("/api/v1/health")

COMMIT = "COMMIT"
ANSWER = "the answer"


@dataclass(frozen=True, slots=True)
class Post:
    """A request as it is sent, and sent again."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def send(self) -> tuple[int, bytes, bool]:
        """Status, body, and whether it is said to be an answer of before."""
        response = CLIENT.post(
            self.path, self.body, content_type="application/json", headers=self.headers
        )
        return response.status_code, response.content, "Idempotency-Replayed" in response


@contextmanager
def interrupted(*, before: int, by: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """
    Call ``by`` with a step's name before that step is taken, the first one being step 1.

    Steps are the statements of the connection, savepoints among them, and its commits; what is
    given is called for a step that is neither.
    """
    taken = 0
    commit = connection.commit

    def step(name: str) -> None:
        nonlocal taken
        taken += 1
        if taken == before:
            by(name)

    def execute_after(execute, sql, params, many, context):
        step(sql)
        return execute(sql, params, many, context)

    def commit_after() -> None:
        step(COMMIT)
        commit()

    # Django commits through psycopg2 and not by a statement, so no wrapper hears of it.
    connection.commit = commit_after
    try:
        with connection.execute_wrapper(execute_after):
            yield step
    finally:
        del connection.commit


def answer(database: str, name: str, post: Post, dies_before: int, report: Connection) -> None:
    """
    Answer a request, but die by SIGKILL before a step, and say before which.

    :param name: by which the database knows this process
    """
    connection.settings_dict["NAME"] = database
    connection.settings_dict["OPTIONS"]["application_name"] = name

    def die(name: str) -> None:
        report.send(name)
        os.kill(os.getpid(), signal.SIGKILL)

    with interrupted(before=dies_before, by=die) as step:
        post.send()
        step(ANSWER)
    report.send(None)
