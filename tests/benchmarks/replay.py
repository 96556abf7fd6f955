"""The limit: pgbench replaying the very statements that one request sent."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

# What differs from request to request is made anew in the replay, in the same order of time:
# n counts the requests of a client, so ids land at the end of their indexes as UUIDv7s do.
_NEW_ID = (
    "(lpad(to_hex(:n::bigint),12,'0')||'7000'||lpad(to_hex(:client_id::int),4,'0')||'{:012x}')"
    "::uuid"
)
_UUID = re.compile(r"'([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})'::uuid")
_NUMBER = re.compile(r"'INV-(\d{8})-(\d+)-(\d+)'")


def script(*, statements: Sequence[str], known_ids: set[str], key: str) -> str:
    """
    A pgbench script of the statements.

    :param known_ids: ids that were there before the request: they stay as they are
    :param key: the request's Idempotency-Key, which is another one in each transaction
    """
    new_ids: dict[str, str] = {}

    def renew(match: re.Match[str]) -> str:
        pk = match[1]
        if pk in known_ids:
            return match[0]
        return new_ids.setdefault(pk, _NEW_ID.format(len(new_ids) + 1))

    lines = ["\\set n :n + 1"]
    for statement in statements:
        text = " ".join(statement.split())
        text = _UUID.sub(renew, text)
        text = _NUMBER.sub(
            r"('INV-\1-'||lpad(:series::text,2,'0')||'-'||lpad(:last_number::text,6,'0'))", text
        )
        text = text.replace(key, "'||:client_id||'-'||:n||'")
        takes_number = text.startswith("UPDATE billing_invoiceseries")
        lines.append(f"{text} \\gset" if takes_number else f"{text};")
    return "\n".join(lines) + "\n"


def run(*, program: Path, folder: Path, url: str, clients: int, seconds: int, start: int) -> float:
    """Transactions per second of the script in ``folder``."""
    done = subprocess.run(
        [program, "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds)]
        + ["-D", f"n={start}", "-f", folder / "replay.sql", url],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}\n{done.stderr}")
    return float(found[1])
