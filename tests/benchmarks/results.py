"""What was measured, as a table, as JSON, and as a plot, in a folder that git ignores."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.world import PROJECT

if TYPE_CHECKING:
    from tests.benchmarks.generator import Measured

FOLDER = PROJECT / "var" / "benchmarks"
WIDTH = 120


def spread(values: Sequence[float], form: str) -> str:
    """``179 (149–205)``: the median, the lowest and the highest."""
    middle, low, high = (format(each, form) for each in (median(values), min(values), max(values)))
    return f"{middle} ({low}–{high})"


def show(table: Table) -> None:
    console = Console()
    # In a file or a pipe nothing says how wide it may be: 80 would cut the figures off.
    Console(width=None if console.is_terminal else WIDTH).print(table)


def keep(name: str, told: Mapping[str, Any] | Sequence[Any]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    text = json.dumps({**machine, "measured": told}, indent=2)
    (FOLDER / f"{name}.json").write_text(text)


def plot(name: str, draw: Callable[[Any], None]) -> None:
    """``draw`` on the axes of a new picture; without matplotlib there is none."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        Console().print("No plot: `pip install -r requirements-benchmarks.txt` draws one.")
        return
    figure = Figure(figsize=(9, 5), layout="constrained")
    draw(figure.subplots())
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=110)


def keep_requests(name: str, found: Sequence[Measured]) -> None:
    keep(name, [asdict(each) for each in found])


def plot_rates(name: str, title: str, found: Sequence[Measured]) -> None:
    """Requests per second: the median, with the lowest and the highest round."""

    def draw(axes: Any) -> None:
        places = range(len(found))
        rates = [each.of("rate") for each in found]
        middles = [median(each) for each in rates]
        below = [middle - min(each) for middle, each in zip(middles, rates, strict=True)]
        above = [max(each) - middle for middle, each in zip(middles, rates, strict=True)]
        axes.bar(places, middles, yerr=[below, above], capsize=3, color="#4f46e5")
        names = [f"{each.what}\n{each.connections} conn." for each in found]
        axes.set_xticks(list(places), names, fontsize=8, rotation=30, ha="right")
        axes.set_ylabel("per second")
        axes.set_title(title)

    plot(name, draw)
