"""Measure on a durable database of its own and the production server; see docs/performance.md."""

from __future__ import annotations

import argparse

from tests.benchmarks.world import Database, World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("what", choices=["checkout", "renew", "books"])
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (5)")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--server", choices=["gunicorn", "granian"], default="gunicorn")
    parser.add_argument("--subscriptions", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--invoices", type=int, default=1_000_000, help="to load (1,000,000)")
    options = parser.parse_args()
    if options.what == "books":
        with Database():
            from tests.benchmarks import books  # needs the database's settings

            books.run(size=options.invoices)
        return
    if options.what == "renew":
        with Database():
            from tests.benchmarks import renew  # needs the database's settings

            renew.run(sizes=options.subscriptions, processes=options.processes)
        return
    with World(connections=max(options.connections), server=options.server) as world:
        from tests.benchmarks import checkout  # needs the world's settings

        checkout.run(
            world,
            connections=options.connections,
            rounds=options.rounds,
            seconds=options.seconds,
        )


if __name__ == "__main__":
    main()
