"""Whether the time that an answer takes tells if there is an account; see docs/security.md."""

from __future__ import annotations

import argparse

from tests.benchmarks.world import Database


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.timing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="of each question (300)")
    options = parser.parse_args()
    with Database():
        from tests.timing import questions  # needs the database's settings

        questions.run(rounds=options.rounds)


if __name__ == "__main__":
    main()
