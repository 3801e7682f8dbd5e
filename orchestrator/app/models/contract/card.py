"""Writes a model card with the facts and measurements of the host, and space for text of people."""

from __future__ import annotations

import os
import platform
from collections import Counter
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import orchestrator
from orchestrator.app.models.contract.clause import ContractReport, Mark
from orchestrator.domain.errors import UserError
from orchestrator.domain.model import Accepts, Geometry, Intended
from orchestrator.domain.unit import shown_unit
from orchestrator.durable import write_durably

BEGIN = "[//]: # (orchestrator models check: begin)"
END = "[//]: # (orchestrator models check: end)"
"""Lines that Markdown never renders (CommonMark 4.7); HTML comments appear as text where raw HTML is off."""

GEOMETRY_TEXTS = {
    Geometry.VOLUME: "one regular volume",
    Geometry.STACK: "a stack of slices",
    Geometry.IMAGE: "images one by one",
}


def check_card(path: Path | None) -> None:
    """Return if a card can be written to this file; called before the work starts.

    Raises UserError if the file exists without the two marker lines, or if its folder is missing.
    """
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.parent} for {path.name}")
    if path.exists():
        _split(path)


def write_card(path: Path, report: ContractReport) -> None:
    """Write the card; in an existing file only the text between the two marker lines changes.

    Raises UserError.
    """
    if path.exists():
        before, after = _split(path)
        text = before + _render("checked", report) + after
    else:
        text = _render("card", report)
    write_durably(path, text.encode(), mode=0o644)


def _split(path: Path) -> tuple[str, str]:
    """Return the text before and after the marker lines."""
    try:
        lines = path.read_bytes().decode().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"{path} cannot be read as a model card: {fault}") from None
    bare = [line.strip() for line in lines]
    if bare.count(BEGIN) != 1 or bare.count(END) != 1 or bare.index(BEGIN) > bare.index(END):
        raise UserError(
            f"{path} exists and has no marker lines for the check; nothing was changed. "
            f"Add these two lines, each between blank lines:\n{BEGIN}\n{END}"
        )
    return "".join(lines[: bare.index(BEGIN)]), "".join(lines[bare.index(END) + 1 :])


def _render(template: str, report: ContractReport) -> str:
    templates = Environment(  # noqa: S701 - the output is Markdown; ``cell`` makes text safe in its tables
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
    """Return the text in a form that fits into a table cell."""
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", "&lt;")


def _meant_for(intended: Intended) -> str:
    """Return the intended patients and images in words, unrestricted values too."""
    low, high = intended.minimum_age_years, intended.maximum_age_years
    ages = [f"from {low:g}" if low is not None else "", f"up to {high:g}" if high is not None else ""]
    values = {
        "modality": ", ".join(intended.modality),
        "body part": ", ".join(intended.body_part),
        "sex": ", ".join(intended.sex),
        "age in years": " ".join(filter(None, ages)),
        "contrast medium": {None: "", True: "needed", False: "excluded"}[intended.contrast],
    }
    return "; ".join(f"{what}: {value or 'any'}" for what, value in values.items())


def _takes(accepts: Accepts) -> str:
    """Return the accepted input in words."""
    images = "colour" if accepts.colour else "grey values"
    tilt = "taken" if accepts.gantry_tilt else "refused"
    units = " or ".join(shown_unit(unit) or "1" for unit in accepts.unit) or "HU for CT, else any"
    slices = f"{GEOMETRY_TEXTS[accepts.geometry]}, at least {accepts.minimum_slices} slice(s)"
    return f"{slices}, {images}; gantry tilt: {tilt}; unit: {units}"


def _processor() -> str:
    """Return the name of the processor; on Linux only a file has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
