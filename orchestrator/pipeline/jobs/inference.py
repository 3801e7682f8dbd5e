"""The path of a series through a model: infer, write, hand over. Read from top to bottom.

``infer`` is a durable flow. After a kill it continues after its last finished step, and an interrupted step runs
again. So every step can be repeated: keys, UIDs and bytes are derived from the input.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.dicom import (
    check_intended,
    fill,
    gather,
    plan,
    store_plugin_objects,
    summarize,
    write_objects,
)
from orchestrator.dicom.read.grid import Grid
from orchestrator.domain.errors import (
    ForbiddenTransition,
    NotApplicable,
    OrchestratorError,
    UnknownRecord,
    UnreadablePixels,
    UnsupportedInput,
    WorkerCrashed,
    WorkerOutOfMemory,
)
from orchestrator.domain.images import LeftOut
from orchestrator.domain.job import ENDED, JobState, job_key
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.ports import Observers, Prediction, Runner
from orchestrator.domain.records import JobRecord, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Series
from orchestrator.domain.volume import Volume
from orchestrator.engine import describe, frames, step
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination, write_options_of
from orchestrator.pipeline.folders import Folders
from orchestrator.pipeline.jobs.outage import through_outages
from orchestrator.pipeline.jobs.queue import unused_key
from orchestrator.pipeline.jobs.source_files import read_source

log = logging.getLogger(__name__)

SERIES_KEPT = 4
"""Series whose headers are kept between the steps of a job, and for the next model on the same series."""


class Inference:
    """The durable flow ``infer``: from the files of a series to DICOM objects in the outbox."""

    def __init__(
        self,
        ledger: Ledger,
        runner: Runner,
        *,
        destinations: Mapping[str, Destination],
        folders: Folders,
        observers: Observers,
    ) -> None:
        self._ledger = ledger
        self._runner = runner
        self._destinations = destinations
        self._folders = folders
        self._observers = observers
        self._series = lru_cache(maxsize=SERIES_KEPT)(self._read_series)

    def __call__(self, key: str) -> None:
        """Run the job's steps. The job always ends in a state with a reason; an outage of the database delays it."""
        job = through_outages(self._begin, key)
        if job is None:
            return
        for name, stage in (("infer", self.infer), ("write", self.write)):
            outcome = step(name, self._outcome, stage, key)
            if outcome is not None:
                through_outages(self._end, key, JobState(outcome["state"]), outcome["reason"])
                return
        through_outages(self.hand_over, key)

    def infer(self, key: str) -> None:
        """Read the series into volumes, run the model on each, keep the results in the scratch folder.

        Images whose pixels cannot be decoded are left out for all models from now on, and the rest is tried again: a
        result on the rest names them, and a volume with a gap is refused.
        """
        job, model = self._job_and_model(key)
        while True:
            try:
                self._infer(key, job, model)
                return
            except UnreadablePixels as fault:
                left_out = self._ledger.series.leave_out
                if not left_out(job.series_uid, job.revision, fault.sop_uids, LeftOut.UNREADABLE):
                    raise
                log.warning("job %s: %s; leaving out %d images", key[:12], fault, len(fault.sop_uids))
                self._series.cache_clear()

    def _infer(self, key: str, job: JobRecord, model: ModelDescription) -> None:
        self._runner.check_device(model.name)
        self._folders.clear_scratch(key)
        read_seconds = infer_seconds = 0.0
        device = ""
        grids = self._grids(job, model)
        for number, grid in enumerate(grids):
            folder = self._folders.part_of(key, number)
            started = time.perf_counter()
            volume = fill(grid, self._runner.allocate(folder, grid.shape, grid.dtype))
            read_seconds += time.perf_counter() - started
            prediction = self._predict(model.name, volume, folder)
            infer_seconds += prediction.seconds
            device = prediction.device
        self._ledger.jobs.annotate(
            key, device=device, seconds={"read": read_seconds, "infer": infer_seconds}, images=grids[0].count.to_json()
        )

    def _predict(self, model: str, volume: Volume, folder: Path) -> Prediction:
        """Return the prediction; if the model process dies, try once more.

        Something else may have ended it (a person, the kernel short of memory). A model that dies by itself dies
        again, and then the attempt fails.
        """
        try:
            return self._runner.predict(model, volume, folder)
        except (WorkerCrashed, WorkerOutOfMemory) as fault:
            log.warning("model %s: %s; retrying once", model, fault)
            return self._runner.predict(model, volume, folder)

    def write(self, key: str) -> None:
        """Write the results as checked DICOM objects into the outbox, in each form, and record them."""
        started = time.perf_counter()
        job, model = self._job_and_model(key)
        kept, folder = self._kept(job, model), self._folders.outbox_of(key)
        extra = self._extra(job, kept)
        predecessors = self._ledger.withdrawals.settle_predecessors(key)
        objects: list[ObjectRecord] = []
        for options in write_options_of(self._destinations.values()):
            earlier = predecessors.get(options.form)
            objects += write_objects(kept, job=job, model=model, folder=folder, options=options, predecessor=earlier)
            objects += store_plugin_objects(extra, grid=kept[0][0], job_key=key, folder=folder, options=options)
        self._ledger.objects.put(key, objects, replace=True)
        summary = summarize(self._ledger.objects.of_job(key))
        self._ledger.jobs.annotate(
            key,
            findings=summary.findings,
            measurements=summary.measurements,
            urgency=summary.urgency,
            seconds={"write": time.perf_counter() - started},
        )

    def _extra(self, job: JobRecord, kept: Sequence[tuple[Grid, Result]]) -> list[Any]:
        """Return what host plugins add to the result, part by part."""
        return [
            dataset
            for grid, result in kept
            for dataset in self._observers.extra_objects(
                job, result, list(dict.fromkeys(frame.path for frame in grid.frames))
            )
        ]

    def hand_over(self, key: str) -> None:
        """Open the review and add the deliveries, which wait for the release of the series. May be repeated."""
        ledger = self._ledger
        self._folders.clear_scratch(key)
        if self._is_held(ledger.jobs.get(key)) or not self._move(key, JobState.DELIVERING):
            return
        ledger.reviews.open(key, datetime.now(UTC))
        for destination in self._destinations:
            ledger.deliveries.add(key, destination)
        if not self._destinations:
            self._move(key, JobState.DONE, "no destination is configured; the objects stay in the outbox")

    def _begin(self, key: str) -> JobRecord | None:
        job = self._ledger.jobs.get(key)
        if job.state in ENDED:
            return None
        model = self._runner.models().get(job.model)
        if model is not None and model.digest != job.model_digest and job.state is not JobState.DELIVERING:
            self._replace(job, model)
            return None
        if job.state is JobState.DELIVERING:
            return job  # killed during the hand-over, which is repeated
        if self._is_held(job):
            return None
        return job if self._move(key, JobState.RUNNING) else None

    def _is_held(self, job: JobRecord) -> bool:
        """Return whether the job is held because its model version was retracted; its result is not delivered."""
        order = self._ledger.withdrawals.find_order(job.model, job.model_version)
        if order is None or job.state is JobState.DELIVERING:  # that far, its deliveries are stopped
            return False
        self._move(job.key, JobState.HELD, order.why_held)
        return True

    def _replace(self, job: JobRecord, model: ModelDescription) -> None:
        """Supersede a job that waited for an earlier version of the model by one for the installed version.

        The model was updated or installed meanwhile. A job key contains the model's digest, so that a result always
        names the model that made it.
        """
        ledger, now = self._ledger, datetime.now(UTC)
        successor = replace(
            job,
            key=unused_key(ledger, job_key(ledger.series.instances(job.series_uid, job.revision), model, job.purpose)),
            model_version=model.version,
            model_digest=model.digest,
            state=JobState.WAITING,
            reason="",
            created_at=now,
            updated_at=now,
        )
        ledger.jobs.add(successor)
        reason = f"the model changed since; job {successor.key[:12]} with version {model.version} takes its place"
        self._move(job.key, JobState.SUPERSEDED, reason)

    def _outcome(self, stage: Callable[[str], None], key: str) -> dict[str, str] | None:
        """Run a stage and return how it ended the job, None where the job goes on.

        Outcomes are values, so that a finished step is remembered with its reason.
        """
        try:
            through_outages(stage, key)
        except NotApplicable as refusal:
            return {"state": JobState.NOT_APPLICABLE, "reason": str(refusal)}
        except UnsupportedInput as refusal:
            return {"state": JobState.UNSUPPORTED, "reason": str(refusal)}
        except OrchestratorError as fault:
            return {"state": JobState.FAILED, "reason": f"{type(fault).__name__}: {fault}"}
        except OSError as fault:
            # A full or failing disk: the reason names the system's error, never a path with a UID of a patient.
            return {"state": JobState.FAILED, "reason": f"the disk did not take the result: {fault.strerror}; retry"}
        except Exception as error:  # noqa: BLE001  # a bug must end in a state that people see
            # without the error's message: it could hold patient data
            log.error("job %s, stage %s: %s\n%s", key[:12], stage.__name__, describe(error), frames(error))
            return {"state": JobState.FAILED, "reason": f"internal error: {describe(error)}; see the log"}
        return None

    def _end(self, key: str, state: JobState, reason: str) -> None:
        self._folders.clear_scratch(key)
        self._move(key, state, reason)

    def _move(self, key: str, state: JobState, reason: str = "") -> bool:
        """Move the job; return False where it has ended meanwhile, as when a newer revision superseded it."""
        try:
            self._ledger.jobs.move(key, state, reason=reason)
        except ForbiddenTransition:
            if self._ledger.jobs.get(key).state in ENDED:
                return False
            raise
        return True

    def _job_and_model(self, key: str) -> tuple[JobRecord, ModelDescription]:
        job = self._ledger.jobs.get(key)
        model = self._runner.models().get(job.model)
        if model is None or model.digest != job.model_digest:
            raise UnknownRecord(
                f"model {job.model} {job.model_version} is not installed here; see: orchestrator plugins; "
                f"then: orchestrator jobs retry {job.key[:12]}"
            )
        return job, model

    def _grids(self, job: JobRecord, model: ModelDescription) -> tuple[Grid, ...]:
        series = self._series(job.series_uid, job.revision)
        if series.images:  # plan refuses a series without
            check_intended(series, model.intended)
        return plan(series, model.accepts)

    def _kept(self, job: JobRecord, model: ModelDescription) -> list[tuple[Grid, Result]]:
        return [
            (grid, _with_notes(self._runner.kept(self._folders.part_of(job.key, number))))
            for number, grid in enumerate(self._grids(job, model))
        ]

    def _read_series(self, series_uid: str, revision: int) -> Series:
        """Return the series, read from its files and checked against the ledger.

        Raises OrchestratorError where a file is not what was received.
        """
        record = self._ledger.series.find(series_uid, revision)
        if record is None:
            raise UnknownRecord(f"no series {series_uid} revision {revision} in the ledger")
        stored = self._ledger.series.instances(series_uid, revision)
        instances = [read_source(row, record) for row in stored]
        mismatches = [row.sop_uid for row, now in zip(stored, instances, strict=True) if row.digest != now.digest]
        if mismatches:
            raise OrchestratorError(
                f"{len(mismatches)} file(s) changed since they were received, first {mismatches[0]}"
            )
        return gather(instances, revision=revision)


def _with_notes(prediction: Prediction) -> Result:
    """Return the result with notes, which the SR states, on where it was computed."""
    return replace(prediction.result, notes={**prediction.notes, "device": prediction.device})
