"""CPU and memory of the processes that share the machine: web, database, generator."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

import psutil

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Used:
    """Seconds of CPU so far; of what runs in the foreground as soon as it has ended."""

    web: float
    database: float
    generator: float

    def __sub__(self, before: Used) -> Used:
        return Used(
            self.web - before.web,
            self.database - before.database,
            self.generator - before.generator,
        )


def used(*, web: int, data: Path) -> Used:
    """
    :param web: the process id of the web server, whose workers are its children
    :param data: the folder of the database, which names its first process
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Used(
        web=_seconds(web),
        database=_seconds(_postmaster(data)),
        generator=ended.ru_utime + ended.ru_stime,
    )


def memory_of_workers(web: int) -> list[int]:
    """Bytes that each worker holds in memory, of its own or shared."""
    return [child.memory_info().rss for child in psutil.Process(web).children()]


def _postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().splitlines()[0])


def _seconds(pid: int) -> float:
    """
    Of a process and all that it has started. Those that have ended count with their parent, as soon
    as it has asked for them.
    """
    total = 0.0
    first = psutil.Process(pid)
    for process in (first, *first.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it ended between the look and the question
        total += times.user + times.system
        if process is first:
            total += times.children_user + times.children_system
    return total
