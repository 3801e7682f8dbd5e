"""Sending one job's objects to one destination: asked first, confirmed after, waited for in between.

A delivery attempt is a short durable flow; nothing waits inside it. What could not be sent now stands
in the ledger with the time of its next attempt, so hours of outage cost nothing and survive a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from orchestrator.backoff import Backoff
from orchestrator.dicom import identity_of, readdress
from orchestrator.dicom.objects.write_options import advice, setting_text
from orchestrator.domain.errors import (
    ArchiveRefused,
    ArchiveUnavailable,
    ForbiddenTransition,
    IdentityChanged,
    ObjectRefused,
    SourceMissing,
    Unconfirmed,
    UnreadableFile,
)
from orchestrator.domain.job import LEAVING, JobState
from orchestrator.domain.ports import ObjectReference, Observers
from orchestrator.domain.records import ARRIVED, SETTLED, DeliveryRecord, DeliveryState, JobRecord, Note, ObjectRecord
from orchestrator.domain.series import StudyIdentity
from orchestrator.engine import Client, describe, frames
from orchestrator.ledger import Ledger
from orchestrator.pipeline.destination import Destination, reference
from orchestrator.pipeline.fetching import Clock, utc_now
from orchestrator.pipeline.folders import Folders
from orchestrator.pipeline.outlet import Outlet, may_be_tried
from orchestrator.pipeline.queueing import delivery_queue
from orchestrator.pipeline.withdrawal import Withdrawal

log = logging.getLogger(__name__)

RETRIES = Backoff(2.0, 600.0)
NOTHING_THERE = "nothing of the result is there that a note would have to reject"


class Delivery:
    """The durable flow ``deliver`` and the pump that queues what is due."""

    def __init__(
        self,
        ledger: Ledger,
        destinations: Mapping[str, Destination],
        *,
        folders: Folders,
        observers: Observers,
        clock: Clock = utc_now,
    ) -> None:
        self._ledger = ledger
        self._destinations = destinations
        self._folders = folders
        self._observers = observers
        self._clock = clock
        self._withdrawal = Withdrawal(ledger, folders)

    def take_up(self) -> None:
        """Let nothing wait for what another run was told: the hours or the destination may be others now."""
        for name in self._destinations:
            self._ledger.deliveries.recall(name, self._clock())

    def queue_due(self, client: Client) -> int:
        """Queue what each destination may get now; return how many there were."""
        now, queued = self._clock(), 0
        for name in self._ledger.deliveries.due_destinations(now):
            if name in self._destinations:
                rows = Outlet(self._destinations[name], self._ledger).admitted(now)
                for row in rows:
                    self._queue(client, row, row.attempts + 1)
                queued += len(rows)
            else:
                for row in self._ledger.deliveries.due(now, destination=name):
                    self._park_unknown(row, row.attempts)
        return queued

    def _park_unknown(self, row: DeliveryRecord, attempt: int) -> None:
        self.park(row, f"destination {row.destination!r} is not in the settings any more", attempt)

    def _queue(self, client: Client, row: DeliveryRecord, attempt: int) -> None:
        key, told = self.attempt_key(row, attempt), (row.job_key, row.destination, attempt, str(row.note))
        priority = self._ledger.jobs.get(row.job_key).priority
        client.enqueue("deliver", key, *told, queue=delivery_queue(row.destination), priority=priority)

    @staticmethod
    def attempt_key(row: DeliveryRecord, attempt: int) -> str:
        """Return the key of the flow that makes this attempt."""
        what = f"{row.job_key}+{row.note}" if row.note else row.job_key
        return f"{what}:{row.destination}:{attempt}"

    @staticmethod
    def parts_of(attempt_key: str) -> tuple[str, str, int, Note]:
        """Return job key, destination and number of an attempt, and which note it is to bring."""
        what, _, rest = attempt_key.partition(":")
        destination, _, attempt = rest.rpartition(":")
        job_key, _, note = what.partition("+")
        return job_key, destination, int(attempt), Note(note)

    def __call__(self, key: str, destination_name: str, attempt: int, note: str = "") -> None:
        """Make one attempt and write down how it ended; an attempt of an earlier version of this names no note."""
        ledger = self._ledger
        row, job = ledger.deliveries.get(key, destination_name, Note(note)), ledger.jobs.get(key)
        if row.state in ARRIVED:
            self._go_on(row, job)  # killed before it could
        elif row.state not in {DeliveryState.WAITING, DeliveryState.SENDING}:
            return
        elif not row.note and (self._withdrawal.stop_retracted(job) or job.state not in LEAVING):
            self._move(row, DeliveryState.DISCARDED, error=f"the job is {ledger.jobs.get(key).state}")
        elif may_be_tried(ledger.destinations.get(destination_name), self._clock()):
            self._move(row, DeliveryState.SENDING, error=row.error, attempts=attempt)
            self._attempt(row, job, attempt)
        else:
            self._give_back(row, attempt)

    def _move(self, row: DeliveryRecord, state: DeliveryState, **told: Any) -> None:
        self._ledger.deliveries.move(row.job_key, row.destination, state, note=row.note, **told)

    def _attempt(self, row: DeliveryRecord, job: JobRecord, attempt: int) -> None:
        destination = self._destinations[row.destination]
        try:
            if self._sent(row, destination, attempt):
                self._arrived(row, job, destination, attempt)
        except (ArchiveUnavailable, SourceMissing, Unconfirmed) as fault:
            self.wait(row, str(fault), attempt)
        except (ArchiveRefused, UnreadableFile) as refusal:
            self.park(row, _with_advice(refusal, destination), attempt)
        except OSError as fault:
            self.wait(row, f"the outbox could not be read: {fault.strerror}", attempt)
        except Exception as error:  # noqa: BLE001  # the job loop: a fault of ours must not leave it under way for ever
            log.error("delivery of %s to %s: %s\n%s", job.key[:12], destination.name, describe(error), frames(error))
            self.wait(row, f"internal error: {describe(error)}; the log has its trace", attempt)

    def _give_back(self, row: DeliveryRecord, attempt: int) -> None:
        """Let a result that was queued before its destination went away wait in its place again."""
        reason, now = f"{row.destination} does not answer; one result at a time tries again", self._clock()
        self._move(row, DeliveryState.WAITING, error=reason, next_attempt_at=now, attempts=attempt)

    def _sent(self, row: DeliveryRecord, destination: Destination, attempt: int) -> bool:
        """Return True where the objects are sent, False where there are none or others are to be sent next."""
        started = time.perf_counter()
        try:
            is_sent = self._send(row, destination)
        except IdentityChanged as change:
            self._write_anew(row, destination, str(change), attempt)
            return False
        if not is_sent:
            self._move(row, DeliveryState.DISCARDED, error=NOTHING_THERE, attempts=attempt)
        elif not row.note:
            self._ledger.jobs.annotate(row.job_key, seconds={"deliver": time.perf_counter() - started})
        return is_sent

    def _arrived(self, row: DeliveryRecord, job: JobRecord, destination: Destination, attempt: int) -> None:
        if not row.note:
            self._ledger.jobs.annotate(job.key, seconds={"complete": self._waited(job)})
        state = DeliveryState.UNCONFIRMED if destination.confirm == "none" else DeliveryState.CONFIRMED
        self._move(row, state, confirmed_by=destination.confirm, attempts=attempt)
        self._go_on(row, job)

    def _go_on(self, row: DeliveryRecord, job: JobRecord) -> None:
        """Do what follows from an arrival; twice changes nothing."""
        if not row.note:
            self._withdrawal.follow_up(job)
            self._finish(job)

    def _waited(self, job: JobRecord) -> float:
        """Return the seconds between the start of the models and the release of the series' results."""
        series = self._ledger.series.find(job.series_uid, job.revision)
        if series is None or series.released_at is None:
            return 0.0
        return max(0.0, (series.released_at - series.first_seen).total_seconds())

    def _send(self, row: DeliveryRecord, destination: Destination) -> bool:
        """Return True once the destination has the objects and says so, False where there is nothing to be sent.

        What it took before is not sent again.
        """
        ledger, clock = self._ledger, self._clock
        with Outlet(destination, ledger).watched(clock):
            objects = self._objects(row, destination)
            ours = [reference(item) for item in objects]
            if not ours or (row.sent_at is not None and not destination.unconfirmed(ours)):
                return bool(ours)
            if destination.ask:
                self._ask(row, objects, destination)
            if not destination.holds(ours):  # an earlier attempt may have been interrupted before it could say so
                destination.archive.store([item.path for item in objects])
        ledger.deliveries.record_sent(
            row.job_key, row.destination, clock(), sent=[item.sop_uid for item in objects], note=row.note
        )
        lost = destination.unconfirmed(ours)
        if lost:
            raise Unconfirmed(
                f"{destination.name} took {len(ours)} object(s) but does not confirm {len(lost)} of them yet"
            )
        return True

    def _objects(self, row: DeliveryRecord, destination: Destination) -> Sequence[ObjectRecord]:
        if not row.note:
            return self._result(row.job_key, destination)
        note = self._withdrawal.note(row, destination)
        return [] if note is None else [note]

    def _result(self, job_key: str, destination: Destination) -> Sequence[ObjectRecord]:
        """Return what the destination gets of the result.

        Raises ArchiveRefused where that was never written: the settings asked for other objects then.
        """
        objects = destination.gets(self._ledger.objects.of_job(job_key, destination.options.form))
        if not objects:
            wanted = setting_text(destination.options.objects)
            raise ArchiveRefused(f"the result was written before {destination.name} was to get {wanted}: run it again")
        return objects

    def _ask(self, row: DeliveryRecord, objects: Sequence[ObjectRecord], destination: Destination) -> None:
        """Raise unless the archive holds the source images under the identity the objects carry."""
        if row.note:
            self._withdrawal.check(objects[0], destination)
            return
        job = self._ledger.jobs.get(row.job_key)
        held = destination.archive.identity(job.study_uid)
        if held is None:
            raise SourceMissing(f"{destination.name} does not hold study {job.study_uid} yet")
        different = identity_of(objects[0].path).differences(held)
        if different:
            raise IdentityChanged(f"{destination.name} holds the study with another {', '.join(different)}")
        sources = [
            ObjectReference(job.study_uid, job.series_uid, image.sop_uid, image.sop_class)
            for image in self._ledger.series.instances(job.series_uid, job.revision)
        ]
        absent = destination.archive.missing(sources)
        if absent:
            raise SourceMissing(f"{destination.name} lacks {len(absent)} of {len(sources)} source images")

    def _write_anew(self, row: DeliveryRecord, destination: Destination, reason: str, attempt: int) -> None:
        """Write the objects again for the patient that the archive names now; the old ones never left.

        This is the one exception to "a retry sends the same bytes" (a merge or correction in between).
        """
        if row.note:
            self._note_anew(row, destination, reason, attempt)
            return
        others = [each for each in self._ledger.deliveries.of_job(row.job_key) if each.destination != row.destination]
        if row.sent_at or any(each.sent_at or each.state in ARRIVED for each in others):
            where = "there" if row.sent_at else "elsewhere"
            self.park(row, f"{reason}, but the result was already delivered {where}: reject it first", attempt)
            return
        held = destination.archive.identity(self._ledger.jobs.get(row.job_key).study_uid)
        if held is None or any(each.state is DeliveryState.SENDING for each in others):
            self.wait(row, reason, attempt)  # another destination may be getting the old objects now
            return
        self._ledger.objects.put(row.job_key, self._readdressed(row.job_key, held), replace=True)
        self._ledger.events.record("identity-changed", row.job_key, f"{reason}; the objects were written anew")
        self._at_once(row, reason, attempt)

    def _note_anew(self, row: DeliveryRecord, destination: Destination, reason: str, attempt: int) -> None:
        """Write a note again, unless the archive took it and says now that it does not have it."""
        if row.sent_at is not None:
            self.wait(row, f"{reason}, and the note was taken there", attempt)
            return
        self._withdrawal.write_anew(row, destination)
        self._ledger.events.record("identity-changed", row.job_key, f"{reason}; the note was written anew")
        self._at_once(row, reason, attempt)

    def _at_once(self, row: DeliveryRecord, reason: str, attempt: int) -> None:
        self._move(row, DeliveryState.WAITING, error=reason, next_attempt_at=self._clock(), attempts=attempt)

    def _readdressed(self, job_key: str, held: StudyIdentity) -> list[ObjectRecord]:
        """Return the objects for another identity, each form as a set of its own."""
        objects, outbox = self._ledger.objects.of_all_forms(job_key), self._folders.outbox_of(job_key)
        forms = dict.fromkeys(item.form for item in objects)
        return [
            anew for form in forms for anew in readdress([item for item in objects if item.form == form], held, outbox)
        ]

    def wait(self, row: DeliveryRecord, reason: str, attempt: int) -> None:
        """Make the next attempt later; where attempts have failed for hours, give up."""
        if row.destination not in self._destinations:
            self._park_unknown(row, attempt)
            return
        now, hours = self._clock(), self._destinations[row.destination].retry_hours
        failing_since = row.failing_since or now
        if now - failing_since > timedelta(hours=hours):
            self.park(row, f"given up after {hours:g} h: {reason}", attempt)
            return
        later = now + timedelta(seconds=RETRIES.seconds(attempt))
        told: dict[str, Any] = {"error": reason, "next_attempt_at": later, "attempts": attempt}
        self._move(row, DeliveryState.WAITING, **told, failing_since=failing_since)

    def park(self, row: DeliveryRecord, reason: str, attempt: int) -> None:
        """Give the delivery up until somebody asks for it again."""
        self._move(row, DeliveryState.PARKED, error=reason, attempts=attempt)
        if not row.note:
            with suppress(ForbiddenTransition):  # parked for another destination already, or superseded meanwhile
                self._ledger.jobs.move(row.job_key, JobState.PARKED, reason=f"{row.destination}: {reason}")

    def _finish(self, job: JobRecord) -> None:
        """End the job once every destination has its objects."""
        ledger = self._ledger
        states = {row.state for row in ledger.deliveries.of_job(job.key)}
        if not states <= SETTLED or not states & ARRIVED:
            return
        with suppress(ForbiddenTransition):  # done before: an interrupted attempt is being repeated
            done = ledger.jobs.move(job.key, JobState.DONE)
            self._observers.result_delivered(done, ledger.objects.of_job(job.key))


def _with_advice(refusal: Exception, destination: Destination) -> str:
    """Return what an archive said, and the setting to change where it takes no objects of a kind."""
    helps = advice(refusal.sop_class, destination.options) if isinstance(refusal, ObjectRefused) else ""
    return f"{refusal}; for {destination.name} {helps}, then try again" if helps else str(refusal)
