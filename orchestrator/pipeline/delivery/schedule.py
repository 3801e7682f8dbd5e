"""Which result a destination gets next: within its hours, at its rate, and one at a time while it does not answer.

Everything follows from the ledger and the time, so a restart forgets nothing and a changed setting counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.backoff import Backoff
from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable, Unconfirmed
from orchestrator.domain.job import Priority
from orchestrator.domain.records import DeliveryRecord, DestinationRecord, Note
from orchestrator.domain.result import Urgency
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination

MOST_FAILURES = 3
"""Consecutive attempts without an answer after which a destination counts as unreachable."""

TRIALS = Backoff(10.0, 300.0)
MINUTE = timedelta(minutes=1)


def trial_wait(failures: int) -> timedelta:
    """Return the pause after the last failure of an unreachable destination: 10, 20, 40 ... 300 s."""
    return timedelta(seconds=TRIALS.seconds(failures - MOST_FAILURES + 1))


def may_be_tried(record: DestinationRecord, at: datetime) -> bool:
    """Return whether a result may go to the destination now: only after a pause where it does not answer."""
    if record.away_since is None or record.failed_at is None:
        return True
    # a failure in the future was recorded before the clock was set back
    return not timedelta(0) <= at - record.failed_at < trial_wait(record.failures)


@dataclass(frozen=True, slots=True)
class DeliverySchedule:
    """The order and the pace of the deliveries to one destination."""

    destination: Destination
    ledger: Ledger

    def next(self, at: datetime) -> DeliveryRecord | None:
        """Return the delivery to attempt now, by priority and age; None where none may go.

        Deliveries that can wait are postponed until the destination's hours open.
        """
        if not self._has_room(at):
            return None
        hours = self.destination.hours
        opens = at if hours is None else hours.opening(at)
        for row in self.ledger.deliveries.due(at, destination=self.destination.name):
            if opens <= at or self._cannot_wait(row):
                return row
            self.ledger.deliveries.postpone(
                row.job_key, row.destination, opens, f"waits for the hours {hours}", row.note
            )
        return None

    @contextmanager
    def recording_answers(self, clock: Callable[[], datetime]) -> Iterator[None]:
        """Record whether the destination answers the requests of the block; an unreachable one gets a C-ECHO first.

        A missing confirmation counts as neither: storage commitment may take its time.
        """
        before = self.ledger.destinations.get(self.destination.name)
        try:
            if before.away_since is not None:
                self._echo()
            yield
        except ArchiveUnavailable as fault:
            self.ledger.destinations.record_failure(before.name, clock(), str(fault), most=MOST_FAILURES)
            raise
        except Unconfirmed:
            raise
        except ArchiveError:
            self._record_answer(before, clock())
            raise
        self._record_answer(before, clock())

    def _echo(self) -> None:
        """Raise ArchiveUnavailable where nobody answers; a refused C-ECHO is an answer."""
        with suppress(ArchiveRefused):
            self.destination.archive.echo()

    def _record_answer(self, before: DestinationRecord, at: datetime) -> None:
        if before.failures:
            self.ledger.destinations.record_answer(before.name)
        if before.away_since is not None:
            self.ledger.deliveries.recall(before.name, at)

    def _has_room(self, at: datetime) -> bool:
        """Return whether the destination answers, or is to be tried again, and its rate is not used up."""
        name, per_minute = self.destination.name, self.destination.per_minute
        if not may_be_tried(self.ledger.destinations.get(name), at):
            return False
        return per_minute is None or self.ledger.destinations.count_sent(name, at - MINUTE, at) < per_minute

    def _cannot_wait(self, row: DeliveryRecord) -> bool:
        if row.note is Note.RETRACTED:  # a matter of patient safety
            return True
        job = self.ledger.jobs.get(row.job_key)
        is_urgent = job.urgency in {Urgency.IMMEDIATE, Urgency.URGENT}
        return is_urgent or job.priority in {Priority.STAT, Priority.URGENT}
