"""The production server's settings: ``gunicorn -c config/gunicorn.py config.wsgi``."""

import os

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
