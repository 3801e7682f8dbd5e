"""The outcome of each series and model, in the form that ``run --json`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import InputFault
from orchestrator.domain.images import NOT_COUNTED, ImageCount, LeftOut
from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryState, JobRecord, ObjectRecord, SeriesRecord
from orchestrator.ledger import Ledger

UNMATCHED = "unmatched"
STAGES = ("complete", "read", "infer", "write", "deliver")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one model on one series. model: None if no rule matched the series or a rule held it.

    why: the conditions of the rule and the values that satisfied them; identifying values are hidden.
    images: how many instances of the series came and were read, and why the others were left out.
    """

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
    why: str = ""
    objects: tuple[ObjectRecord, ...] = ()
    measurements: tuple[Mapping[str, object], ...] = ()
    findings: tuple[Mapping[str, object], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    images: ImageCount = NOT_COUNTED

    def to_json(self, output: Path | None = None) -> dict[str, object]:
        """Return the JSON object of ``run --json``. Paths of objects are below ``output``."""
        return {
            "series": self.series,
            "model": self.model,
            "version": self.version,
            "rule": self.rule,
            "outcome": self.outcome,
            "reason": self.reason,
            "device": self.device,
            "images": self.images.to_json(),
            "objects": [
                {"kind": item.kind.value, "uid": item.sop_uid, "path": str(self.path_of(item, output))}
                for item in self.objects
            ],
            "measurements": [dict(item) for item in self.measurements],
            "findings": [dict(item) for item in self.findings],
            "seconds": {name: round(self.seconds[name], 4) for name in STAGES if name in self.seconds},
        }

    @staticmethod
    def path_of(item: ObjectRecord, output: Path | None) -> Path:
        """Return the path of an object: below ``output``, or in the outbox if that is None."""
        if output is None:
            return item.path
        return output / item.study_uid / item.series_uid / f"{item.sop_uid}.dcm"


def outcomes(ledger: Ledger, series_uid: str) -> Iterator[Outcome]:
    """Yield the outcomes of the newest revision of a series: of each model that the rules name now, the newest job.

    Jobs of an earlier run with other rules or an earlier model version are left out.
    """
    series = ledger.series.find(series_uid)
    if series is None or not series.explanation:
        return  # routing failed
    explanation = json.loads(series.explanation)
    models = {model for rule in explanation["rules"] if rule["matched"] for model in rule["models"]}
    jobs = sorted(ledger.jobs.search(series_uid=series_uid), key=lambda job: job.created_at)
    newest = {job.model: job for job in jobs if job.revision == series.revision and job.model in models}
    unread = _unread(ledger, series)
    if not newest:
        yield _without_job(series, explanation, unread)
    for job in newest.values():
        yield _of_job(ledger, series, job, ImageCount.from_json(job.images) if job.images else unread)


def with_fault(outcome: Outcome, fault: str) -> Outcome:
    """Return the outcome of a series of which no file can be read with the fault of the first one."""
    is_unreadable = outcome.model is None and outcome.outcome == JobState.UNSUPPORTED
    return replace(outcome, reason=f"{outcome.reason}: the first {fault}") if is_unreadable and fault else outcome


def _unread(ledger: Ledger, series: SeriesRecord) -> ImageCount:
    """Return the count of a series of which no model read an image."""
    rows = ledger.series.instances(series.series_uid, series.revision)
    return ImageCount(len(rows), 0, {row.sop_uid: row.left_out for row in rows if row.left_out is not None})


def _without_job(series: SeriesRecord, explanation: Mapping[str, Any], images: ImageCount) -> Outcome:
    hold = next((rule["rule"] for rule in explanation["rules"] if rule["matched"] and rule["hold"]), None)
    reason = explanation["refused"] or "no rule matched; see: orchestrator rules explain"
    outcome = UNMATCHED
    if set(images.left_out.values()) == {LeftOut.UNREADABLE} and images.received == len(images.left_out):
        outcome, reason = str(JobState.UNSUPPORTED), f"{InputFault.UNREADABLE}: no file of the series can be read"
    return Outcome(
        series=series.series_uid,
        study=series.study_uid,
        modality=series.modality,
        model=None,
        version="",
        rule=hold,
        outcome=outcome if hold is None else str(JobState.HELD),
        reason=reason if hold is None else f"held by rule {hold!r}",
        images=images,
    )


def _of_job(ledger: Ledger, series: SeriesRecord, job: JobRecord, images: ImageCount) -> Outcome:
    is_delivered = any(
        row.state in {DeliveryState.CONFIRMED, DeliveryState.UNCONFIRMED} for row in ledger.deliveries.of_job(job.key)
    )
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
        why=_why(series.explanation, job.rule),
        objects=ledger.objects.of_job(job.key) if is_delivered else (),
        measurements=job.measurements,
        findings=job.findings,
        seconds=job.seconds,
        images=images,
    )


def _why(explanation: str, rule: str) -> str:
    """Return the satisfied conditions of a rule, each with its value."""
    rules = json.loads(explanation or "{}").get("rules", ())
    clauses = next((each["when"] for each in rules if each["rule"] == rule), ())
    conditions = next((clause for clause in clauses if all(each["satisfied"] for each in clause)), ())
    return ", ".join(f"{each['keyword']} is {' / '.join(map(str, each['found'])) or 'absent'}" for each in conditions)
