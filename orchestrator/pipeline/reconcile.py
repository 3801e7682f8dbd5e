"""What is looked after every few seconds, so that nothing is ever stuck in silence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.records import DeliveryRecord, DeliveryState
from orchestrator.engine import Engine, FlowState, FlowStatus
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery import Delivery
from orchestrator.pipeline.queueing import queue_job
from orchestrator.worker import Workers

log = logging.getLogger(__name__)

CARE_SECONDS = 5.0
DIED = "its process died each time it was tried; the log may tell why"
UNTOLD = "it ended and could not say how, as on a full disk; the log may tell why; try it again"


@dataclass(frozen=True, slots=True)
class Care:
    """Brings the ledger and the engine together again where a crash or a full disk parted them."""

    ledger: Ledger
    engine: Engine
    delivery: Delivery
    workers: Workers
    idle_seconds: float

    @property
    def beats(self) -> tuple[Callable[[], object], ...]:
        """What to call again and again; one that raises stops no other."""
        return (
            self.engine.adopt,
            self.park_killers,
            self.queue_waiting,
            self.end_untold_jobs,
            self.repeat_untold_deliveries,
            self.rest_models,
        )

    def park_killers(self) -> None:
        """Give what ends its process each time a state that people see."""
        for flow in self.engine.parked():
            with suppress(UnknownRecord, ForbiddenTransition):  # of another ledger, or moved on meanwhile
                self._park(flow)

    def queue_waiting(self) -> None:
        """Queue the jobs that wait and were overlooked."""
        for job in self.ledger.jobs.search(states=(JobState.WAITING,), limit=1000):
            queue_job(self.engine, job)

    def end_untold_jobs(self) -> None:
        """End the jobs that are under way by their record and whose flow has ended without saying how."""
        for job in self.ledger.jobs.search(states=(JobState.RUNNING, JobState.DELIVERING), limit=1000):
            if not self.ledger.deliveries.of_job(job.key) and self._flow_has_ended("infer", job.key):
                now = self.ledger.jobs.get(job.key)  # the flow's last word may have come just before its end
                if now.state is job.state and not self.ledger.deliveries.of_job(job.key):
                    self.ledger.jobs.move(job.key, JobState.FAILED, reason=UNTOLD)

    def repeat_untold_deliveries(self) -> None:
        """Repeat the attempts to deliver that ended without saying how."""
        for row in self.ledger.deliveries.sending():
            if self._has_ended(row, row.attempts) and self._now(row) == row:
                self.delivery.wait(row, UNTOLD, row.attempts)
        for row in self.ledger.deliveries.due(datetime.now(UTC) - timedelta(seconds=CARE_SECONDS)):
            if self._has_ended(row, row.attempts + 1) and self._now(row) == row:
                self.engine.again("deliver", self.delivery.attempt_key(row, row.attempts + 1))

    def rest_models(self) -> None:
        """End the processes of models that were not used for a while."""
        self.workers.rest_idle(self.idle_seconds)

    def _park(self, flow: FlowStatus) -> None:
        if flow.flow == "infer" and self.ledger.jobs.get(flow.key).state not in ENDED:
            self.ledger.jobs.move(flow.key, JobState.PARKED, reason=DIED)
        if flow.flow == "deliver":
            job_key, destination, attempt, note = self.delivery.parts_of(flow.key)
            row = self.ledger.deliveries.get(job_key, destination, note)
            if _is_at(row, attempt):
                self.delivery.park(row, DIED, attempt)

    def _has_ended(self, row: DeliveryRecord, attempt: int) -> bool:
        return self._flow_has_ended("deliver", self.delivery.attempt_key(row, attempt))

    def _flow_has_ended(self, flow: str, key: str) -> bool:
        status = self.engine.status(flow, key)
        return status is not None and status.ended and status.state is not FlowState.PARKED

    def _now(self, row: DeliveryRecord) -> DeliveryRecord:
        return self.ledger.deliveries.get(row.job_key, row.destination, row.note)


def _is_at(row: DeliveryRecord, attempt: int) -> bool:
    """True where this attempt is the one in hand, and no later one was made since."""
    begun = row.state is DeliveryState.SENDING and row.attempts == attempt
    return begun or (row.state is DeliveryState.WAITING and row.attempts + 1 == attempt)
