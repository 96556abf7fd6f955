"""A database of the histories' own: started on entry, gone on exit."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType


class World:
    """Nothing in it is to outlive it, so it is not durable. Its settings are those of the tests."""

    def __enter__(self) -> World:
        self.folder = Path(tempfile.mkdtemp(prefix="histories", dir="/tmp"))
        self.folder.chmod(0o711)  # started as root, the database runs as nobody
        os.environ.pop("DATABASE_URL", None)
        os.environ |= {
            "EMBEDDED_POSTGRES_DIR": str(self.folder / "pg"),
            "EMBEDDED_POSTGRES_OPTIONS": "fsync=off synchronous_commit=off full_page_writes=off",
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "LOG_LEVEL": "ERROR",
        }
        from config import embedded_postgres

        embedded_postgres.ensure_running()
        os.environ["DATABASE_URL"] = embedded_postgres.url()
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
        from django.db import connection

        from config import embedded_postgres

        connection.close()
        embedded_postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
