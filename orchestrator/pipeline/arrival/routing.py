"""Which models a revision of a series goes to: rules become jobs, and every decision is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from orchestrator.dicom import gather
from orchestrator.domain.images import LeftOut
from orchestrator.domain.job import JobState, Priority, Purpose, job_key
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.ports import Observers, Runner
from orchestrator.domain.records import JobRecord, SeriesRecord, SeriesState
from orchestrator.domain.series import Headers, Instance, Series, series_digest
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.facts import facts_of_series
from orchestrator.pipeline.arrival.patients import find_other_patient
from orchestrator.pipeline.folders import Folders
from orchestrator.pipeline.jobs.queue import queue_job, unused_key
from orchestrator.rules import Match, RuleSet, select_ledger_facts

UNDELIVERED = frozenset(JobState) - {JobState.DONE, JobState.SUPERSEDED}


class Routing:
    """Turns complete series into ledger rows and queued jobs; every call may be repeated after a crash."""

    def __init__(
        self,
        ledger: Ledger,
        client: Client,
        *,
        runner: Runner,
        rules: Callable[[], RuleSet],
        folders: Folders,
        observers: Observers,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._runner = runner
        self._rules = rules
        self._folders = folders
        self._observers = observers

    def admit(
        self,
        instances: Collection[Instance],
        *,
        source: str,
        host_facts: Headers,
        reason: str,
        only_rule: str = "",
    ) -> SeriesRecord:
        """Return the record of the revision that these instances make; new content is a new revision.

        Its jobs are queued and its explanation is kept. Nothing leaves before ``release``.
        only_rule: the rule that a backfill works off; no other counts then, and live work goes first.
        """
        series_uid = next(iter(instances)).series_uid
        newest, digest = self._ledger.series.find(series_uid), series_digest(instances)
        if newest is not None and newest.state is not SeriesState.SUPERSEDED and newest.digest == digest:
            record, series = newest, gather(tuple(instances), revision=newest.revision, host_facts=host_facts)
        else:
            revision = newest.revision + 1 if newest is not None else 1
            series = gather(tuple(instances), revision=revision, host_facts=host_facts)
            record = self._record(series, source=source, reason=reason)
            if self._ledger.series.put(record, series.instances):
                self._record_left_out(series)
            if newest is not None:
                self.supersede(newest)
        self._route(series, only_rule)
        return record

    def release(self, series_uid: str, revision: int, reason: str) -> None:
        """Let the results of this revision leave."""
        now = datetime.now(UTC)
        self._ledger.series.move(series_uid, revision, SeriesState.RELEASED, complete_by=reason, at=now)
        self._ledger.deliveries.release(series_uid, revision, now)

    def supersede(self, older: SeriesRecord) -> None:
        """End what is not delivered of an older revision; what is delivered is flagged as stale."""
        ledger = self._ledger
        for job in ledger.jobs.search(series_uid=older.series_uid):
            if job.revision > older.revision:
                continue
            if job.state in UNDELIVERED:
                ledger.jobs.move(job.key, JobState.SUPERSEDED, reason="the series changed before the result left")
                self._folders.clear_scratch(job.key)
            elif job.state is JobState.DONE:
                ledger.events.record("result-stale", job.key, "the series changed after the result was delivered")
        ledger.series.move(older.series_uid, older.revision, SeriesState.SUPERSEDED)

    def _record(self, series: Series, *, source: str, reason: str) -> SeriesRecord:
        modality = series.facts.get("Modality", ("",))
        return SeriesRecord(
            series_uid=series.series_uid,
            revision=series.revision,
            study_uid=series.study_uid,
            state=SeriesState.STARTED,
            instance_count=len(series.instances),
            digest=series_digest(series.instances),
            source=source,
            modality=str(modality[0]) if modality else "",
            complete_by=reason,
            first_seen=datetime.now(UTC),
        )

    def _record_left_out(self, series: Series) -> None:
        count = series.count
        if count.left_out:
            kind = "uid-shared" if LeftOut.SHARED_UID in count.left_out.values() else "images-left-out"
            text = f"revision {series.revision}: {count.left_out_sentence}"
            self._ledger.events.record(kind, series.series_uid, text)

    def _route(self, series: Series, only_rule: str) -> None:
        facts = facts_of_series(
            series, plugin_facts=self._observers.series_facts, own_objects=self._ledger.objects.known
        )
        rules = self._rules()
        matches = rules.match(facts)
        if only_rule:
            matches = tuple(replace(match, priority=Priority.BACKFILL) for match in matches if match.rule == only_rule)
        explanation = rules.explain(facts)
        self._ledger.series.explain(
            series.series_uid,
            series.revision,
            matched=bool(matches),
            explanation=explanation.to_json(hide_identity=True),
            facts=select_ledger_facts(facts),
        )
        hold = self._hold_of_study(series) if matches else ""
        for job in self._jobs(series, matches, hold):
            self._ledger.jobs.add(job)
            if self._ledger.jobs.get(job.key).state is JobState.WAITING:
                queue_job(self._client, job)

    def _hold_of_study(self, series: Series) -> str:
        """Return why the jobs of the series must wait for a person, empty where nothing speaks against them."""
        found = find_other_patient(self._ledger, series)
        if found is None:
            return ""
        other, keyword = found
        reason = f"series {other} of the same study names another patient ({keyword} differs)"
        self._ledger.events.record("study-of-two-patients", series.series_uid, reason)
        return f"{reason}; correct the patient at the sender and send again, or run it anyway: orchestrator jobs retry"

    def _jobs(self, series: Series, matches: Collection[Match], hold: str) -> Iterator[JobRecord]:
        """Yield one job for each model; where two rules name a model, the more urgent one counts."""
        models = self._runner.models()
        chosen: dict[str, Match] = {}
        for match in sorted(matches, key=lambda match: match.priority.rank):
            for name in match.models:
                chosen.setdefault(name, match)
        for name, match in chosen.items():
            yield self._job(series, match, name, models.get(name), hold)

    def _job(self, series: Series, match: Match, name: str, model: ModelDescription | None, hold: str) -> JobRecord:
        now = datetime.now(UTC)
        state, reason = JobState.WAITING, ""
        if match.hold:
            state, reason = JobState.HELD, f"held by rule {match.held_by!r}"
        elif model is None:
            state, reason = JobState.FAILED, f"model {name!r} is not installed here; see: orchestrator models list"
        elif hold:
            state, reason = JobState.HELD, hold
        described = model or ModelDescription(name=name, version="", digest="")
        return JobRecord(
            key=unused_key(self._ledger, job_key(series.instances, described, Purpose.LIVE)),
            series_uid=series.series_uid,
            revision=series.revision,
            study_uid=series.study_uid,
            model=name,
            model_version=described.version,
            model_digest=described.digest,
            rule=match.rule,
            priority=match.priority,
            state=state,
            reason=reason,
            created_at=now,
            updated_at=now,
        )
