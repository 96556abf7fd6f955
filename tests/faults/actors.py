"""Those who play: each is a thread of its own, with its own chance, until the round is over."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from random import Random
from typing import Any

from tests.faults.board import Board
from tests.faults.journal import Journal
from tests.faults.web import NoAnswer, Web


class Actor(threading.Thread):
    """Acts until the round is over, then settles what it does not know the end of."""

    def __init__(self, *, name: str, seed: str, web: Web, board: Board, journal: Journal) -> None:
        super().__init__(name=name, daemon=True)
        self.chance = Random(f"{seed}:{name}")
        self.web = web
        self.board = board
        self.journal = journal
        self.number = 0
        self.label = f"{seed}-{name}".replace(":", "-")

    def run(self) -> None:
        try:
            self.begin()
            while not self.board.over.is_set():
                try:
                    self.act()
                except NoAnswer:
                    self.board.over.wait(0.05)
            self.settle()
        except NoAnswer:
            return  # it has complained
        except Exception:  # noqa: BLE001 - whatever it is, the run must not pass without it
            self.journal.complain(f"{self.name} broke down:\n{traceback.format_exc()}")

    def begin(self) -> None:
        """Before the first act."""

    def act(self) -> None:
        raise NotImplementedError

    def settle(self) -> None:
        """After the last act."""

    def next_name(self) -> str:
        self.number += 1
        return f"{self.label}-{self.number}"

    def impatience(self) -> float:
        """Mostly none; one in eight gives up before the server can be done."""
        return self.chance.uniform(0.005, 0.06) if self.chance.random() < 0.125 else 5.0

    def expect(self, answer: Any, *codes: str, at: str) -> bool:
        """Whether it was done; a refusal must be one of these."""
        if answer.status < 300:
            return True
        if answer.code not in codes:
            self.journal.complain(f"{at}: unexpected {answer.status} {answer.body[:300]!r}")
        return False


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Call all of them at the same moment; what a call raises is its result."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[place] = call()
        except Exception as failure:  # noqa: BLE001 - the caller looks at it
            results[place] = failure

    threads = [
        threading.Thread(target=run, args=(place, call), daemon=True)
        for place, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
