"""Runs of the billing in processes of their own, which can be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import datetime
from multiprocessing.connection import Connection

from tests.concurrency import server

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([server.__name__])


def start(database: str, now: datetime) -> multiprocessing.Process:
    """A run over everything that is due, in the background."""
    process = FORKS.Process(target=run, args=(database, now))
    process.start()
    return process


def kill(process: multiprocessing.Process) -> None:
    """As the machine would: without a word."""
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def run(database: str, now: datetime) -> None:
    from django.db import connection

    from billing.services.renewals import running

    connection.settings_dict["NAME"] = database
    running.run(now=now)


def run_to_its_death(database: str, now: datetime, dies_before: int, report: Connection) -> None:
    """Run, but die by SIGKILL before a step, and say before which; None where it has fewer."""
    from django.db import connection

    from billing.services.renewals import running

    def die(step: str) -> None:
        report.send(step)
        os.kill(os.getpid(), signal.SIGKILL)

    connection.settings_dict["NAME"] = database
    with server.interrupted(before=dies_before, by=die):
        running.run(now=now)
    report.send(None)
