"""``make bench``: every goal as a ratio against its yardstick in the same run, as one table.

Only ratios travel between machines. Writes bench-output/table.json too. Nothing here is a test: a busy
machine may miss a goal, so the load is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import archive, ingest, latency, load, segmentation, worker
from benchmarks.row import Row

SCRIPTS = (ingest, archive, load, latency, worker, segmentation)
console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)


def measured(report: Callable[[str], None]) -> Iterator[Row]:
    """Yield all rows; ``report`` is told what is measured now."""
    for script in SCRIPTS:
        report((script.__doc__ or "").partition("\n")[0])
        yield from script.rows()


def table(rows: list[Row]) -> Table:
    """Return the rows for people."""
    grid = Table("", "goal", "ratio", "target", "", "ours", "yardstick", box=None, pad_edge=False)
    for row in rows:
        theirs, ours = (f"{measure:.3f} {row.unit}" for measure in (row.yardstick_measure, row.ours_measure))
        colour = "green" if row.met else "red"
        verdict = f"[{colour}]{row.verdict}[/{colour}]"
        yardstick = f"{theirs} {row.yardstick}"
        grid.add_row(row.name, row.goal, f"{row.ratio:.2f}", f"<= {row.target:g}", verdict, ours, yardstick)
    return grid


def keep(rows: list[Row], path: Path, seconds: float) -> None:
    """Write the rows as JSON, with the machine's cores and load."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"cores": os.cpu_count(), "load": os.getloadavg(), "seconds": round(seconds, 1)}
    told = {**about, "rows": [{**asdict(row), "met": row.met} for row in rows]}
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")


def main() -> None:
    """Measure, print the table, keep it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--output", type=Path, default=Path("bench-output"))
    output, started = options.parse_args().output, time.perf_counter()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as bar:
        task = bar.add_task("", total=None)
        rows = list(measured(lambda text: bar.update(task, description=text)))
    seconds = time.perf_counter() - started
    console.print(table(rows))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    console.print(
        f"\n{sum(row.met for row in rows)} of {len(rows)} met in {seconds:.0f} s; load {load} on {os.cpu_count()} cores"
    )
    keep(rows, output / "table.json", seconds)


if __name__ == "__main__":
    main()
