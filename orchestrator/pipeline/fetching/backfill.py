"""Backfills: old studies of an archive are processed by one rule, day by day, after all live work.

Each day is searched once: one transaction records the search and the series that it found. So a killed process
continues where it was, and fetches at most one series twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from orchestrator.backoff import Backoff
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import ArchiveError, OrchestratorError, StorageFull, UserError
from orchestrator.domain.fetching import (
    WATCHING,
    BackfillDay,
    BackfillRecord,
    BackfillState,
    FetchRecord,
    FetchState,
)
from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.ports import FoundSeries, Readable, Searchable
from orchestrator.domain.records import SeriesState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching.fetch import Fetching
from orchestrator.rules import Rule, RuleSet, may_match, to_query

IN_FLIGHT = 32
"""Most series of one backfill that are fetched and not finished; this bounds the space on the disk."""
IDLE_SECONDS = 1.0
WAITS = Backoff(1.0, 300.0)
NOTHING_CAME = timedelta(hours=6)
_UNDONE = frozenset({JobState.FAILED, JobState.PARKED})
_S = FetchState


class SearchedArchive(Searchable, Readable, Protocol):
    """An archive that can be searched and from which series can be fetched."""

    @property
    def name(self) -> str:
        """The archive's name in the settings."""


@dataclass(frozen=True, slots=True)
class PastArchive:
    """An archive to backfill from. is_watched: the fetches of its watch go first."""

    archive: SearchedArchive
    fetching: Fetching
    is_watched: bool = False


@dataclass(slots=True)
class _Pace:
    """When the next step of a backfill is due: later and later while steps fail."""

    next_turn: float = 0.0
    failures: int = 0


