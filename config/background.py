"""
Work that nobody's answer waits for, in threads of this process.

For what may be lost with the process and is asked for again: what has to happen at any price is
written down first (see the outbox of mails). A process that ends in good order finishes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

from django.db import connections

logger = logging.getLogger(__name__)

THREADS = 2
MOST_WAITING = 1000  # a server that is away for long must not fill the memory

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="background")
_under_way: set[Future[None]] = set()
_lock = Lock()


def soon(work: Callable[[], None]) -> None:
    """Do it after a moment; a failure is logged, and more than can wait is left undone."""
    with _lock:
        if len(_under_way) >= MOST_WAITING:
            logger.error("Too much is waiting in the background: something is left undone.")
            return
        future = _pool.submit(_done, work)
        _under_way.add(future)
    future.add_done_callback(_forget)


def wait_for_all(*, seconds: float) -> bool:
    """Wait until nothing is under way; whether that came true in time."""
    with _lock:
        futures = set(_under_way)
    return not wait(futures, timeout=seconds).not_done


def _done(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        logger.exception("Something in the background failed")
    finally:
        connections.close_all()


def _forget(future: Future[None]) -> None:
    with _lock:
        _under_way.discard(future)
