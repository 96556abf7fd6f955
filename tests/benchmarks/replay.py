"""The limit: pgbench replaying the very statements that one request sent."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

# What differs from request to request is made anew in the replay, in the same order of time:
# k counts the requests of all clients, so ids land at the end of their indexes as UUIDv7s do.
_COUNT = "\\set n :n + 1\n\\set k :n * 4096 + :client_id"
_NEW_ID = "(lpad(to_hex(:k::bigint),16,'0')||'{:016x}')"
_LITERAL = re.compile(r"(E?)'((?:[^'\\]|''|\\.)*)'(::uuid\b)?")
_PART = re.compile(
    r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|INV-(?P<day>\d{8})-\d+-\d+"
)
_NAME = re.compile(r'":(?=[a-z])')  # "id":null in JSON, which pgbench takes for a variable
_NUMBER = "lpad(:series::text,2,'0')||'-'||lpad(:last_number::text,6,'0')"


def script(*, statements: Sequence[str], known_ids: set[str], key: str) -> str:
    """
    A pgbench script of the statements.

    :param known_ids: ids that were there before the request: they stay as they are
    :param key: the request's Idempotency-Key, which is another one in each transaction
    """
    new_ids: dict[str, str] = {}

    def renew(literal: re.Match[str]) -> str:
        escaped, cast = literal[1], literal[3] or ""
        text = _NAME.sub('": ', literal[2])

        def part(found: re.Match[str]) -> str:
            if found["day"]:
                made = f"'INV-{found['day']}-'||{_NUMBER}"
            elif found["id"] in known_ids:
                return found[0]
            else:
                made = new_ids.setdefault(found["id"], _NEW_ID.format(len(new_ids) + 1))
            return f"'||{made}||{escaped}'"

        renewed = _PART.sub(part, text)
        renewed = renewed.replace(key, f"'||:k||{escaped}'")
        if renewed == text:
            return f"{escaped}'{text}'{cast}"
        return f"({escaped}'{renewed}'){cast}"

    lines = [_COUNT]
    for statement in statements:
        text = _LITERAL.sub(renew, " ".join(statement.split()))
        takes_number = text.startswith("UPDATE billing_invoiceseries")
        lines.append(f"{text} \\gset" if takes_number else f"{text};")
    return "\n".join(lines) + "\n"


def run(*, program: Path, script: Path, url: str, clients: int, seconds: int, start: int) -> float:
    """Transactions per second of the script."""
    done = subprocess.run(
        [program, "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients))]
        + ["-T", str(seconds), "-D", f"n={start}", "-f", script, url],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}\n{done.stderr}")
    return float(found[1])
