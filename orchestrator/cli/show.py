"""Output of the command line: tables for people, JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.domain.errors import UserError
from orchestrator.domain.records import DeliveryRecord, DeliveryState, ReviewRecord
from orchestrator.domain.unit import shown_unit
from orchestrator.domain.urgency import entry_rank

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", "-s", help="Settings file; default: orchestrator.toml in this folder.")
]

COLOURS = {
    "done": "green",
    "accepted": "green",
    "confirmed": "green",
    "failed": "red",
    "parked": "red",
    "rejected": "red",
    "retracted": "red",
    "corrected": "green",
    "second-reader": "cyan",
    "disagreed": "yellow",
    "unsupported": "yellow",
    "held": "yellow",
    "pending": "cyan",
    "running": "cyan",
    "delivering": "cyan",
}

WIDE = 160
"""Columns of output to a file or a pipe, which has no width of its own."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
errors = Console(stderr=True, highlight=False)


class Warnings(logging.Handler):
    """Prints each warning on one unwrapped line, above a progress display, so that paths can be copied."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the line, and the traceback if there is one."""
        errors.print(self.format(record), markup=False, soft_wrap=True)


def tell_warnings() -> None:
    """Print warnings at the terminal unless logging is set up (``serve`` sets it up)."""
    logging.lastResort = Warnings(logging.WARNING)


def plain(value: Any) -> Any:
    """Return a value of the domain as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone().isoformat(timespec="seconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def as_json(value: Any) -> None:
    """Print JSON without colour or wrapping."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def check_report(path: Path | None) -> None:
    """Return if a report can be written to this file; called before the work starts.

    Raises UserError.
    """
    if path is not None and not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.parent} for {path.name}")


def write_report(path: Path | None, value: Any) -> None:
    """Write JSON to the file, if there is one."""
    if path is not None:
        path.write_text(json.dumps(plain(value), indent=2, ensure_ascii=False), encoding="utf-8")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "nothing to show") -> None:
    """Print rows under their columns; long cells fold."""
    cells = [[_cell(item) for item in row] for row in rows]
    if not cells:
        console.print(f"[dim]{empty}[/dim]")
        return
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        grid.add_column(column, overflow="fold", no_wrap=number == 0)  # a folded key cannot be copied
    for row in cells:
        grid.add_row(*row)
    console.print(grid)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = "" if value is None else str(value)
    colour = COLOURS.get(text)
    safe = text.replace("[", r"\[")
    return f"[{colour}]{safe}[/{colour}]" if colour else safe


def deliveries_table(results: Iterable[DeliveryRecord], notes: Iterable[DeliveryRecord]) -> None:
    """Print the deliveries of a result and of its rejection notes."""
    table(
        ["destination", "what", "state", "attempts", "next attempt", "error"],
        [_delivery(row) for row in (*results, *notes)],
        empty="no deliveries",
    )


def _delivery(row: DeliveryRecord) -> list[object]:
    what = f"rejection note: {row.note}" if row.note else "result"
    waits = row.next_attempt_at if row.state is DeliveryState.WAITING else None
    return [row.destination, what, row.state, row.attempts, waits, row.error]


def amount(value: object, unit: object) -> str:
    """Return a number as a radiologist writes it: ``1,502 ml``, ``118 HU``; ``unit`` is UCUM."""
    digits = str(value)
    if isinstance(value, (int, float)):
        digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {shown_unit(str(unit))}".strip()


def finding_text(findings: Iterable[Mapping[str, object]], measurements: Iterable[Mapping[str, object]]) -> str:
    """Return one line with the findings and measurements of a result, the most urgent finding first."""
    texts = [_finding(item) for item in sorted(findings, key=entry_rank)]
    texts += [_measurement(item) for item in measurements]
    return "; ".join(texts)


def corrected_text(review: ReviewRecord) -> str:
    """Return one line with the corrected values: "Brain volume: 1,502 -> 1,480 ml".

    The Dice coefficients of edited outlines follow: "Dice: Brain 0.97".
    """
    dice = ", ".join(f"{label} {value:.2f}" for label, value in review.agreement.items())
    return "; ".join([*map(_change, review.changes), *([f"Dice: {dice}"] if dice else [])])


def _change(item: Mapping[str, object]) -> str:
    before, after = (amount("nothing" if item.get(side) is None else item[side], "") for side in ("before", "after"))
    return f"{item.get('what', '')}: {before} -> {after} {shown_unit(str(item.get('unit') or ''))}".strip()


def _measurement(item: Mapping[str, object]) -> str:
    text = f"{item.get('name')} {amount(item.get('value'), item.get('unit'))}"
    return f"{item['segment']}: {text[:1].lower()}{text[1:]}" if item.get("segment") else text


def _finding(item: Mapping[str, object]) -> str:
    """Return one finding in a line: "Burned-in text: present, score 0.93, 3 images"."""
    texts = [str(item.get("value"))]
    if isinstance(score := item.get("score"), float):
        texts.append(f"score {score:.2f}")
    if isinstance(images := item.get("images"), (list, tuple)) and images:
        texts.append(f"{len(images)} image{'s' * (len(images) > 1)}")
    return f"{item.get('name')}: {', '.join(texts)}"
