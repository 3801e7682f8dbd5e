"""Reconciles ledger and engine so that no job stays stuck; no other module compares the two."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import ENDED, JobState
from orchestrator.engine import Engine, FlowState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.queue import INFER, queue_job

RECONCILE_SECONDS = 5.0
KILLS_PROCESS = "the process ended during each attempt; see the log, then retry"
NO_RESULT = "The job ended without recording a result (disk full?). See the log, then retry."
_MOST_JOBS = 1000


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings ledger and engine together again after a crash or a full disk. Each action may be repeated."""

    ledger: Ledger
    engine: Engine

    @property
    def actions(self) -> tuple[Callable[[], object], ...]:
        """What to call every few seconds; an error in one does not stop the others."""
        return (self.engine.adopt, self.park_killers, self.queue_waiting_jobs, self.fail_lost_jobs)

    def park_killers(self) -> None:
        """Park the jobs that ended their process at each attempt."""
        for flow in self.engine.parked():
            with suppress(UnknownRecord, ForbiddenTransition):  # a job of another ledger, or moved meanwhile
                if flow.flow == INFER and self.ledger.jobs.get(flow.key).state not in ENDED:
                    self.ledger.jobs.move(flow.key, JobState.PARKED, reason=KILLS_PROCESS)

    def queue_waiting_jobs(self) -> None:
        """Queue the waiting jobs that are not in the engine's queue."""
        for job in self.ledger.jobs.search(states=(JobState.WAITING,), limit=_MOST_JOBS):
            queue_job(self.engine, job)

    def fail_lost_jobs(self) -> None:
        """Fail the jobs that are running by their record and whose flow ended without recording a result."""
        for job in self.ledger.jobs.search(states=(JobState.RUNNING, JobState.DELIVERING), limit=_MOST_JOBS):
            if not self.ledger.deliveries.of_job(job.key) and self._flow_has_ended(job.key):
                latest = self.ledger.jobs.get(job.key)  # the flow may have recorded its result just before it ended
                if latest.state is job.state and not self.ledger.deliveries.of_job(job.key):
                    self.ledger.jobs.move(job.key, JobState.FAILED, reason=NO_RESULT)

    def _flow_has_ended(self, job_key: str) -> bool:
        status = self.engine.status(INFER, job_key)
        return status is not None and status.ended and status.state is not FlowState.PARKED
