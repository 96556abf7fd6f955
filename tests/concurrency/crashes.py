"""Requests that do not live to their end: the process is killed, or its connection is cut."""

from __future__ import annotations

import multiprocessing
import signal
import time
from uuid import uuid4

from django.db import close_old_connections, connection
from django.db.backends.utils import CursorWrapper

from tests.concurrency import sender, server
from tests.concurrency.server import Post
from tests.threads import DEADLINE

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([server.__name__, sender.__name__])


def kill(post: Post, *, before: int) -> str | None:
    """
    Send the request to a process that is killed (SIGKILL) before a step; see ``interrupted``.

    Returns the step, or None where the request had fewer and was answered. The database has
    noticed by then: nothing of that process is open any more.
    """
    receiver, sender = FORKS.Pipe(duplex=False)
    database = connection.settings_dict["NAME"]
    name = f"to be killed {uuid4()}"  # by which the database knows it
    process = FORKS.Process(target=server.answer, args=(database, name, post, before, sender))
    process.start()
    sender.close()
    assert receiver.poll(DEADLINE), "The process neither died nor answered."
    step = receiver.recv()
    process.join(DEADLINE)
    assert process.exitcode == (-signal.SIGKILL if step else 0)
    with connection.cursor() as cursor:
        _wait_until_gone(cursor, "application_name = %s", name)
    return step


def kill_sender(*, port: int, before: int | None = None) -> str | None:
    """
    Send what is due by a process that is killed (SIGKILL) before a step; see ``interrupted``.

    Returns the step, or None where it had fewer.

    :param port: of the mail server
    :param before: None where somebody else kills it: the process's id is what they get to know
    """
    receiver, reporter = FORKS.Pipe(duplex=False)
    database = connection.settings_dict["NAME"]
    name = f"to be killed {uuid4()}"
    process = FORKS.Process(target=sender.send, args=(database, name, port, before, reporter))
    process.start()
    reporter.close()
    process.join(DEADLINE)
    try:
        step = receiver.recv()
    except EOFError:
        step = None
    assert process.exitcode == (-signal.SIGKILL if step or before is None else 0)
    with connection.cursor() as cursor:
        _wait_until_gone(cursor, "application_name = %s", name)
    return step


def cut(post: Post, *, before: int) -> tuple[str | None, tuple[int, bytes, bool]]:
    """
    Send the request, and end its session in the database before a step.

    Returns the step, or None where the request had fewer, and what was answered.
    """
    steps = []

    def end(step: str) -> None:
        steps.append(step)
        _end_session(connection.connection.info.backend_pid)

    with server.interrupted(before=before, by=end):
        answer = post.send()
    close_old_connections()  # as a server does before its next request
    return (steps[0] if steps else None), answer


def _end_session(pid: int) -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            _wait_until_gone(cursor, "pid = %s", pid)
    finally:
        other.close()


def _wait_until_gone(cursor: CursorWrapper, condition: str, value: object) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        cursor.execute(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {condition})", [value])
        if not cursor.fetchone()[0]:
            return
        assert time.monotonic() < deadline, "The session is still there."
        time.sleep(0.001)
