"""Writes the notes that reject a delivered result: a newer one superseded it, or its model was retracted.

The ledger holds a delivery for each note. The note is written at its first attempt, for the patient whom the archive
names then and about the objects that it holds; from then on each attempt sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from orchestrator.dicom import identity_of, withdraw
from orchestrator.domain.errors import ArchiveRefused, IdentityChanged, SourceMissing, Unconfirmed
from orchestrator.domain.job import JobState
from orchestrator.domain.ports import Searchable
from orchestrator.domain.records import (
    ARRIVED,
    DeliveryRecord,
    DeliveryState,
    JobRecord,
    Note,
    ObjectKind,
    ObjectRecord,
)
from orchestrator.domain.review import ReviewState
from orchestrator.domain.series import Headers, StudyIdentity
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination, reference
from orchestrator.pipeline.folders import Folders

_STATES = {Note.SUPERSEDED: ReviewState.SUPERSEDED, Note.RETRACTED: ReviewState.RETRACTED}


class Withdrawal:
    """Orders and writes rejection notes."""

    def __init__(self, ledger: Ledger, folders: Folders) -> None:
        self._ledger = ledger
        self._folders = folders

    def follow_up(self, job: JobRecord) -> None:
        """Order notes for the results that this job's arrival superseded; repeating it changes nothing."""
        verdict = self._ledger.reviews.newest(job.key)
        if verdict is not None and verdict.state is ReviewState.RETRACTED:
            self._ledger.withdrawals.retract(verdict)  # it was retracted during the delivery
        self._ledger.withdrawals.follow_up(job.key)

    def stop_retracted(self, job: JobRecord) -> bool:
        """Return whether the job's result is retracted, also where it was written while the order was given."""
        ledger = self._ledger
        order = ledger.withdrawals.find_order(job.model, job.model_version)
        if order is None or not order.concerns(ledger.reviews.of_job(job.key)):
            return False
        if job.state is not JobState.SUPERSEDED:
            ledger.withdrawals.retract(order.verdict_on(job.key))
        return True

    def note(self, row: DeliveryRecord, destination: Destination) -> ObjectRecord | None:
        """Return the note to send, written at the first attempt; None where the destination has no object to reject.

        Raises Unconfirmed while the result itself is under way, SourceMissing where the archive lacks the study,
        UnreadableFile where the patient of the objects is unknown.
        """
        written = self._ledger.withdrawals.note_object(row)
        if written is not None and written.path.exists():
            return written
        return self._write(row, destination, self._identity(row, destination))

    def check(self, note: ObjectRecord, destination: Destination) -> None:
        """Raise IdentityChanged where the archive holds the study under another identity than the note carries."""
        held = destination.archive.identity(note.study_uid)
        if held is None:
            raise SourceMissing(f"{destination.name} does not hold study {note.study_uid} now")
        different = identity_of(note.path).differences(held)
        if different and not destination.holds([reference(note)]):
            raise IdentityChanged(f"{destination.name} holds the study with another {', '.join(different)}")

    def rewrite(self, row: DeliveryRecord, destination: Destination) -> None:
        """Write the note for the identity that the archive names now; the old one was never sent."""
        self._write(row, destination, self._identity(row, destination))

    def _write(
        self, row: DeliveryRecord, destination: Destination, identity: StudyIdentity | None
    ) -> ObjectRecord | None:
        ledger, job = self._ledger, self._ledger.jobs.get(row.job_key)
        followers = ledger.withdrawals.followers(job.key, row.destination)
        objects = [item for item in self._there(row, destination) if not _is_followed(item, row.note, followers)]
        if not objects:
            return None
        verdict = next(each for each in reversed(ledger.reviews.of_job(job.key)) if each.state is _STATES[row.note])
        folder, newer = self._folders.outbox_of(job.key), _in_words(followers) or job.reason
        facts: dict[str, Any] = {"identity": identity, "study": self._study(objects, destination), "newer": newer}
        note = withdraw(objects, row.note, job=job, verdict=verdict, folder=folder, **facts)
        ledger.withdrawals.put_note(row, note)
        return note

    def _study(self, objects: Sequence[ObjectRecord], destination: Destination) -> Headers:
        """Return the study's headers from the archive where no file of the result is left to read them from."""
        archive = destination.archive
        if any(item.path.exists() for item in objects) or not destination.ask or not isinstance(archive, Searchable):
            return {}
        with suppress(ArchiveRefused):  # missing dates are no reason to keep the objects
            for series in archive.find({"StudyInstanceUID": objects[0].study_uid}):
                return series.headers
        return {}

    def _there(self, row: DeliveryRecord, destination: Destination) -> list[ObjectRecord]:
        """Return the objects of the result that the destination holds, as far as known."""
        ledger = self._ledger
        result = ledger.deliveries.get(row.job_key, row.destination)
        if result.state is DeliveryState.SENDING:
            raise Unconfirmed(f"the result itself is on its way to {row.destination}")
        written = ledger.objects.of_all_forms(row.job_key)
        if result.sent is not None:
            return [item for item in written if item.sop_uid in result.sent]
        expected = destination.gets(ledger.objects.of_job(row.job_key, destination.options.form))
        if result.state in ARRIVED:
            return list(expected)
        if not destination.ask:
            return []
        absent = destination.archive.missing([reference(item) for item in expected])
        return [item for item in expected if item.sop_uid not in absent]

    def _identity(self, row: DeliveryRecord, destination: Destination) -> StudyIdentity | None:
        """Return patient and study as the archive holds them, None where it is not to be asked."""
        if not destination.ask:
            return None
        study_uid = self._ledger.jobs.get(row.job_key).study_uid
        held = destination.archive.identity(study_uid)
        if held is None:
            raise SourceMissing(f"{destination.name} does not hold study {study_uid} now")
        return held


def _is_followed(item: ObjectRecord, note: Note, followers: Sequence[JobRecord]) -> bool:
    """Return whether a newer report at the destination names this one as predecessor: it needs no note."""
    predecessors = {uid for job in followers for uid in (job.predecessors or {}).values()}
    return note is Note.SUPERSEDED and item.kind is ObjectKind.SR and item.sop_uid in predecessors


def _in_words(followers: Sequence[JobRecord]) -> str:
    """Return the newer result that superseded one, in words; empty where none arrived at this destination."""
    if not followers:
        return ""
    newest = followers[-1]
    return f"{newest.model} {newest.model_version} on revision {newest.revision} of the series"
