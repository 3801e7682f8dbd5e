"""Runs one model on every series of a folder, with a picture of each result (``orchestrator models try``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.batch import run
from orchestrator.app.batch.outcome import Outcome
from orchestrator.app.installation.connections import start_workers
from orchestrator.config import Settings
from orchestrator.dicom import Overlay
from orchestrator.ledger import Ledger

RULE = """[[rule]]
name  = "try {name}"
model = "{name}"

[rule.when]
InstanceCount = {{ min = 1 }}
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """The results of a trial and their pictures."""

    report: run.RunReport
    pictures: tuple[Path, ...]


def try_model(
    name: str,
    source: Path,
    output: Path,
    settings: Settings,
    *,
    progress: Callable[[run.Progress], None] = lambda _: None,
) -> Trial:
    """Run the model on each series in ``source``; objects and pictures are written below ``output``.

    Raises UserError, before anything is written, for a model that is unknown or refused.
    """
    with closing(start_workers(settings)) as workers:
        workers.catalogue_entry(name)
    rules = output / run.STATE_FOLDER / "try.toml"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text(RULE.format(name=name))
    effective = run.with_folders(settings, rules=rules, models=(), plugins=())
    report = run.run(source, output, effective, progress=progress)
    with closing(Ledger.open(run.settings_for(output, settings).data.database)) as ledger:
        return Trial(report, tuple(_pictures(ledger, report.outcomes, output)))


def _pictures(ledger: Ledger, outcomes: tuple[Outcome, ...], output: Path) -> Iterator[Path]:
    for item in outcomes:
        if item.objects:
            overlay = overlay_of(ledger, item)
            path = output / f"{item.model}-{item.series}.png"
            path.write_bytes(overlay.png(overlay.best_slice, size=768))
            yield path


def overlay_of(ledger: Ledger, item: Outcome) -> Overlay:
    """Return the overlay of an outcome with objects."""
    job = ledger.jobs.get(item.key)
    sources = [row.path for row in ledger.series.instances(job.series_uid, job.revision) if row.is_read]
    return Overlay.open(sources, [written.path for written in item.objects])
