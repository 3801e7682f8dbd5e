"""Watches, fetches and backfills as the ledger stores them; UIDs only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.hours import Hours

WATCHING = 0
"""The backfill number of a fetch that belongs to a watch and not to a backfill."""


class FetchState(StrEnum):
    """State of one fetch. Only fetches of a backfill become DONE, FAILED or CANCELLED."""

    WAITING = "waiting"
    FETCHING = "fetching"
    FETCHED = "fetched"  # complete in the spool
    UNWANTED = "unwanted"  # no rule can match it; or, after the fetch, the rule did not match
    DONE = "done"  # all its jobs ended well
    FAILED = "failed"  # one of its jobs failed, or the fetch brought nothing
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRecord:
    """One series that an archive holds, and whether and how this host fetches it.

    run: number of the backfill, WATCHING for none. rule: the only rule it is fetched for; empty = any.
    count: instances in the archive at the last scan, None where the archive does not say; fetched: instances of the
    last complete fetch. complete: why the archive says that the series is complete; empty where it does not.
    fetches: complete ones; attempts: started since the last complete one.
    due_at: not before then. changed_at: when a scan last saw the series change.
    error: why the last attempt failed; of an unwanted series, why no rule can match it.
    """

    archive: str
    series_uid: str
    run: int = WATCHING
    study_uid: str
    rule: str = ""
    state: FetchState = FetchState.WAITING
    count: int | None = None
    fetched: int = 0
    complete: str = ""
    fetches: int = 0
    attempts: int = 0
    due_at: datetime
    begun_at: datetime | None = None
    changed_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRecord:
    """State of the watch of one archive. waits_since: when scans or fetches began to fail; error: why."""

    archive: str
    cursor: str = ""
    looked_at: datetime | None = None
    waits_since: datetime | None = None
    error: str = ""


class BackfillState(StrEnum):
    """State of a backfill; DONE and CANCELLED are final."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


_S = BackfillState
BACKFILL_MOVES: Mapping[BackfillState, frozenset[BackfillState]] = {
    _S.RUNNING: frozenset({_S.PAUSED, _S.DONE, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.DONE: frozenset(),
    _S.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRecord:
    """An order to process past studies of an archive: a range of study dates, by one rule.

    number: assigned by the ledger. first, last: study dates, both included. per_hour: most series fetched in an hour,
    None = no limit. hours: when it may fetch; None = always.
    """

    number: int = WATCHING
    rule: str
    archive: str
    first: date
    last: date
    newest_first: bool = True
    per_hour: int | None = None
    hours: Hours | None = None
    state: BackfillState = BackfillState.RUNNING
    by: str = ""
    created_at: datetime
    ended_at: datetime | None = None
    error: str = ""

    @property
    def days(self) -> int:
        """How many study dates there are."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillDay:
    """One searched study date. found: its series in the archive; skipped: those that need no fetch."""

    run: int
    day: date
    found: int
    skipped: int
    listed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillProgress:
    """Progress of a backfill.

    days: searched so far. found = skipped + all in ``fetches``. begun_lately: fetches started in the last hour;
    seconds_lately: how much of that hour the backfill existed.
    """

    days: int = 0
    found: int = 0
    skipped: int = 0
    fetches: Mapping[FetchState, int] = field(default_factory=dict)
    begun_lately: int = 0
    seconds_lately: float = 0.0

    @property
    def matched(self) -> int:
        """Number of series that the rule can match."""
        return sum(self.fetches.values())


def backfill_move(before: BackfillState, after: BackfillState) -> BackfillState:
    """Return ``after`` where the move is allowed.

    Raises ForbiddenTransition.
    """
    if after not in BACKFILL_MOVES[before]:
        raise ForbiddenTransition(f"a backfill that is {before} cannot become {after}")
    return after
