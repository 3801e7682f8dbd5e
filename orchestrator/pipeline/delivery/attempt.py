"""Sends one job's objects to one destination: asks the archive first and confirms after.

The ledger is the only queue of deliveries. A row that is due is claimed (``waiting`` -> ``sending``), attempted, and
moved to its next state with the time of the next attempt; so hours of outage cost nothing and survive a restart.
An attempt may be repeated: it asks the archive what it holds, and it sends the same bytes under the same UIDs.

Why no durable flow of the engine: an attempt has no step worth remembering, since the archive itself remembers what
it took. A flow only added a second queue to keep in step with the ledger. It also cost more: each delivery took 40 %
more CPU time.
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
from orchestrator.domain.clock import Clock, utc_now
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
from orchestrator.domain.records import ARRIVED, SETTLED, DeliveryRecord, DeliveryState, JobRecord, ObjectRecord
from orchestrator.domain.series import StudyIdentity
from orchestrator.engine import describe, frames
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination, reference
from orchestrator.pipeline.delivery.schedule import DeliverySchedule
from orchestrator.pipeline.delivery.withdrawal import Withdrawal
from orchestrator.pipeline.folders import Folders

log = logging.getLogger(__name__)

RETRIES = Backoff(2.0, 600.0)
RESTARTS = 3
"""How often an attempt is started again after its process ended in it; the next time the delivery is parked."""

NOTHING_THERE = "the destination has no object of the result that a note would reject"
INTERRUPTED = "the process ended during the attempt; it is repeated"
KILLS_PROCESS = "the process ended during each attempt; see the log, then retry"
NO_OUTCOME = "the attempt ended without recording an outcome (disk full?); it is repeated"


class Delivery:
    """Attempts deliveries. One thread at a time for a destination; another destination may have another thread."""

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

    def make_all_due(self) -> None:
        """Make all waiting deliveries due now: the settings may have changed."""
        for name in self._destinations:
            self._ledger.deliveries.recall(name, self._clock())

    def send_next(self, name: str) -> bool:
        """Make one attempt at the first delivery that the destination may get now; return whether there was one."""
        row = DeliverySchedule(self._destinations[name], self._ledger).next(self._clock())
        if row is None:
            return False
        job = self._ledger.jobs.get(row.job_key)
        if not row.note and (self._withdrawal.stop_retracted(job) or job.state not in LEAVING):
            self._move(row, DeliveryState.DISCARDED, error=f"the job is {self._ledger.jobs.get(job.key).state}")
            return True
        attempt = self._ledger.deliveries.claim(row)
        if attempt is not None:
            self._attempt(attempt, job)
        return True

    def recover(self, name: str, *, after_crash: bool) -> None:
        """Repeat the attempts to a destination that began and did not end.

        Only for who has the destination to itself. after_crash: their process ended, which counts against them;
        else this process could not record how they ended.
        """
        for row, starts in self._ledger.deliveries.unfinished(name):
            if row.state in ARRIVED:
                self._repeat_follow_up(row)
            elif name not in self._destinations:
                self._park_unknown(row)
            elif not after_crash:
                self._wait(row, NO_OUTCOME)
            elif starts > RESTARTS:
                self._park(row, KILLS_PROCESS)
            else:
                now = self._clock()
                self._move(row, DeliveryState.WAITING, error=INTERRUPTED, next_attempt_at=now, ends_attempt=False)

    def park_unknown(self, name: str) -> None:
        """Park the due deliveries to a destination that the settings do not name any more."""
        for row in self._ledger.deliveries.due(self._clock(), destination=name):
            self._park_unknown(row)

    def _repeat_follow_up(self, row: DeliveryRecord) -> None:
        """Follow an arrival up once more; a second fault must not hold up the other deliveries."""
        try:
            self._follow_arrival(row, self._ledger.jobs.get(row.job_key))
        except Exception as error:  # noqa: BLE001  # a bug; without a database the next line raises
            log.error("after delivery of %s: %s\n%s", row.job_key[:12], describe(error), frames(error))
            self._ledger.deliveries.end_attempt(row)

    def _park_unknown(self, row: DeliveryRecord) -> None:
        self._park(row, f"destination {row.destination!r} is not in the settings any more")

    def _move(self, row: DeliveryRecord, state: DeliveryState, **changes: Any) -> None:
        self._ledger.deliveries.move(row.job_key, row.destination, state, note=row.note, **changes)

    def _attempt(self, row: DeliveryRecord, job: JobRecord) -> None:
        destination = self._destinations[row.destination]
        try:
            if self._sent(row, destination):
                self._arrived(row, job, destination)
        except (ArchiveUnavailable, SourceMissing, Unconfirmed) as fault:
            self._wait(row, str(fault))
        except (ArchiveRefused, UnreadableFile) as refusal:
            self._park(row, _with_advice(refusal, destination))
        except OSError as fault:
            self._wait(row, f"the outbox could not be read: {fault.strerror}")
        except Exception as error:  # noqa: BLE001  # a bug must not leave the delivery under way for ever
            log.error("delivery of %s to %s: %s\n%s", job.key[:12], destination.name, describe(error), frames(error))
            self._wait(row, f"internal error: {describe(error)}; see the log")

    def _sent(self, row: DeliveryRecord, destination: Destination) -> bool:
        """Return True where the objects were sent, False where there are none or they were rewritten first."""
        started = time.perf_counter()
        try:
            is_sent = self._send(row, destination)
        except IdentityChanged as change:
            self._rewrite(row, destination, str(change))
            return False
        if not is_sent:
            self._move(row, DeliveryState.DISCARDED, error=NOTHING_THERE)
        elif not row.note:
            self._ledger.jobs.annotate(row.job_key, seconds={"deliver": time.perf_counter() - started})
        return is_sent

    def _arrived(self, row: DeliveryRecord, job: JobRecord, destination: Destination) -> None:
        if not row.note:
            self._ledger.jobs.annotate(job.key, seconds={"complete": self._waited(job)})
        state = DeliveryState.UNCONFIRMED if destination.confirm == "none" else DeliveryState.CONFIRMED
        self._move(row, state, confirmed_by=destination.confirm, ends_attempt=False)
        self._follow_arrival(row, job)

    def _follow_arrival(self, row: DeliveryRecord, job: JobRecord) -> None:
        """Do what follows from an arrival; repeating it changes nothing."""
        if not row.note:
            self._withdrawal.follow_up(job)
            self._finish(job)
        self._ledger.deliveries.end_attempt(row)

    def _waited(self, job: JobRecord) -> float:
        """Return the seconds between the start of the models and the release of the series' results."""
        series = self._ledger.series.find(job.series_uid, job.revision)
        if series is None or series.released_at is None:
            return 0.0
        return max(0.0, (series.released_at - series.first_seen).total_seconds())

    def _send(self, row: DeliveryRecord, destination: Destination) -> bool:
        """Return True once the destination confirms the objects, False where there is nothing to send.

        Objects that it took before are not sent again.
        """
        ledger, clock = self._ledger, self._clock
        with DeliverySchedule(destination, ledger).recording_answers(clock):
            objects = self._objects(row, destination)
            references = [reference(item) for item in objects]
            if not references or (row.sent_at is not None and not destination.unconfirmed(references)):
                return bool(references)
            if destination.ask:
                self._ask(row, objects, destination)
            if not destination.holds(references):  # an interrupted attempt may have stored them
                destination.archive.store([item.path for item in objects])
        ledger.deliveries.record_sent(
            row.job_key, row.destination, clock(), sent=[item.sop_uid for item in objects], note=row.note
        )
        unconfirmed = destination.unconfirmed(references)
        if unconfirmed:
            raise Unconfirmed(
                f"{destination.name} took {len(references)} object(s) "
                f"but does not confirm {len(unconfirmed)} of them yet"
            )
        return True

    def _objects(self, row: DeliveryRecord, destination: Destination) -> Sequence[ObjectRecord]:
        if not row.note:
            return self._result(row.job_key, destination)
        note = self._withdrawal.note(row, destination)
        return [] if note is None else [note]

    def _result(self, job_key: str, destination: Destination) -> Sequence[ObjectRecord]:
        """Return the objects of the result that the destination gets.

        Raises ArchiveRefused where none was written: the settings asked for other objects then.
        """
        objects = destination.gets(self._ledger.objects.of_job(job_key, destination.options.form))
        if not objects:
            wanted = setting_text(destination.options.objects)
            raise ArchiveRefused(f"the result was written before {destination.name} was to get {wanted}: run it again")
        return objects

    def _ask(self, row: DeliveryRecord, objects: Sequence[ObjectRecord], destination: Destination) -> None:
        """Raise unless the archive holds the source images under the identity the objects carry.

        A folder of results holds none of them, and none are missed then.
        """
        if row.note:
            self._withdrawal.check(objects[0], destination)
            return
        job = self._ledger.jobs.get(row.job_key)
        held = destination.archive.identity(job.study_uid)
        if held is None and not destination.needs_sources:
            return
        if held is None:
            raise SourceMissing(f"{destination.name} does not hold study {job.study_uid} yet")
        different = identity_of(objects[0].path).differences(held)
        if different:
            raise IdentityChanged(f"{destination.name} holds the study with another {', '.join(different)}")
        sources = [
            ObjectReference(job.study_uid, job.series_uid, image.sop_uid, image.sop_class)
            for image in self._ledger.series.instances(job.series_uid, job.revision)
            if image.is_read
        ]
        absent = destination.archive.missing(sources)
        if absent and (destination.needs_sources or len(absent) < len(sources)):
            raise SourceMissing(f"{destination.name} lacks {len(absent)} of {len(sources)} source images")

    def _rewrite(self, row: DeliveryRecord, destination: Destination, reason: str) -> None:
        """Rewrite the objects for the patient that the archive names now; the old ones were never sent.

        This is the one exception to "a retry sends the same bytes" (a merge or correction in between).
        """
        if row.note:
            self._rewrite_note(row, destination, reason)
            return
        others = [each for each in self._ledger.deliveries.of_job(row.job_key) if each.destination != row.destination]
        if row.sent_at or any(each.sent_at or each.state in ARRIVED for each in others):
            where = "there" if row.sent_at else "elsewhere"
            self._park(row, f"{reason}, but the result was already delivered {where}: reject it first")
            return
        held = destination.archive.identity(self._ledger.jobs.get(row.job_key).study_uid)
        if held is None or any(each.state is DeliveryState.SENDING for each in others):
            self._wait(row, reason)  # another destination may be getting the old objects now
            return
        self._ledger.objects.put(row.job_key, self._readdressed(row.job_key, held), replace=True)
        self._ledger.events.record("identity-changed", row.job_key, f"{reason}; the objects were rewritten")
        self._at_once(row, reason)

    def _rewrite_note(self, row: DeliveryRecord, destination: Destination, reason: str) -> None:
        """Rewrite a note, unless the archive took it before."""
        if row.sent_at is not None:
            self._wait(row, f"{reason}, and the archive took the note before")
            return
        self._withdrawal.rewrite(row, destination)
        self._ledger.events.record("identity-changed", row.job_key, f"{reason}; the note was rewritten")
        self._at_once(row, reason)

    def _at_once(self, row: DeliveryRecord, reason: str) -> None:
        self._move(row, DeliveryState.WAITING, error=reason, next_attempt_at=self._clock())

    def _readdressed(self, job_key: str, held: StudyIdentity) -> list[ObjectRecord]:
        """Return the objects for another identity, each form as a set of its own."""
        objects, outbox = self._ledger.objects.of_all_forms(job_key), self._folders.outbox_of(job_key)
        forms = dict.fromkeys(item.form for item in objects)
        return [
            item for form in forms for item in readdress([item for item in objects if item.form == form], held, outbox)
        ]

    def _wait(self, row: DeliveryRecord, reason: str) -> None:
        """Make the next attempt later; where attempts have failed for hours, give up."""
        now, hours = self._clock(), self._destinations[row.destination].retry_hours
        failing_since = row.failing_since or now
        if now - failing_since > timedelta(hours=hours):
            self._park(row, f"given up after {hours:g} h: {reason}")
            return
        later = now + timedelta(seconds=RETRIES.seconds(row.attempts))
        self._move(row, DeliveryState.WAITING, error=reason, next_attempt_at=later, failing_since=failing_since)

    def _park(self, row: DeliveryRecord, reason: str) -> None:
        """Stop the delivery until a person retries it."""
        self._move(row, DeliveryState.PARKED, error=reason)
        if not row.note:
            with suppress(ForbiddenTransition):  # parked for another destination already, or superseded meanwhile
                self._ledger.jobs.move(row.job_key, JobState.PARKED, reason=f"{row.destination}: {reason}")

    def _finish(self, job: JobRecord) -> None:
        """End the job once every destination has its objects."""
        ledger = self._ledger
        states = {row.state for row in ledger.deliveries.of_job(job.key)}
        if not states <= SETTLED or not states & ARRIVED:
            return
        with suppress(ForbiddenTransition):  # done before: this repeats an interrupted follow-up
            after = ledger.jobs.move(job.key, JobState.DONE)
            self._observers.result_delivered(after, ledger.objects.of_job(job.key))


def _with_advice(refusal: Exception, destination: Destination) -> str:
    """Return the archive's refusal, with the setting to change where it takes no objects of a kind."""
    hint = advice(refusal.sop_class, destination.options) if isinstance(refusal, ObjectRefused) else ""
    return f"{refusal}; for {destination.name} {hint}, then retry" if hint else str(refusal)
