"""Brings one series after the other out of an archive into the spool; what began is known after a kill -9."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from orchestrator.archive import SpoolInbox
from orchestrator.backoff import Backoff
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.domain.ports import FoundSeries, Readable
from orchestrator.ledger import Ledger

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
RETRIES = Backoff(5.0, 3600.0)
TRIES = 3
"""An archive that answers all but for one series so many times refuses that series, whatever it says."""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class Fetching:
    """The way of series out of one archive; one fetch at a time.

    inbox: series UID -> where its instances are kept.
    """

    def __init__(
        self, archive: Readable, ledger: Ledger, inbox: Callable[[str], SpoolInbox], clock: Clock = utc_now
    ) -> None:
        self._archive = archive
        self._ledger = ledger
        self._inbox = inbox
        self._clock = clock

    def fetch(self, wanted: FetchRecord) -> FetchRecord:
        """Return the fetch as it stands afterwards: fetched, or waiting for its next attempt where it was refused.

        Raises ArchiveUnavailable, StorageFull, OSError; its next attempt is later then too.
        """
        begun = replace(
            wanted, state=FetchState.FETCHING, attempts=wanted.attempts + 1, begun_at=self._clock(), error=""
        )
        self._ledger.fetches.put([begun])
        inbox = self._inbox(wanted.series_uid)
        try:
            return self._whole(begun, inbox, self._brought(begun, inbox))
        except Exception as fault:
            inbox.close(whole=False)
            if isinstance(fault, ArchiveRefused) or (isinstance(fault, ArchiveUnavailable) and begun.attempts > TRIES):
                return self._later(begun, str(fault), told=wanted.error)
            self._later(begun, error="", told="")
            raise

    def announce(self, fetched: FetchRecord, complete: str) -> None:
        """Tell that what was fetched before is all, as the archive says now."""
        self._inbox(fetched.series_uid).announce(fetched.fetched, complete)

    def _brought(self, begun: FetchRecord, inbox: SpoolInbox) -> int:
        series = FoundSeries(begun.study_uid, begun.series_uid, count=begun.count)
        count = self._archive.fetch(series, inbox)
        if not count:
            raise ArchiveRefused(f"archive {begun.archive!r} hands out no instance of series {begun.series_uid}")
        if not inbox.arrivals:
            inbox.adopt(begun.study_uid)
        return count

    def _whole(self, begun: FetchRecord, inbox: SpoolInbox, count: int) -> FetchRecord:
        """Put down that it is whole before that is told: who hears of it asks the ledger."""
        fetched = replace(
            begun, state=FetchState.FETCHED, fetched=count, fetches=begun.fetches + 1, attempts=0, error=""
        )
        self._ledger.fetches.put([fetched])
        all_came = begun.count is None or count >= begun.count
        if not all_came:  # a broken file, or an archive that counts what it does not hand out
            said = f"{begun.archive} counts {begun.count} instances and handed out {count} that can be kept"
            self._tell("fetch-short", begun.series_uid, said)
        inbox.close(whole=all_came, complete=begun.complete)
        return fetched

    def _later(self, begun: FetchRecord, error: str, told: str = "") -> FetchRecord:
        """Return the fetch with its next attempt later and later, so that it holds up no other."""
        due_at = self._clock() + timedelta(seconds=RETRIES.seconds(begun.attempts))
        later = replace(begun, state=FetchState.WAITING, due_at=due_at, error=error)
        self._ledger.fetches.put([later])
        if error != told:
            self._tell("fetch-refused", begun.series_uid, error)
        return later

    def _tell(self, kind: str, series_uid: str, text: str) -> None:
        log.warning("%s of series %s: %s", kind, series_uid, text)
        self._ledger.events.record(kind, series_uid, text)