class Backfilling:
    """Executes all running backfills in turns. Not thread-safe: it has a thread of its own.

    archive: name -> the archive; raises UserError. check_space: raises StorageFull where the rest of the disk is
    needed for live images.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Callable[[], RuleSet],
        archive: Callable[[str], PastArchive],
        *,
        check_space: Callable[[], object],
        in_flight: int = IN_FLIGHT,
        clock: Clock = utc_now,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._archive = archive
        self._check_space = check_space
        self._in_flight = in_flight
        self._clock = clock
        self._archives: dict[str, PastArchive] = {}
        self._paces: dict[int, _Pace] = {}

    def turn(self) -> float:
        """Take one step of each running backfill; return the seconds until the next turn."""
        busy = False
        for order in self._ledger.backfills.all():
            pace = self._paces.setdefault(order.number, _Pace())
            if order.state is BackfillState.RUNNING:
                busy |= time.monotonic() >= pace.next_turn and self._stepped(order, pace)
            elif order.state is not BackfillState.DONE:
                self._settle(order)  # jobs of series that were fetched before go on
        return 0.0 if busy else IDLE_SECONDS

    def step(self, order: BackfillRecord) -> bool:
        """Fetch one series, or search one day, or end the backfill; return whether there was something to do.

        Raises ArchiveUnavailable, ArchiveRefused, StorageFull, UserError, OSError.
        """
        self._settle(order)
        if not self._may_go_on(order):
            return False
        past = self._past(order)
        waiting = self._ledger.fetches.search(order.archive, order.number, _S.WAITING, due_by=self._clock(), limit=1)
        if waiting:
            self._check_space()
            past.fetching.fetch(waiting[0])
            return True
        counts = self._ledger.fetches.count(order.archive, order.number)
        if counts[_S.WAITING]:
            return False
        day = self._next_day(order)
        if day is not None:
            self._search_day(order, day, past.archive)
        elif not counts[_S.FETCHED]:
            self._ledger.backfills.move(order.number, BackfillState.DONE)
        return day is not None

    def _stepped(self, order: BackfillRecord, pace: _Pace) -> bool:
        try:
            stepped = self.step(order)
        except (ArchiveError, StorageFull, UserError, OSError) as fault:
            reason = str(fault) if isinstance(fault, OrchestratorError) else f"{type(fault).__name__} of this machine"
            self._ledger.backfills.record_wait(order.number, reason)
            pace.failures += 1
            pace.next_turn = time.monotonic() + WAITS.seconds(pace.failures)
            return False
        if stepped and order.error:
            self._ledger.backfills.record_wait(order.number, "")
        pace.failures = 0
        return stepped

    def _past(self, order: BackfillRecord) -> PastArchive:
        if order.archive not in self._archives:
            self._archives[order.archive] = self._archive(order.archive)
        return self._archives[order.archive]

    def _may_go_on(self, order: BackfillRecord) -> bool:
        """Return whether its hours, its pace, live work and its unfinished series allow a fetch now."""
        now = self._clock()
        if order.hours is not None and order.hours.opening(now) > now:
            return False
        if self._past(order).is_watched:
            live = self._ledger.fetches.search(order.archive, WATCHING, _S.WAITING, due_by=now, limit=1)
            if live:
                return False
        if self._ledger.fetches.count(order.archive, order.number)[_S.FETCHED] >= self._in_flight:
            return False
        return not self._is_too_fast(order, now)

    def _is_too_fast(self, order: BackfillRecord, now: datetime) -> bool:
        if order.per_hour is None:
            return False
        last = self._ledger.backfills.last_start(order.number)
        return last is not None and now < last + timedelta(hours=1) / order.per_hour

    def _next_day(self, order: BackfillRecord) -> date | None:
        """Return the next day to search, None where all were searched."""
        searched_days = {day.day for day in self._ledger.backfills.days(order.number)}
        days = [order.first + timedelta(days=number) for number in range(order.days)]
        return next((day for day in (reversed(days) if order.newest_first else days) if day not in searched_days), None)

    def _search_day(self, order: BackfillRecord, day: date, archive: SearchedArchive) -> None:
        """Search one day in the archive, and record the series to fetch."""
        rule = self._rules().rule(order.rule)
        by_uid = {series.series_uid: series for series in _search(rule, day, archive)}
        candidates = [series for series in by_uid.values() if self._may_match(rule, order, series)]
        needless = self._without_need(order, [series.series_uid for series in candidates])
        fetches = [self._fetch_record(order, series) for series in candidates if series.series_uid not in needless]
        count = len(by_uid)
        record = BackfillDay(
            run=order.number, day=day, found=count, skipped=count - len(fetches), listed_at=self._clock()
        )
        self._ledger.backfills.put_day(record, fetches)

    def _may_match(self, rule: Rule, order: BackfillRecord, series: FoundSeries) -> bool:
        return may_match((rule,), {**series.headers, "Source": (order.archive,)})

    def _without_need(self, order: BackfillRecord, uids: Collection[str]) -> frozenset[str]:
        """Return those series that the host wrote, that the rule was applied to, or that another day found."""
        other_days = frozenset(self._ledger.fetches.find(order.archive, uids, order.number))
        earlier = self._ledger.backfills.ruled_series(order.rule, uids)
        return self._ledger.objects.known_series(uids) | earlier | other_days

    def _fetch_record(self, order: BackfillRecord, series: FoundSeries) -> FetchRecord:
        now = self._clock()
        return FetchRecord(
            archive=order.archive,
            series_uid=series.series_uid,
            run=order.number,
            study_uid=series.study_uid,
            rule=order.rule,
            count=series.count,
            due_at=now,
            changed_at=now,
        )

    def _settle(self, order: BackfillRecord) -> None:
        """Record the end of fetches whose series are finished."""
        in_flight = self._ledger.fetches.search(order.archive, order.number, _S.FETCHED, limit=self._in_flight)
        records = [replace(fetch, state=state) for fetch in in_flight if (state := self._end(fetch)) is not None]
        if records:
            self._ledger.fetches.put(records)

    def _end(self, fetch: FetchRecord) -> FetchState | None:
        """Return how the fetch ended, None while it has not."""
        series = self._ledger.series.find(fetch.series_uid)
        if series is None or series.state is not SeriesState.RELEASED:
            return _S.FAILED if self._is_forgotten(fetch) else None
        jobs = [job for job in self._ledger.jobs.search(series_uid=fetch.series_uid) if job.rule == fetch.rule]
        states = {job.state for job in jobs if job.revision == series.revision}
        if not states:
            return _S.UNWANTED if self._was_released(fetch) else None
        if not states <= ENDED:
            return None
        return _S.FAILED if states & _UNDONE else _S.DONE

    def _was_released(self, fetch: FetchRecord) -> bool:
        """Return whether the series was released after this fetch began, not only after an earlier one."""
        events = self._ledger.events.after(subject=fetch.series_uid)
        return any(event.kind == "series.released" and event.at >= (fetch.begun_at or event.at) for event in events)

    def _is_forgotten(self, fetch: FetchRecord) -> bool:
        """Return whether no series came of the fetch for hours, as where all files are broken."""
        return fetch.begun_at is not None and self._clock() > fetch.begun_at + NOTHING_CAME


def _search(rule: Rule, day: date, archive: Searchable) -> Iterator[FoundSeries]:
    """Yield the series of one day that the rule may match; also others, and some twice."""
    for query in to_query(rule):
        yield from archive.find({**query, "StudyDate": day.isoformat().replace("-", "")})
