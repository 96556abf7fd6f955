"""The production server's settings: ``gunicorn -c config/gunicorn.py config.wsgi``."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from config import logs

os.environ.setdefault("WEB_SERVER", "true")  # before the settings are read: see there
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 30  # seconds until a worker that does not answer is replaced
graceful_timeout = 20
max_requests = 100_000  # a worker is renewed now and then, not all at once
max_requests_jitter = 10_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - heartbeats
control_socket_disable = True
# The server's own lines look like the application's.
_is_development = os.environ.get("DJANGO_SETTINGS_MODULE", "").endswith(".development")
_level = os.environ.get("LOG_LEVEL") or "INFO"
_logging = logs.configuration(
    form=os.environ.get("LOG_FORMAT") or ("lines" if _is_development else "json"), level=_level
)
logconfig_dict = {
    **_logging,
    "loggers": {"gunicorn.error": {"handlers": ["console"], "level": _level, "propagate": False}},
}

# Each process counts in a file of its own, and whichever is asked for /metrics adds them up. The
# name must be set before the application is loaded; a reload (SIGHUP) keeps it.
COUNTS = "billing-counts-"
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=COUNTS, dir=worker_tmp_dir)


def on_exit(_server: Any) -> None:
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if folder.name.startswith(COUNTS):
        shutil.rmtree(folder, ignore_errors=True)
