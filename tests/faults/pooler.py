"""PgBouncer in transaction mode, between the server and the database."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
MISSING = "PgBouncer is missing: install it with `apt-get install pgbouncer`."
# Fewer connections than the server has threads: they are shared, or nothing would be tested.
CONFIGURATION = """
[databases]
vbwd = host={folder} port={port} user={user} dbname=vbwd

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 200
server_reset_query =
query_wait_timeout = 10
server_login_retry = 0.2
log_connections = 0
log_disconnections = 0
logfile = {own_folder}/pgbouncer.log
pidfile = {own_folder}/pgbouncer.pid
"""


class Pooler:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pooler"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, folder: Path, port: str, user: str) -> str:
        """
        Start it before a database's socket.

        Returns the address at which it is reached in its place.
        """
        assert PROGRAM, MISSING
        self.folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        file = self.folder / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(
                folder=folder, port=port, user=user, own_port=self.port, own_folder=self.folder
            )
        )
        identity = {}
        if os.geteuid() == 0:  # it refuses root, as the database does
            nobody = pwd.getpwnam("nobody")
            for path in (self.folder, file):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._process = subprocess.Popen(
            [PROGRAM, "--quiet", str(file)], stderr=subprocess.DEVNULL, **identity
        )
        self._wait()
        return f"postgres://{user}@127.0.0.1:{self.port}/vbwd"

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                assert time.monotonic() < deadline, f"PgBouncer does not start: {self.folder}"
                time.sleep(0.02)
