"""Fetches series from an archive into the spool, one at a time; the ledger knows after a kill which one had begun."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta

from orchestrator.archive import SpoolInbox
from orchestrator.backoff import Backoff
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.domain.ports import FoundSeries, Readable
from orchestrator.ledger import Ledger

log = logging.getLogger(__name__)

RETRIES = Backoff(5.0, 3600.0)
TRIES = 3
"""Where the fetch of one series fails more often, while the archive answers otherwise, the series counts as refused."""


class Fetching:
    """Fetches series from one archive, one at a time.

    inbox: series UID -> where its instances are written.
    """

    def __init__(
        self, archive: Readable, ledger: Ledger, inbox: Callable[[str], SpoolInbox], clock: Clock = utc_now
    ) -> None:
        self._archive = archive
        self._ledger = ledger
        self._inbox = inbox
        self._clock = clock

    def fetch(self, order: FetchRecord) -> FetchRecord:
        """Return the record after the fetch: fetched, or waiting for the next attempt where it was refused.

        Raises ArchiveUnavailable, StorageFull, OSError; the next attempt is due later then, too.
        """
        attempt = replace(
            order, state=FetchState.FETCHING, attempts=order.attempts + 1, begun_at=self._clock(), error=""
        )
        self._ledger.fetches.put([attempt])
        inbox = self._inbox(order.series_uid)
        try:
            return self._finish(attempt, inbox, self._retrieve(attempt, inbox))
        except Exception as fault:
            if inbox.expects_pushed:
                _adopt_interrupted(attempt, inbox)
            inbox.close(whole=False)
            refused = isinstance(fault, ArchiveRefused)
            if refused or (isinstance(fault, ArchiveUnavailable) and attempt.attempts > TRIES):
                return self._postpone(attempt, str(fault), recorded=order.error)
            self._postpone(attempt, error="", recorded="")
            raise

    def announce(self, fetched: FetchRecord, complete: str) -> None:
        """Notify the engine that the fetched series is complete, as the archive says now."""
        self._inbox(fetched.series_uid).announce(fetched.fetched, complete)

    def _retrieve(self, attempt: FetchRecord, inbox: SpoolInbox) -> int:
        """Return how many instances the archive sent."""
        series = FoundSeries(attempt.study_uid, attempt.series_uid, count=attempt.count)
        count = self._archive.fetch(series, inbox)
        if not count:
            raise ArchiveRefused(f"archive {attempt.archive!r} sent no instance of series {attempt.series_uid}")
        if not inbox.arrivals:  # a C-MOVE: they came to the receiver
            inbox.adopt(attempt.study_uid)
        return count

    def _finish(self, attempt: FetchRecord, inbox: SpoolInbox, count: int) -> FetchRecord:
        """Record that the series was fetched, then notify the engine, which reads the record."""
        record = replace(
            attempt, state=FetchState.FETCHED, fetched=count, fetches=attempt.fetches + 1, attempts=0, error=""
        )
        self._ledger.fetches.put([record])
        is_whole = attempt.count is None or count >= attempt.count
        if not is_whole:  # a broken file, or an archive that counts instances which it does not send
            text = f"{attempt.archive} counts {attempt.count} instances and sent {count} readable ones"
            self._record_event("fetch-short", attempt.series_uid, text)
        inbox.close(whole=is_whole, complete=attempt.complete)
        return record

    def _postpone(self, attempt: FetchRecord, error: str, recorded: str) -> FetchRecord:
        """Return the record with a later next attempt. recorded: the error that the audit trail has already."""
        due_at = self._clock() + timedelta(seconds=RETRIES.seconds(attempt.attempts))
        record = replace(attempt, state=FetchState.WAITING, due_at=due_at, error=error)
        self._ledger.fetches.put([record])
        if error != recorded:
            self._record_event("fetch-refused", attempt.series_uid, error)
        return record

    def _record_event(self, kind: str, series_uid: str, text: str) -> None:
        log.warning("%s of series %s: %s", kind, series_uid, text)
        self._ledger.events.record(kind, series_uid, text)


def resume_fetches(ledger: Ledger, inbox: Callable[[str, str], SpoolInbox], moving: Collection[str]) -> None:
    """Make the fetches of a killed process wait again, with what a C-MOVE brought until now.

    inbox: archive, series UID -> where its instances are written. moving: archives that may send by C-MOVE.
    """
    for attempt in ledger.fetches.interrupted():
        if attempt.archive in moving:
            _adopt_interrupted(attempt, inbox(attempt.archive, attempt.series_uid))
    ledger.fetches.resume()


def _adopt_interrupted(attempt: FetchRecord, inbox: SpoolInbox) -> None:
    """Record that what came to the receiver by an interrupted C-MOVE was fetched: it waits for the next attempt."""
    try:
        inbox.adopt(attempt.study_uid, since=attempt.begun_at)
    except (OSError, UnreadableFile) as fault:
        log.error(
            "series %s: images of an interrupted C-MOVE from archive %s may count as pushed (%s)",
            *(attempt.series_uid, attempt.archive, type(fault).__name__),
        )
