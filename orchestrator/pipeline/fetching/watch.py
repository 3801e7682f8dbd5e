"""Watches archives: records new series in the ledger and fetches each one when it no longer grows.

One transaction moves the cursor and records the series that the poll found. So a killed process misses nothing, and
polls or fetches at most once too often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from orchestrator.backoff import Backoff
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.fetching import WATCHING, FetchRecord, FetchState
from orchestrator.domain.ports import Change, Readable, Watchable
from orchestrator.domain.series import Headers
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching.fetch import Fetching
from orchestrator.rules import RuleSet

LONGEST_PATIENCE = 64
"""A series that grows after each fetch is fetched again after 1, 2, 4 ... 64 times the seconds between polls."""

_OURS = "This host wrote the series."
_REVIEW_MODALITIES = frozenset({"SR", "SEG", "KO"})


class WatchedArchive(Watchable, Readable, Protocol):
    """An archive that can list changes and from which series can be fetched."""

    @property
    def name(self) -> str:
        """The archive's name in the settings."""


class Watch:
    """Polls one archive. Not thread-safe: it has a thread of its own."""

    def __init__(
        self,
        archive: WatchedArchive,
        ledger: Ledger,
        rules: Callable[[], RuleSet],
        fetching: Fetching,
        *,
        look_seconds: float,
        verdicts: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        """rules: returns the present rules. verdicts: whether to fetch documents that may hold a verdict."""
        self._archive = archive
        self._ledger = ledger
        self._rules = rules
        self._fetching = fetching
        self._look_seconds = look_seconds
        self._backoff = Backoff(look_seconds, look_seconds * LONGEST_PATIENCE)
        self._verdicts = verdicts
        self._clock = clock
        self._next_look = time.monotonic()
        self._looked_at: datetime | None = None
        self._is_failing = True  # an earlier process may have recorded so

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._archive.name

    def turn(self) -> float:
        """Poll or fetch one series, whichever is due; return the seconds until the next turn.

        Raises ArchiveUnavailable, ArchiveRefused, StorageFull, OSError.
        """
        if time.monotonic() >= self._next_look:
            more = self.look()
            self._next_look = time.monotonic() + (0.0 if more else self._look_seconds)
            return 0.0
        fetched = self.fetch_next()
        if self._is_failing:
            self._ledger.watches.resume(self.name)
            self._is_failing = False
        if fetched:
            return 0.0
        return max(0.0, self._next_look - time.monotonic())

    def record_failure(self, reason: str) -> None:
        """Record why a turn failed; the audit trail has one event when that begins and one when it ends."""
        self._ledger.watches.record_wait(self.name, reason, self._clock())
        self._is_failing = True

    def look(self) -> bool:
        """Record what changed since the last poll; return whether the archive has more changes.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        start = self._clock()
        page = self._archive.changes(self._ledger.watches.get(self.name).cursor)
        fetches = self._fetches(page.changes, start)
        self._ledger.watches.record_scan(self.name, page.cursor, fetches, self._clock())
        if not page.more:
            self._looked_at = start
        return page.more

    def fetch_next(self) -> bool:
        """Fetch one series that was due before the last complete poll; return False where there is none.

        Raises ArchiveUnavailable, StorageFull, OSError.
        """
        if self._looked_at is None:
            return False
        due = self._ledger.fetches.search(self.name, WATCHING, FetchState.WAITING, due_by=self._looked_at, limit=1)
        for fetch in due:
            self._fetching.fetch(fetch)
        return bool(due)

    def _fetches(self, changes: Sequence[Change], start: datetime) -> list[FetchRecord]:
        """Return the records of these changes, which a poll found that began at ``start``."""
        uids = [change.series.series_uid for change in changes]
        known, ours = self._ledger.fetches.find(self.name, uids), self._ledger.objects.known_series(uids)
        rules, review = self._rules(), self._review_series(changes, ours)
        fetches = []
        for change in changes:
            uid = change.series.series_uid
            before = known.get(uid)
            unwanted = "" if uid in review else _OURS if uid in ours else self._unwanted(change, rules)
            if not unwanted and before is not None and _is_here(change, before):
                self._fetching.announce(before, change.complete)
                continue
            due_at = start if change.complete else self._settling_time(before)
            fetches.append(self._after(change, before, unwanted=unwanted, due_at=due_at))
        return fetches

    def _unwanted(self, change: Change, rules: RuleSet) -> str:
        """Return why no rule may match the series, empty where one may."""
        headers = {**change.series.headers, "Source": (self.name,)}
        return "" if rules.may_match(headers) else rules.explain_mismatch(headers)

    def _review_series(self, changes: Sequence[Change], ours: Collection[str]) -> frozenset[str]:
        """Return the series that may hold a verdict: documents and segmentations of a study with a result.

        A viewer may store an edited object in the series of the original. The host writes one object into each
        series, so one of its series with more objects counts too.
        """
        if not self._verdicts:
            return frozenset()
        documents = [change.series for change in changes if _may_hold_verdict(change.series.headers)]
        studies = self._ledger.objects.known_in_studies({series.study_uid for series in documents})
        others = [series for series in documents if series.series_uid not in ours or (series.count or 0) > 1]
        return frozenset(series.series_uid for series in others if series.study_uid in studies)

    def _settling_time(self, before: FetchRecord | None) -> datetime:
        """Return when a series that changed now may be fetched, unless it changes again until then."""
        fetches = before.fetches if before else 0
        return self._clock() + timedelta(seconds=self._backoff.seconds(fetches + 1))

    def _after(self, change: Change, before: FetchRecord | None, *, unwanted: str, due_at: datetime) -> FetchRecord:
        """Return the record after a change. unwanted: why the series is not fetched, empty where it is."""
        found = change.series
        unchanged = before or FetchRecord(
            archive=self.name,
            series_uid=found.series_uid,
            study_uid=found.study_uid,
            due_at=due_at,
            changed_at=due_at,
        )
        return replace(
            unchanged,
            state=FetchState.UNWANTED if unwanted else FetchState.WAITING,
            study_uid=found.study_uid,
            count=found.count,
            complete=change.complete,
            due_at=due_at,
            changed_at=self._clock(),
            error=unwanted or (unchanged.error if unchanged.state is not FetchState.UNWANTED else ""),
        )


def _may_hold_verdict(headers: Headers) -> bool:
    """Return whether a series may hold SR, SEG or key objects, by its modality; an archive may leave that out."""
    return not {str(modality) for modality in headers.get("Modality", ())} - _REVIEW_MODALITIES


def _is_here(change: Change, before: FetchRecord) -> bool:
    """Return whether the change only says that the fetched series is complete.

    A change that does not say so means that an instance came, perhaps in place of another, with the count unchanged.
    """
    if before.state is not FetchState.FETCHED or not change.complete:
        return False
    return change.series.count in {None, before.fetched}
