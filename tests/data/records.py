"""Builders of the ledger's records; whatever a test does not care about has a plain value."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.domain.job import Priority
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord, ReviewRecord, SeriesRecord, SeriesState
from orchestrator.domain.review import ReviewState
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger

NOON = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
STUDY = "1.2.826.0.1.1"
SERIES = "1.2.826.0.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def series_record(**changes: Any) -> SeriesRecord:
    """Return an open series of two instances, first seen at noon."""
    record = SeriesRecord(
        series_uid=SERIES,
        revision=1,
        study_uid=STUDY,
        state=SeriesState.OPEN,
        instance_count=2,
        digest="5e" * 32,
        source="pacs",
        modality="CT",
        first_seen=NOON,
    )
    return replace(record, **changes)


def instances(count: int = 2) -> tuple[Instance, ...]:
    """Return instances of the series."""
    return tuple(
        Instance(STUDY, SERIES, f"{SERIES}.{number}", CT, Path(f"/spool/{number}.dcm"), digest=f"{number:064x}")
        for number in range(1, count + 1)
    )


def key_of(name: str) -> str:
    """Return the job key that belongs to a name, 64 hex digits."""
    return hashlib.sha256(name.encode()).hexdigest()


def job_record(name: str = "job", **changes: Any) -> JobRecord:
    """Return a waiting routine job of the series, created at noon."""
    record = JobRecord(
        key=key_of(name),
        series_uid=SERIES,
        revision=1,
        study_uid=STUDY,
        model="bone-volume",
        model_version="1.0",
        model_digest="d1" * 32,
        rule="ct",
        priority=Priority.ROUTINE,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(record, **changes)


def object_record(name: str = "seg", job: str = "job", **changes: Any) -> ObjectRecord:
    """Return a SEG of the job."""
    record = ObjectRecord(
        sop_uid=f"2.25.{int(key_of(name)[:12], 16)}",
        job_key=key_of(job),
        kind=ObjectKind.SEG,
        sop_class=SEG,
        series_uid="2.25.1",
        study_uid=STUDY,
        path=Path(f"/outbox/{name}.dcm"),
        sha256=key_of(f"bytes of {name}"),
    )
    return replace(record, **changes)


def verdict(state: ReviewState, job: str = "job", **changes: Any) -> ReviewRecord:
    """Return a verdict on the job's result by Dr Roentgen."""
    record = ReviewRecord(job_key=key_of(job), state=state, by="Dr Roentgen", organization="Radiology", at=NOON)
    return replace(record, **changes)


def add_jobs(ledger: Ledger, *records: JobRecord) -> None:
    """Put the series and the jobs into the ledger."""
    for record in records:
        ledger.series.put(series_record(series_uid=record.series_uid, revision=record.revision), ())
        assert ledger.jobs.add(record)


def add_results(ledger: Ledger, names: Sequence[str] = ("job",), **changes: Any) -> None:
    """Put jobs with a pending review into the ledger."""
    for name in names:
        add_jobs(ledger, job_record(name, **changes))
        ledger.reviews.open(key_of(name), NOON)
