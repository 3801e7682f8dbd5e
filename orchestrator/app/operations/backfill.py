"""Backfills: begin, list, pause, resume and cancel them; a running service does the work."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import date

from orchestrator.app.installation.connections import find_searchable, load_plugins, start_workers
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.operations.explain import rules_in_force
from orchestrator.config import Settings
from orchestrator.domain.clock import utc_now
from orchestrator.domain.errors import UserError
from orchestrator.domain.fetching import (
    BackfillProgress,
    BackfillRecord,
    BackfillState,
    FetchState,
)
from orchestrator.domain.hours import Hours
from orchestrator.ledger import Ledger

ENDED = frozenset({BackfillState.DONE, BackfillState.CANCELLED})
MOST_PER_HOUR = 36_000


@dataclass(frozen=True, slots=True)
class BackfillStatus:
    """A backfill and its progress.

    fetched: number of series that were fetched. remaining: an estimate of those still to fetch, by the mean of the
    days that the archive was asked about. share: 0 to 1. seconds_left: at the pace of the last hour, None if unknown.
    """

    order: BackfillRecord
    progress: BackfillProgress
    fetched: int
    remaining: int
    share: float
    seconds_left: float | None


def begin(
    settings: Settings,
    *,
    rule: str,
    archive: str,
    first: date,
    last: date,
    per_hour: int | None = None,
    hours: str | None = None,
    newest_first: bool = True,
    by: str = "command line",
) -> BackfillRecord:
    """Return the new backfill; a running service works on it.

    per_hour: at most this many series an hour. hours: only in these hours of the day, as in 20:00-06:00.
    Raises UserError for an unknown rule or archive, wrong dates, hours or pace, or a missing name.
    """
    _check_name(by)
    if per_hour is not None and not 1 <= per_hour <= MOST_PER_HOUR:
        raise UserError(f"the pace is {per_hour} series an hour; it can be 1 to {MOST_PER_HOUR}")
    if first > last:
        raise UserError(f"the days go from {first} to {last}: the first one comes after the last one")
    rules_in_force(settings).rule(rule)
    with closing(start_workers(settings)) as workers:
        find_searchable(settings, load_plugins(workers), archive)
    order = BackfillRecord(
        rule=rule,
        archive=archive,
        first=first,
        last=last,
        newest_first=newest_first,
        per_hour=per_hour,
        hours=_hours(hours),
        by=by,
        created_at=utc_now(),
    )
    with closing(Ledger.open(settings.data.database)) as ledger:
        return ledger.backfills.add(order)


def move(settings: Settings, number: int, state: BackfillState, *, by: str) -> BackfillRecord:
    """Return the backfill in its new state: paused, running again or cancelled for good.

    Raises UnknownRecord; ForbiddenTransition where it cannot become that; UserError without a name.
    """
    _check_name(by)
    with closing(ledger_of(settings)) as ledger:
        return ledger.backfills.move(number, state, by=by)


def list_statuses(settings: Settings) -> list[BackfillStatus]:
    """Return all backfills, the oldest first."""
    with closing(ledger_of(settings)) as ledger:
        return [_status(ledger, order) for order in ledger.backfills.all()]


def find_status(ledger: Ledger, number: int) -> BackfillStatus:
    """Return one backfill.

    Raises UnknownRecord.
    """
    return _status(ledger, ledger.backfills.get(number))


def _check_name(by: str) -> None:
    if not by.strip():
        raise UserError("a backfill needs the name of the person who asks for it")


def _hours(text: str | None) -> Hours | None:
    if text is None:
        return None
    try:
        return Hours.parse(text)
    except ValueError as fault:
        raise UserError(str(fault)) from None


def _status(ledger: Ledger, order: BackfillRecord) -> BackfillStatus:
    progress = ledger.backfills.progress(order.number)
    waiting = progress.fetches.get(FetchState.WAITING, 0) + progress.fetches.get(FetchState.FETCHING, 0)
    fetched = progress.matched - waiting - progress.fetches.get(FetchState.CANCELLED, 0)
    of_a_day = progress.matched / progress.days if progress.days else 0.0
    remaining = waiting + round(of_a_day * (order.days - progress.days))
    pace = progress.begun_lately / progress.seconds_lately if progress.seconds_lately else 0.0
    return BackfillStatus(
        order=order,
        progress=progress,
        fetched=fetched,
        remaining=0 if order.state in ENDED else remaining,
        share=_share(order, progress, waiting),
        seconds_left=remaining / pace if pace and order.state is BackfillState.RUNNING else None,
    )


def _share(order: BackfillRecord, progress: BackfillProgress, waiting: int) -> float:
    """Return how much of the days is done, 0 to 1; the current day counts by its series."""
    if order.state is BackfillState.DONE:
        return 1.0
    behind = waiting / progress.matched * progress.days if progress.matched else 0.0
    return min(1.0, max(0.0, progress.days - behind) / order.days)
