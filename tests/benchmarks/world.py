"""A database and a server of the benchmark's own, and the customers that use them."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

PROJECT = Path(__file__).resolve().parent.parent.parent
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of the benchmark's own").decode()
PASSWORD = "not a secret of anybody"
SERVERS = {
    "gunicorn": ["gunicorn", "config.wsgi", "--worker-class=gthread", "--workers=2", "--threads=4"],
    "granian": ["granian", "config.wsgi:application", "--interface=wsgi", "--workers=2"]
    + ["--blocking-threads=4", "--log-level=warning"],
}


class Database:
    """Started on entry, gone on exit. It is durable: fsync and synchronous_commit on."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bench", dir="/tmp"))
        self.folder.chmod(0o711)  # started as root, the database runs as nobody

    def __enter__(self) -> Self:
        os.environ.pop("DATABASE_URL", None)
        os.environ["EMBEDDED_POSTGRES_DIR"] = str(self.folder / "pg")
        from config import embedded_postgres

        embedded_postgres.ensure_running()
        self.programs = embedded_postgres.bin_dir()
        self.socket_folder = self.folder / "pg"
        os.environ |= {
            "DATABASE_URL": embedded_postgres.url(),
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "DEBUG": "0",
            "ACCESS_TOKEN_MINUTES": "600",
            "LOG_LEVEL": "WARNING",
            "BILLING_TEST_CLOCKS": "0",
            "BILLING_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from config import embedded_postgres

        embedded_postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class World(Database):
    """With a server, and customers who are signed in."""

    def __init__(self, *, connections: int, server: str) -> None:
        super().__init__()
        self.connections = connections
        self.server = server
        self.tokens: list[str] = []
        if shutil.which("wrk") is None:
            sys.exit("wrk is missing: install it with `apt-get install wrk`.")

    def __enter__(self) -> Self:
        super().__enter__()
        self._seed()
        self._serve()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if hasattr(self, "process"):
            self.process.terminate()
            self.process.wait()
        super().__exit__(kind, error, trace)

    def _seed(self) -> None:
        from django.utils import timezone

        from accounts.models import User
        from accounts.services import sessions
        from catalog.models import AddOn, Plan, Price, TokenBundle

        now = timezone.now()
        for number in range(self.connections):
            user = User.objects.create_user(f"bench{number}@example.com", PASSWORD)
            self.tokens.append(sessions.open(user=user, now=now).access)
        self.plan = Plan.objects.create(name="Pro", slug="pro")
        self.bundles = [
            TokenBundle.objects.create(name=f"Bundle {n}", token_amount=100) for n in range(20)
        ]
        self.add_ons = [
            AddOn.objects.create(name=f"Add-on {n}", slug=f"add-on-{n}") for n in range(2)
        ]
        Price.objects.create(plan=self.plan, currency="USD", amount="29")
        for bundle in self.bundles:
            Price.objects.create(bundle=bundle, currency="USD", amount="10")
        for add_on in self.add_ons:
            Price.objects.create(add_on=add_on, currency="USD", amount="5")

    def _serve(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        bind = ["--host=127.0.0.1", f"--port={port}"]
        if self.server == "gunicorn":
            bind = [f"--bind=127.0.0.1:{port}"]
        program, *arguments = SERVERS[self.server]
        self.process = subprocess.Popen(
            [Path(sys.executable).parent / program, *arguments, *bind], cwd=PROJECT
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/api/v1/health", timeout=1).read()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit("The server did not start.")
                time.sleep(0.1)
