"""Retention: deletes the files of old, finished series and results. Their records stay in the ledger."""

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
FINISHED = frozenset({JobState.DONE, JobState.SUPERSEDED, JobState.NOT_APPLICABLE, JobState.UNSUPPORTED})
"""Jobs in these states need no files any more. Others (failed, parked, held) may be retried and keep theirs."""


def make_room(ledger: Ledger, spool: Spool, outbox: Path, retain_days: int, *, now: float | None = None) -> int:
    """Delete the files of finished series and results older than ``retain_days``; return their number.

    now: seconds since 1970; default: the current time.
    """
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
    for folder, time_stored in newest.items():
        if time_stored < before and _is_finished(ledger, series[folder]):
            yield folder


def _is_finished(ledger: Ledger, series_uid: str) -> bool:
    record = ledger.series.find(series_uid)
    if record is None or record.state is not SeriesState.RELEASED:
        return False
    return all(job.state in FINISHED for job in ledger.jobs.search(series_uid=series_uid))


def _old_results(ledger: Ledger, outbox: Path, before: float) -> Iterator[Path]:
    for folder in outbox.iterdir() if outbox.is_dir() else ():
        try:
            job = ledger.jobs.get(folder.name)
        except UnknownRecord:
            continue
        if folder.stat().st_mtime < before and job.state in FINISHED:
            yield folder
