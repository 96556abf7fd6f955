"""The application on a machine whose clock steps, which nothing else of it notices."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from time_machine import escape_hatch

from config.wsgi import application as real

CLOCK = Path(os.environ["FAULTS_CLOCK"])  # seconds from the true time
_lock = threading.Lock()
_steps = 0
_clock = time_machine.travel(datetime.now(UTC), tick=True).start()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Set the clock as the file says, and answer."""
    global _steps
    told = int(CLOCK.read_text() or 0)
    with _lock:
        if told != _steps:
            _steps = told
            true = datetime.fromtimestamp(escape_hatch.time.time(), UTC)
            _clock.move_to(true + timedelta(seconds=told))
    return real(environ, start_response)
