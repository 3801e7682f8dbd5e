"""Which archive a file or a series was fetched from, also where a C-MOVE sent it to the receiver."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from orchestrator.archive import RECEIVER, Arrival
from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.pending_series import PendingSeries
from orchestrator.pipeline.arrival.quarantine import sender_of


class RecordedSources(Protocol):
    """The part of the spool that says which archive a file was fetched from."""

    def recorded_source(self, path: Path) -> str:
        """Return the archive that a file was fetched from although its header does not say so, empty where none."""


class Origins:
    """Tells fetched images from pushed ones: a backfill's images go to its rule only."""

    def __init__(self, ledger: Ledger, sources: RecordedSources) -> None:
        self._ledger = ledger
        self._sources = sources

    def source(self, series: PendingSeries) -> str:
        """Return where the series came from: the source of its newest file.

        The notification of the receiver cannot say that a C-MOVE brought the file, and the notification of the fetch
        may be late or lost, so the spool is asked. A file that was there before was pushed again: that is live work.
        """
        return self.fetched_from(series.arrival) or RECEIVER

    def fetched_from(self, arrival: Arrival) -> str:
        """Return the archive that a file was fetched from, or the folder; empty for a push."""
        if arrival.source != RECEIVER or arrival.duplicate:
            return "" if arrival.source == RECEIVER else arrival.source
        return self._sources.recorded_source(arrival.path)

    def ordered_by(self, arrival: Arrival) -> str:
        """Return the archive that a file was fetched from, or that is being asked for its series now."""
        if source := self.fetched_from(arrival):
            return source
        fetches = self._ledger.fetches.pending([arrival.series_uid]) if arrival.series_uid else ()
        return next((fetch.archive for fetch in fetches if fetch.state is FetchState.FETCHING), "")

    def sent_again_by(self, series: PendingSeries, arrival: Arrival) -> str:
        """Return the archive that sends a known image again, because its C-MOVE broke off before; empty for a push."""
        if not arrival.duplicate or arrival.source != RECEIVER:
            return ""
        fetches = self._ledger.fetches.pending([series.series_uid])
        return next((fetch.archive for fetch in fetches if self._moves(fetch, series, arrival)), "")

    def holds_more(self, fetch: FetchRecord, series: PendingSeries) -> bool:
        """Return whether the archive of a pending fetch brought the newest file: its further images are awaited.

        While a fetch is under way it does not matter how the images came: those of a C-MOVE come to the receiver, and
        after it broke off the archive may send for a while.
        """
        if fetch.state is FetchState.FETCHING or fetch.archive == self.source(series):
            return True
        return series.arrival.source == RECEIVER and self._moves(fetch, series, series.arrival)

    def _moves(self, fetch: FetchRecord, series: PendingSeries, arrival: Arrival) -> bool:
        """Return whether a C-MOVE of this fetch brought images of the series from the sender of this file."""
        sender = sender_of(arrival)
        return fetch.attempts > 0 and any(
            instance.sender == sender and self._sources.recorded_source(instance.path) == fetch.archive
            for instance in series.instances.values()
        )
