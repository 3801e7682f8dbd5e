"""What a person does with jobs and results, by command line or page: look, retry, cancel, judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.installation.settings import settings_of
from orchestrator.app.installation.write_options import options_of
from orchestrator.database import database_faults
from orchestrator.dicom import WriteOptions
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import LEAVING, MOVES, JobState
from orchestrator.domain.records import ARRIVED, SETTLED, DeliveryRecord, DeliveryState, JobRecord
from orchestrator.engine import Client
from orchestrator.ledger import Ledger
from orchestrator.pipeline.queueing import queue_job


class Desk:
    """Acts on the ledger for a person; a running service takes up what is queued here."""

    def __init__(
        self,
        ledger: Ledger,
        client: Client,
        *,
        destinations: Mapping[str, WriteOptions] | None = None,
    ) -> None:
        """Act on this ledger; destinations: those in the settings, which a retry delivers to, and what they get."""
        self.ledger = ledger
        self._client = client
        self._destinations = destinations or {}

    def retry(self, key: str, *, by: str) -> JobRecord:
        """Queue a job that ended without a result again, or only its deliveries where it has what they take.

        Notes that reject its result and were given up are sent again, whatever the job's state.
        Raises UnknownRecord, ForbiddenTransition.
        """
        job = self.ledger.jobs.get(key)
        if self._send_notes_again(job):
            return job
        if job.state in LEAVING and self._has_refused_delivery(job):
            if not self._lacks_objects(job):
                return self._deliver_again(job, by=by)
            self._take_back(job)
        if JobState.WAITING not in MOVES[job.state]:
            raise ForbiddenTransition(
                f"job {job.key[:12]} is {job.state}; what can be tried again is failed, parked, held, unsupported "
                "or not-applicable"
            )
        job = self.ledger.jobs.move(job.key, JobState.WAITING, reason=f"tried again by {by}", by=by)
        queue_job(self._client, job)
        return job

    def cancel(self, key: str, *, by: str) -> JobRecord:
        """End a job before it delivers.

        Raises UnknownRecord, ForbiddenTransition.
        """
        job = self.ledger.jobs.get(key)
        if any(row.confirmed_at is not None for row in self.ledger.deliveries.of_job(job.key)):
            raise ForbiddenTransition("this result was delivered; reject it: orchestrator results reject")
        if JobState.FAILED not in MOVES[job.state]:
            raise ForbiddenTransition(f"job {job.key[:12]} is {job.state} and does nothing that could be cancelled")
        return self.ledger.jobs.move(job.key, JobState.FAILED, reason=f"cancelled by {by}", by=by)

    def _send_notes_again(self, job: JobRecord) -> bool:
        """Return whether there were notes that had been given up, to destinations that the settings name."""
        now = datetime.now(UTC)
        parked = [row for row in self.ledger.withdrawals.notes(job.key) if row.state is DeliveryState.PARKED]
        again = [row for row in parked if row.destination in self._destinations]
        for row in again:
            self.ledger.deliveries.move(
                row.job_key, row.destination, DeliveryState.WAITING, next_attempt_at=now, note=row.note
            )
        return bool(again)

    def _has_refused_delivery(self, job: JobRecord) -> bool:
        return any(row.state is DeliveryState.PARKED for row in self.ledger.deliveries.of_job(job.key))

    def _lacks_objects(self, job: JobRecord) -> bool:
        """Return whether it takes another run to have what a destination that refused the result gets by now.

        Its settings were changed since. A result that is anywhere already is never written again: the model
        need not say the same twice.
        """
        rows = self.ledger.deliveries.of_job(job.key)
        if job.state is not JobState.PARKED or any(row.sent_at or row.state in ARRIVED for row in rows):
            return False
        written = {(item.form, item.kind) for item in self.ledger.objects.of_all_forms(job.key)}
        refused = [row.destination for row in rows if row.state is DeliveryState.PARKED]
        return any(not self._destinations[name].is_met_by(written) for name in refused if name in self._destinations)

    def _take_back(self, job: JobRecord) -> None:
        """Let go of the deliveries that were given up; those of the result that is written again take their place."""
        for row in self.ledger.deliveries.of_job(job.key):
            if row.state is DeliveryState.PARKED:
                error = "the settings changed: the result is written again"
                self.ledger.deliveries.move(job.key, row.destination, DeliveryState.DISCARDED, error=error)

    def _deliver_again(self, job: JobRecord, *, by: str) -> JobRecord:
        """Queue the deliveries that were given up, to the destinations that the settings name now."""
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
            self.ledger.withdrawals.follow_up(
                job.key
            )  # where no newer result comes any more, the older one is rejected too
        return after

    def _discard(self, row: DeliveryRecord) -> None:
        """Let go of a delivery to a destination that the settings name no more, unless it arrived there."""
        if row.state not in ARRIVED:
            error = f"destination {row.destination!r} is not in the settings any more"
            self.ledger.deliveries.move(row.job_key, row.destination, DeliveryState.DISCARDED, error=error)


@contextmanager
def opened(path: Path | None) -> Iterator[Desk]:
    """Open the ledger that the settings name and give a desk over it."""
    settings = settings_of(path)
    with (
        database_faults(),
        closing(ledger_of(settings)) as ledger,
        closing(Client(settings.data.database)) as client,
    ):
        yield Desk(
            ledger,
            client,
            destinations=options_of(settings),
        )
