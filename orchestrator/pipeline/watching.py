"""Watched archives: what is new is put down in the ledger, and fetched when nothing more seems to come.

The cursor moves with what the look found, in one transaction: a process that is killed at any moment
misses nothing, and looks or fetches at most once more than it had to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from orchestrator.backoff import Backoff
from orchestrator.domain.fetching import WATCHING, FetchRecord, FetchState
from orchestrator.domain.ports import Change, Readable, Watchable
from orchestrator.domain.series import Headers
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching import Clock, Fetching, utc_now
from orchestrator.rules import RuleSet

LONGEST_PATIENCE = 64
"""A series that grows after each fetch is fetched after 1, 2, 4 ... 64 times the looks' distance."""

_OURS = "This host wrote the series."
_STATING = frozenset({"SR", "SEG", "KO"})


class WatchedArchive(Watchable, Readable, Protocol):
    """An archive that tells what is new and hands it out."""

    @property
    def name(self) -> str:
        """The archive's name in the settings."""


class Watch:
    """One archive that is looked at. Not thread-safe: it has a thread of its own."""

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
        """Look at nothing yet; rules: those in force now; verdicts: whether to fetch what may judge a result."""
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
        self._waits = True  # an earlier process may have waited

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._archive.name

    def turn(self) -> float:
        """Look, or fetch one series, whichever is due; return the seconds until the next turn.

        Raises ArchiveUnavailable, ArchiveRefused, StorageFull, OSError.
        """
        if time.monotonic() >= self._next_look:
            more = self.look()
            self._next_look = time.monotonic() + (0.0 if more else self._look_seconds)
            return 0.0
        fetched = self.fetch_next()
        if self._waits:
            self._ledger.watches.resume(self.name)
            self._waits = False
        if fetched:
            return 0.0
        return max(0.0, self._next_look - time.monotonic())

    def waits(self, reason: str) -> None:
        """Keep why a turn could not be taken; there is one event when that begins and one when it is over."""
        self._ledger.watches.record_wait(self.name, reason, self._clock())
        self._waits = True

    def look(self) -> bool:
        """Put down what changed since the last look; return whether there is more at once.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        begun = self._clock()
        page = self._archive.changes(self._ledger.watches.get(self.name).cursor)
        noted = self._noted(page.changes, begun)
        self._ledger.watches.record_scan(self.name, page.cursor, noted, self._clock())
        if not page.more:
            self._looked_at = begun
        return page.more

    def fetch_next(self) -> bool:
        """Fetch one series that a whole look has seen settled; return False where there is none.

        Raises ArchiveUnavailable, StorageFull, OSError.
        """
        if self._looked_at is None:
            return False
        due = self._ledger.fetches.search(self.name, WATCHING, FetchState.WAITING, due_by=self._looked_at, limit=1)
        for fetch in due:
            self._fetching.fetch(fetch)
        return bool(due)

    def _noted(self, changes: Sequence[Change], begun: datetime) -> list[FetchRecord]:
        uids = [change.series.series_uid for change in changes]
        known, ours = self._ledger.fetches.find(self.name, uids), self._ledger.objects.known_series(uids)
        rules, judging = self._rules(), self._may_judge(changes, ours)
        noted = []
        for change in changes:
            uid = change.series.series_uid
            before = known.get(uid)
            unwanted = "" if uid in judging else _OURS if uid in ours else self._unwanted(change, rules)
            if not unwanted and before is not None and _is_here(change, before):
                self._fetching.announce(before, change.complete)
                continue
            due_at = begun if change.complete else self._patience(before)
            noted.append(self._after(change, before, unwanted=unwanted, due_at=due_at))
        return noted

    def _unwanted(self, change: Change, rules: RuleSet) -> str:
        """Return why no rule could be for the series, empty where one could."""
        headers = {**change.series.headers, "Source": (self.name,)}
        return "" if rules.may_match(headers) else rules.explain_mismatch(headers)

    def _may_judge(self, changes: Sequence[Change], ours: Collection[str]) -> frozenset[str]:
        """Return the series that may hold a verdict: documents and segmentations of a study with a result of ours.

        A viewer may put what was edited into the series of the original: a series of ours with more than the one
        object that the host writes into each.
        """
        if not self._verdicts:
            return frozenset()
        said = [change.series for change in changes if _may_state(change.series.headers)]
        judged = self._ledger.objects.known_in_studies({series.study_uid for series in said})
        others = [series for series in said if series.series_uid not in ours or (series.count or 0) > 1]
        return frozenset(series.series_uid for series in others if series.study_uid in judged)

    def _patience(self, before: FetchRecord | None) -> datetime:
        """Return when a series that changed now may be fetched, unless it changes again before."""
        fetches = before.fetches if before else 0
        return self._clock() + timedelta(seconds=self._backoff.seconds(fetches + 1))

    def _after(self, change: Change, before: FetchRecord | None, *, unwanted: str, due_at: datetime) -> FetchRecord:
        """Return how the series stands after a change. unwanted: why it is not to be fetched, empty where it is."""
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


def _may_state(headers: Headers) -> bool:
    """Return whether a series may hold SR, SEG or key objects: by its modality, which an archive may leave out."""
    return not {str(modality) for modality in headers.get("Modality", ())} - _STATING


def _is_here(change: Change, before: FetchRecord) -> bool:
    """Return whether the change only says that what was fetched is all.

    Without such a word an instance came, be it in the place of another: then the same count is no sameness.
    """
    if before.state is not FetchState.FETCHED or not change.complete:
        return False
    return change.series.count in {None, before.fetched}
