"""Makes room: files of series and results that are settled and old leave the disk, their records stay."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.archive import Spool
from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.job import JobState
from orchestrator.domain.records import SeriesState
from orchestrator.ledger import Ledger

DAY_SECONDS = 86_400.0
SETTLED = frozenset({JobState.DONE, JobState.SUPERSEDED, JobState.NOT_APPLICABLE, JobState.UNSUPPORTED})
"""What a person may still want to retry (failed, parked, held) keeps its files."""


def make_room(ledger: Ledger, spool: Spool, outbox: Path, retain_days: int, *, now: float | None = None) -> int:
    """Return how many series and results lost their files: older than ``retain_days`` and settled."""
    before = (time.time() if now is None else now) - retain_days * DAY_SECONDS
    old = [*_old_series(ledger, spool, before), *_old_results(ledger, outbox, before)]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _old_series(ledger: Ledger, spool: Spool, before: float) -> Iterator[Path]:
    newest: dict[Path, float] = {}
    series: dict[Path, str] = {}
    for file in spool.scan():
        folder = file.path.parent
        series[folder] = file.series_uid
        newest[folder] = max(newest.get(folder, 0.0), file.filed_ns / 1e9)
    for folder, filed in newest.items():
        if filed < before and _is_settled(ledger, series[folder]):
            yield folder


def _is_settled(ledger: Ledger, series_uid: str) -> bool:
    record = ledger.series.find(series_uid)
    if record is None or record.state is not SeriesState.RELEASED:
        return False
    return all(job.state in SETTLED for job in ledger.jobs.search(series_uid=series_uid))


def _old_results(ledger: Ledger, outbox: Path, before: float) -> Iterator[Path]:
    for folder in outbox.iterdir() if outbox.is_dir() else ():
        try:
            job = ledger.jobs.get(folder.name)
        except UnknownRecord:
            continue
        if folder.stat().st_mtime < before and job.state in SETTLED:
            yield folder
