"""``orchestrator models check --card``: what the host knows of a model and measured, and room for what people know."""

from __future__ import annotations

import os
import platform
from collections import Counter
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import orchestrator
from orchestrator.app.models.contract.clause import Mark, Report
from orchestrator.domain.errors import UserError
from orchestrator.domain.model import Accepts, Geometry, Intended
from orchestrator.durable import write_durably

BEGIN = "[//]: # (orchestrator models check: begin)"
END = "[//]: # (orchestrator models check: end)"
"""Lines that no renderer of Markdown shows (CommonMark 4.7); an HTML comment is text where raw HTML is refused."""

TAKEN = {
    Geometry.VOLUME: "one regular volume",
    Geometry.STACK: "a stack of slices",
    Geometry.IMAGE: "images one by one",
}


def check_card(path: Path | None) -> None:
    """Return where a card can be written to this file, before work is done for it.

    Raises UserError where a file of that name has no place for what the host writes, or there is no such folder.
    """
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.parent} for {path.name}")
    if path.exists():
        _around(path)


def write_card(path: Path, report: Report) -> None:
    """Write the card; of a file that is there only what stands between its two marks changes.

    Raises UserError.
    """
    if path.exists():
        before, after = _around(path)
        text = before + _rendered("checked", report) + after
    else:
        text = _rendered("card", report)
    write_durably(path, text.encode(), mode=0o666)


def _around(path: Path) -> tuple[str, str]:
    """Return what people wrote before and behind the marks."""
    try:
        lines = path.read_bytes().decode().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"{path} cannot be read as a model card: {fault}") from None
    bare = [line.strip() for line in lines]
    if bare.count(BEGIN) != 1 or bare.count(END) != 1 or bare.index(BEGIN) > bare.index(END):
        raise UserError(
            f"{path} is there already, and nothing says where in it the check belongs; nothing was changed. "
            f"Give it these two lines, blank lines around each:\n{BEGIN}\n{END}"
        )
    return "".join(lines[: bare.index(BEGIN)]), "".join(lines[bare.index(END) + 1 :])


def _rendered(template: str, report: Report) -> str:
    templates = Environment(  # noqa: S701 - what is written is Markdown; ``cell`` makes text safe in its tables
        loader=PackageLoader("orchestrator.app", "templates/card"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(cell=_cell, meant_for=_meant_for, takes=_takes)
    counts = Counter(clause.mark for clause in report.clauses)
    return templates.get_template(f"{template}.md.jinja").render(
        report=report,
        model=report.model,
        counts=", ".join(f"{counts[mark]} {mark}" for mark in Mark),
        host=f"radiology-orchestrator {orchestrator.__version__}",
        machine=f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        begin=BEGIN,
        end=END,
    )


def _cell(text: object) -> str:
    """Return text that stays in its cell of a table."""
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", "&lt;")


def _meant_for(intended: Intended) -> str:
    """Return whom the model is for, in words; what is not restricted is said too."""
    low, high = intended.minimum_age_years, intended.maximum_age_years
    ages = [f"from {low:g}" if low is not None else "", f"up to {high:g}" if high is not None else ""]
    told = {
        "modality": ", ".join(intended.modality),
        "body part": ", ".join(intended.body_part),
        "sex": ", ".join(intended.sex),
        "age in years": " ".join(filter(None, ages)),
        "contrast medium": {None: "", True: "needed", False: "excluded"}[intended.contrast],
    }
    return "; ".join(f"{what}: {value or 'any'}" for what, value in told.items())


def _takes(accepts: Accepts) -> str:
    """Return which input the model can be given, in words."""
    images = "colour" if accepts.colour else "grey values"
    tilt = "taken" if accepts.gantry_tilt else "refused"
    return f"{TAKEN[accepts.geometry]}, at least {accepts.minimum_slices} slice(s), {images}; gantry tilt: {tilt}"


def _processor() -> str:
    """Return the name of the processor; Linux tells it in a file only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
