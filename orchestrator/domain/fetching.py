"""What the host takes from archives by itself: watches, fetches and backfills, as the ledger keeps them; UIDs only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.hours import Hours

WATCHING = 0
"""Stands for a backfill's number where a fetch belongs to none: the archive is watched."""


class FetchState(StrEnum):
    """Where one series is on its way out of an archive; the last four only a backfill's fetches reach, but UNWANTED."""

    WAITING = "waiting"
    FETCHING = "fetching"
    FETCHED = "fetched"  # whole in the spool
    UNWANTED = "unwanted"  # no rule could be for it; or, once it was fetched, the rule was not
    DONE = "done"  # whatever its jobs were to do has ended well
    FAILED = "failed"  # a job of it failed, or nothing came of it
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRecord:
    """One series that an archive holds and this host wants, or does not.

    run: number of the backfill that asks for it, WATCHING for none. rule: the only one it is fetched for; empty = any.
    count: instances in the archive at the last look, None where it does not say; fetched: that the last whole
    fetch brought. complete: why the archive says that nothing more will come; empty where it does not.
    fetches: whole ones; attempts: those begun since the last whole one.
    due_at: not before then. changed_at: when the last look saw it change.
    error: why the last attempt failed; of an unwanted series, why no rule could be for it.
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
    """How the watch of one archive stands. waits_since: when looks or fetches began to fail; error: why."""

    archive: str
    cursor: str = ""
    looked_at: datetime | None = None
    waits_since: datetime | None = None
    error: str = ""


class BackfillState(StrEnum):
    """Where a backfill is; the last two are ends."""

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
    """An order to work off an archive's past: the studies of some days, by one rule.

    number: given by the ledger. first, last: study dates, both included. per_hour: most series fetched in an hour,
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
    """A day that was asked for. found: series of it in the archive; skipped: those that need no fetch."""

    run: int
    day: date
    found: int
    skipped: int
    listed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillProgress:
    """How far a backfill has come.

    days: asked for so far. found = skipped + all in ``fetches``. begun_lately: fetches begun in the last hour;
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
        """Series that the rule could be for."""
        return sum(self.fetches.values())


def backfill_move(before: BackfillState, after: BackfillState) -> BackfillState:
    """Return ``after`` where the move is allowed.

    Raises ForbiddenTransition.
    """
    if after not in BACKFILL_MOVES[before]:
        raise ForbiddenTransition(f"a backfill that is {before} cannot become {after}")
    return after
