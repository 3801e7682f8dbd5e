"""What came of each series and model, in the shape that ``run --json`` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState, JobRecord, ObjectRecord, SeriesRecord
from orchestrator.jobs import Ledger

UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One (series, model), or one series that matched nothing (``model`` is None)."""

    series: str
    study: str
    modality: str
    model: str | None
    version: str
    rule: str | None
    outcome: str
    reason: str = ""
    device: str = ""
    key: str = ""
    objects: tuple[ObjectRecord, ...] = ()
    measurements: tuple[Mapping[str, object], ...] = ()
    findings: tuple[Mapping[str, object], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self, output: Path | None = None) -> dict[str, object]:
        """Return the JSON object of interface ``run --json``; paths are those under ``output``."""
        return {
            "series": self.series,
            "model": self.model,
            "version": self.version,
            "rule": self.rule,
            "outcome": self.outcome,
            "reason": self.reason,
            "device": self.device,
            "objects": [
                {"kind": item.kind.value, "uid": item.sop_uid, "path": str(self._path(item, output))}
                for item in self.objects
            ],
            "measurements": [dict(item) for item in self.measurements],
            "findings": [dict(item) for item in self.findings],
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }

    @staticmethod
    def _path(item: ObjectRecord, output: Path | None) -> Path:
        if output is None:
            return item.path
        return output / item.study_uid / item.series_uid / f"{item.sop_uid}.dcm"


def outcomes(ledger: Ledger, series_uid: str) -> Iterator[Outcome]:
    """Yield what came of the newest revision of a series, job by job."""
    series = ledger.series(series_uid)
    if series is None:
        return
    jobs = [job for job in ledger.jobs(series_uid=series_uid) if job.revision == series.revision]
    if not jobs:
        yield _without_job(series)
    for job in sorted(jobs, key=lambda job: job.created_at):
        yield _of_job(ledger, series, job)


def _without_job(series: SeriesRecord) -> Outcome:
    return Outcome(
        series=series.series_uid,
        study=series.study_uid,
        modality=series.modality,
        model=None,
        version="",
        rule=None,
        outcome=str(JobState.HELD) if series.matched else UNMATCHED,
        reason="held by a rule" if series.matched else "no rule matched; see: orchestrator rules explain",
    )


def _of_job(ledger: Ledger, series: SeriesRecord, job: JobRecord) -> Outcome:
    sent = any(row.state in {DeliveryState.CONFIRMED, DeliveryState.UNCONFIRMED} for row in ledger.deliveries(job.key))
    return Outcome(
        series=series.series_uid,
        study=series.study_uid,
        modality=series.modality,
        model=job.model,
        version=job.model_version,
        rule=job.rule,
        outcome=job.state.value,
        reason=job.reason,
        device=job.device,
        key=job.key,
        objects=ledger.objects(job.key) if sent else (),
        measurements=job.measurements,
        findings=job.findings,
        seconds=job.seconds,
    )
