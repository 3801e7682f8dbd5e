"""One line of the table, and the one way in which two things are compared."""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One goal, measured.

    yardstick: what ours is divided by, in words. ratio: median over the rounds of ours over the yardstick.
    target: the highest ratio that meets the goal. unit: of the two measures, ``s`` or ``MB``.
    """

    name: str
    goal: str
    yardstick: str
    yardstick_measure: float
    ours_measure: float
    ratio: float
    target: float
    unit: str = "s"

    @property
    def met(self) -> bool:
        """True where the ratio is within the target."""
        return self.ratio <= self.target

    @property
    def verdict(self) -> str:
        """The same in words."""
        return "met" if self.met else "NOT MET"

    def __str__(self) -> str:
        ours, theirs = (f"{measure:.3f} {self.unit}" for measure in (self.ours_measure, self.yardstick_measure))
        judged = f"target {self.target:g}, {self.verdict}"
        return f"{self.name} {self.goal}: {self.ratio:.2f} (ours {ours}, {self.yardstick} {theirs}; {judged})"


def compared(
    yardstick: Callable[[], object], ours: Callable[[], object], *, rounds: int, warm_up: int = 1
) -> list[tuple[float, float]]:
    """Return the walls in seconds of two things done in turn; the first rounds are not counted."""
    return [(wall(yardstick), wall(ours)) for _ in range(warm_up + rounds)][warm_up:]


def row(
    name: str, goal: str, yardstick: str, rounds: Sequence[tuple[float, float]], *, target: float, unit: str = "s"
) -> Row:
    """Return the row of the rounds that were measured, each (yardstick, ours): medians, and the median of ratios."""
    theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Row(
        name=name,
        goal=goal,
        yardstick=yardstick,
        yardstick_measure=theirs,
        ours_measure=ours,
        ratio=statistics.median(b / a for a, b in rounds),
        target=target,
        unit=unit,
    )


def wall(work: Callable[[], object]) -> float:
    """Return the seconds that a call took; garbage of earlier ones is collected before."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(rows: Callable[[int], Iterator[Row]], description: str | None, *, rounds: int) -> None:
    """Print each row as it is measured: what every script of this folder does when it is run by itself."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=rounds, help=f"how often each is measured ({rounds})")
    for each in rows(options.parse_args().rounds):
        print(each, flush=True)
