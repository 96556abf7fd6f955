"""Measure on a durable database of its own and the production server; see docs/performance.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from tests.benchmarks.world import Database, World

# What is imported inside of each needs the settings of the database.


def _checkout(options: argparse.Namespace) -> None:
    with World(connections=max(options.connections), server=options.server) as world:
        from tests.benchmarks import checkout

        checkout.run(world, **_rounds(options))


def _capture(options: argparse.Namespace) -> None:
    with World(connections=max(options.connections), server=options.server) as world:
        from tests.benchmarks import capture

        capture.run(world, **_rounds(options))


def _read(options: argparse.Namespace) -> None:
    with World(connections=max(options.connections), server=options.server) as world:
        from tests.benchmarks import read

        if options.requests:
            read.hold(world, requests=options.requests)
        else:
            read.run(world, **_rounds(options))


def _log_in(options: argparse.Namespace) -> None:
    with World(connections=max(options.connections), server=options.server) as world:
        from tests.benchmarks import log_in

        log_in.run(world, **_rounds(options))


def _tokens(options: argparse.Namespace) -> None:
    with Database():
        from tests.benchmarks import tokens

        tokens.run(processes=options.processes, rounds=options.rounds, seconds=options.seconds)


def _renew(options: argparse.Namespace) -> None:
    with Database():
        from tests.benchmarks import renew

        renew.run(sizes=options.subscriptions, processes=options.processes)


def _books(options: argparse.Namespace) -> None:
    with Database():
        from tests.benchmarks import books

        books.run(size=options.invoices)


MEASURES: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "checkout": _checkout,
    "capture": _capture,
    "read": _read,
    "tokens": _tokens,
    "log-in": _log_in,
    "renew": _renew,
    "books": _books,
}


def _rounds(options: argparse.Namespace) -> dict:
    return {
        "connections": options.connections,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--server", choices=["gunicorn", "granian"], default="gunicorn")
    parser.add_argument("--subscriptions", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--invoices", type=int, default=1_000_000, help="books: to load (1,000,000)"
    )
    parser.add_argument(
        "--requests", type=int, help="read: so many, and what the workers hold in memory meanwhile"
    )
    options = parser.parse_args()
    MEASURES[options.what](options)


if __name__ == "__main__":
    main()
