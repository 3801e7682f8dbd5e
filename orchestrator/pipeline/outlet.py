"""What one destination is given now: within its hours, at its rate, and one trial at a time while it is away.

All of it follows from the ledger and the time, so a restart forgets nothing and a changed setting counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from orchestrator.backoff import Backoff
from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable, Unconfirmed
from orchestrator.domain.job import Priority
from orchestrator.domain.records import DeliveryRecord, DestinationRecord, Note
from orchestrator.domain.result import Urgency
from orchestrator.ledger import Ledger
from orchestrator.pipeline.destination import Destination

AHEAD = 8
"""Results that are queued at once: enough to keep the queue busy, and few to take back when it goes away."""

MOST_FAILURES = 3
"""Attempts without an answer, one after the other, that make a destination count as away."""

TRIALS = Backoff(10.0, 300.0)
MINUTE = timedelta(minutes=1)


def trial_wait(failures: int) -> timedelta:
    """Return how long a destination that is away is left alone after its last failure: 10, 20, 40 ... 300 s."""
    return timedelta(seconds=TRIALS.seconds(failures - MOST_FAILURES + 1))


def may_be_tried(record: DestinationRecord, at: datetime) -> bool:
    """Return whether a result may go to the destination: always where it answers, now and then where it is away."""
    if record.away_since is None or record.failed_at is None:
        return True
    # a failure that lies ahead was timed by a clock that was put back since
    return not timedelta(0) <= at - record.failed_at < trial_wait(record.failures)


@dataclass(frozen=True, slots=True)
class Outlet:
    """The way to one destination."""

    destination: Destination
    ledger: Ledger

    def admitted(self, at: datetime) -> tuple[DeliveryRecord, ...]:
        """Return the results that may be queued now, by priority and age.

        They stay the first ones until they are sent, so asking again admits the same.
        """
        room = self._room(at)
        return tuple(islice(self._open(at), room)) if room > 0 else ()

    @contextmanager
    def watched(self, clock: Callable[[], datetime]) -> Iterator[None]:
        """Keep whether the destination answers what the block asks of it; one that is away is greeted first.

        What it has not confirmed yet says nothing: storage commitment may take its time.
        """
        before = self.ledger.destinations.get(self.destination.name)
        try:
            if before.away_since is not None:
                self._greet()
            yield
        except ArchiveUnavailable as fault:
            self.ledger.destinations.record_failure(before.name, clock(), str(fault), most=MOST_FAILURES)
            raise
        except Unconfirmed:
            raise
        except ArchiveError:
            self._answered(before, clock())
            raise
        self._answered(before, clock())

    def _greet(self) -> None:
        """Raise ArchiveUnavailable where nobody is there; to be refused a C-ECHO is an answer, too."""
        with suppress(ArchiveRefused):
            self.destination.archive.echo()

    def _answered(self, before: DestinationRecord, at: datetime) -> None:
        if before.failures:
            self.ledger.destinations.record_answer(before.name)
        if before.away_since is not None:
            self.ledger.deliveries.recall(before.name, at)

    def _room(self, at: datetime) -> int:
        """Return how many results may be on their way."""
        record, name = self.ledger.destinations.get(self.destination.name), self.destination.name
        if not may_be_tried(record, at):
            return 0
        if record.away_since is not None:
            return 1 - self.ledger.destinations.count_sending(name)
        if self.destination.per_minute is None:
            return AHEAD
        sent = self.ledger.destinations.count_sent(name, at - MINUTE, at) + self.ledger.destinations.count_sending(name)
        return min(AHEAD, self.destination.per_minute - sent)

    def _open(self, at: datetime) -> Iterator[DeliveryRecord]:
        """Yield what is due; what can wait is put off until the destination's hours open."""
        hours = self.destination.hours
        opens = at if hours is None else hours.opening(at)
        for row in self.ledger.deliveries.due(at, destination=self.destination.name):
            if opens <= at or self._cannot_wait(row):
                yield row
            else:
                self.ledger.deliveries.postpone(
                    row.job_key, row.destination, opens, f"waits for the hours {hours}", row.note
                )

    def _cannot_wait(self, row: DeliveryRecord) -> bool:
        if row.note is Note.RETRACTED:  # a matter of patient safety
            return True
        job = self.ledger.jobs.get(row.job_key)
        found = job.urgency in {Urgency.IMMEDIATE, Urgency.URGENT}
        return found or job.priority in {Priority.STAT, Priority.URGENT}
