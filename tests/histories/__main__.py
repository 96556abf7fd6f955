"""
A thousand random customers over three years, each amount recomputed from the event log.

    python -m tests.histories --customers 1000 --seed 1 --processes 2
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

NOTHING_DURABLE = "fsync=off synchronous_commit=off full_page_writes=off"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--part", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        return _play(options)
    with tempfile.TemporaryDirectory(prefix="histories", dir="/tmp") as folder:
        Path(folder).chmod(0o711)  # started as root, the database runs as nobody
        return _play_all(options, folder)


def _play_all(options: argparse.Namespace, folder: str) -> int:
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {
        "EMBEDDED_POSTGRES_DIR": f"{folder}/pg",
        "EMBEDDED_POSTGRES_OPTIONS": NOTHING_DURABLE,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    from config import embedded_postgres

    embedded_postgres.ensure_running()
    try:
        os.environ["DATABASE_URL"] = embedded_postgres.url()
        _open()
        command = [sys.executable, "-m", "tests.histories", *sys.argv[1:]]
        parts = [
            subprocess.Popen([*command, f"--part={number}"]) for number in range(options.processes)
        ]
        failed = sum(part.wait() != 0 for part in parts)
        return _verify() or failed
    finally:
        embedded_postgres.stop()


def _open() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from tests.histories.life import open_shop

    call_command("migrate", verbosity=0)
    open_shop()


def _play(options: argparse.Namespace) -> int:
    import django

    django.setup()
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from tests.histories.life import Life, shop
    from tests.histories.random_lives import live

    console = Console()
    done: Counter[str] = Counter()
    invoices, differences = 0, []
    began = time.monotonic()
    numbers = range(options.part, options.customers, options.processes)
    sold = shop()
    for number in track(numbers, description=f"Part {options.part + 1}", console=console):
        life = Life(sold, email=f"customer-{number}@example.com")
        live(life, chance=random.Random(f"{options.seed} {number}"))
        done += life.done
        invoices += life.invoiced()
        differences += [f"customer {number}: {found}" for found in life.differences()]
    table = Table(title=f"Part {options.part + 1}, {time.monotonic() - began:.0f} s")
    for heading, justify in (("What", "left"), ("How often", "right")):
        table.add_column(heading, justify=justify)
    table.add_row("customers", f"{len(numbers):,}")
    table.add_row("invoices, each recomputed", f"{invoices:,}")
    table.add_row("differences", f"{len(differences):,}")
    for name, times in sorted(done.items()):
        table.add_row(name, f"{times:,}")
    console.print(table)
    for found in differences[:20]:
        console.print(found)
    return 1 if differences else 0


def _verify() -> int:
    """What the command prints, and whether all of it holds."""
    from django.core.management import CommandError, call_command

    try:
        call_command("verify_books")
    except CommandError as broken:
        sys.stderr.write(f"{broken}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
