"""Retry and cancel: what a person may do with a job, whether by page or command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.domain.errors import ForbiddenTransition, UserError
from orchestrator.domain.job import LEAVING, MOVES, JobState
from orchestrator.domain.records import ARRIVED, SETTLED, DeliveryRecord, DeliveryState, JobRecord
from orchestrator.ledger import Ledger
from orchestrator.pipeline.jobs.queue import queue_job

if TYPE_CHECKING:
    from orchestrator.dicom import WriteOptions
    from orchestrator.engine import Client


def can_retry(ledger: Ledger, job: JobRecord) -> bool:
    """Return whether a retry of the job would do something: run the model, deliver, or send a note."""
    return (
        JobState.WAITING in MOVES[job.state]
        or (job.state in LEAVING and _has_refused_delivery(ledger, job))
        or bool(_refused_notes(ledger, job))
    )


def can_cancel(ledger: Ledger, job: JobRecord) -> bool:
    """Return whether the job can be cancelled: it has not ended, and no destination has confirmed its result."""
    return JobState.FAILED in MOVES[job.state] and not _is_delivered(ledger, job)


class JobControl:
    """Retries and cancels jobs in the ledger; a running service does what is queued here."""

    def __init__(
        self, ledger: Ledger, client: Client, *, destinations: Mapping[str, WriteOptions] | None = None
    ) -> None:
        """Act on this ledger. destinations: those of the settings by name, and the form of the objects they get."""
        self.ledger = ledger
        self._client = client
        self._destinations = destinations or {}

    def retry(self, key: str, *, by: str) -> JobRecord:
        """Queue a job that ended without a result again, or only its deliveries if it has the objects for them.

        A rejection note that a destination refused is sent again, whatever the job's state.
        Raises UnknownRecord, ForbiddenTransition; UserError without a name.
        """
        job = self.ledger.jobs.get(key)
        _check_name(by)
        if self._send_notes_again(job):
            return job
        if job.state in LEAVING and _has_refused_delivery(self.ledger, job):
            if not self._lacks_objects(job):
                return self._deliver_again(job, by=by)
            self._discard_refused(job)
        if JobState.WAITING not in MOVES[job.state]:
            if _refused_notes(self.ledger, job):
                raise ForbiddenTransition(
                    f"the settings no longer name the destinations of the rejection notes of job {job.key[:12]}"
                )
            raise ForbiddenTransition(
                f"job {job.key[:12]} is {job.state}; what can be tried again is failed, parked, held, unsupported "
                "or not-applicable"
            )
        job = self.ledger.jobs.move(job.key, JobState.WAITING, reason=f"tried again by {by}", by=by)
        queue_job(self._client, job)
        return job

    def cancel(self, key: str, *, by: str) -> JobRecord:
        """End a job before it delivers.

        Raises UnknownRecord, ForbiddenTransition; UserError without a name.
        """
        job = self.ledger.jobs.get(key)
        _check_name(by)
        if _is_delivered(self.ledger, job):
            raise ForbiddenTransition("this result was delivered; reject it: orchestrator results reject")
        if not can_cancel(self.ledger, job):
            raise ForbiddenTransition(f"job {job.key[:12]} is {job.state} and does nothing that could be cancelled")
        return self.ledger.jobs.move(job.key, JobState.FAILED, reason=f"cancelled by {by}", by=by)

    def _send_notes_again(self, job: JobRecord) -> bool:
        """Return whether there were refused notes to destinations that the settings name; they are due now."""
        now = datetime.now(UTC)
        notes = [row for row in _refused_notes(self.ledger, job) if row.destination in self._destinations]
        for row in notes:
            self.ledger.deliveries.move(
                row.job_key, row.destination, DeliveryState.WAITING, next_attempt_at=now, note=row.note
            )
        return bool(notes)

    def _lacks_objects(self, job: JobRecord) -> bool:
        """Return whether the job must run again because a destination's settings ask for other objects now.

        A result that reached any destination is never written again: the model might say something else.
        """
        rows = self.ledger.deliveries.of_job(job.key)
        if job.state is not JobState.PARKED or any(row.sent_at or row.state in ARRIVED for row in rows):
            return False
        written = {(item.form, item.kind) for item in self.ledger.objects.of_all_forms(job.key)}
        refused = [row.destination for row in rows if row.state is DeliveryState.PARKED]
        return any(not self._destinations[name].is_met_by(written) for name in refused if name in self._destinations)

    def _discard_refused(self, job: JobRecord) -> None:
        """Discard the refused deliveries; those of the result that is written again replace them."""
        for row in self.ledger.deliveries.of_job(job.key):
            if row.state is DeliveryState.PARKED:
                error = "the settings changed: the result is written again"
                self.ledger.deliveries.move(job.key, row.destination, DeliveryState.DISCARDED, error=error)

    def _deliver_again(self, job: JobRecord, *, by: str) -> JobRecord:
        """Make the refused deliveries due now, to the destinations that the settings name now."""
        reason = f"delivery tried again by {by}"
        after = self.ledger.jobs.move(job.key, JobState.DELIVERING, reason=reason, by=by)
        now = datetime.now(UTC)
        for row in self.ledger.deliveries.of_job(job.key):
            if row.destination not in self._destinations:
                self._discard(row)
            elif row.state is DeliveryState.PARKED:
                self.ledger.deliveries.move(job.key, row.destination, DeliveryState.WAITING, next_attempt_at=now)
        for name in self._destinations:
            self.ledger.deliveries.add(job.key, name)
        if all(row.state in SETTLED for row in self.ledger.deliveries.of_job(job.key)):
            after = self.ledger.jobs.move(job.key, JobState.DONE, reason="no further destination is set", by=by)
            self.ledger.withdrawals.follow_up(job.key)  # where no newer result follows, the older one is rejected too
        return after

    def _discard(self, row: DeliveryRecord) -> None:
        """Discard a delivery to a destination that the settings no longer name, unless it arrived there."""
        if row.state not in ARRIVED:
            error = f"destination {row.destination!r} is not in the settings any more"
            self.ledger.deliveries.move(row.job_key, row.destination, DeliveryState.DISCARDED, error=error)


def _check_name(by: str) -> None:
    if not by.strip():
        raise UserError("to retry or cancel a job needs the name of the person")


def _refused_notes(ledger: Ledger, job: JobRecord) -> list[DeliveryRecord]:
    return [row for row in ledger.withdrawals.notes(job.key) if row.state is DeliveryState.PARKED]


def _has_refused_delivery(ledger: Ledger, job: JobRecord) -> bool:
    return any(row.state is DeliveryState.PARKED for row in ledger.deliveries.of_job(job.key))


def _is_delivered(ledger: Ledger, job: JobRecord) -> bool:
    return any(row.confirmed_at is not None for row in ledger.deliveries.of_job(job.key))
