"""Orders to work off an archive's past: checked, kept in the ledger, and shown as they get on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import date

from orchestrator.app.installation.connections import load_plugins, past_archive, start_workers
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.app.operations.explain import rules_in_force
from orchestrator.config import Settings
from orchestrator.domain.errors import UserError
from orchestrator.domain.fetching import (
    BackfillProgress,
    BackfillRecord,
    BackfillState,
    FetchState,
)
from orchestrator.domain.hours import Hours
from orchestrator.ledger import Ledger
from orchestrator.pipeline.fetching import utc_now

ENDED = frozenset({BackfillState.DONE, BackfillState.CANCELLED})


@dataclass(frozen=True, slots=True)
class BackfillFile:
    """A backfill and how far it has come.

    fetched: series that are here; remaining: known to be fetched still, and as many for each day that was not
    asked for yet as for those that were. seconds_left: at the pace of the last hour; None where there is none.
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
    by: str = "",
) -> BackfillRecord:
    """Return the new backfill; a running service takes it up.

    Raises UserError where rule, archive, dates or hours are none.
    """
    if first > last:
        raise UserError(f"the days go from {first} to {last}: the first one comes after the last one")
    rules_in_force(settings).rule(rule)
    with closing(start_workers(settings)) as workers:
        past_archive(settings, load_plugins(workers), archive)
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


def files(settings: Settings) -> list[BackfillFile]:
    """Return all backfills, the oldest first."""
    with closing(ledger_of(settings)) as ledger:
        return [_file(ledger, order) for order in ledger.backfills.all()]


def file(ledger: Ledger, number: int) -> BackfillFile:
    """Return one backfill.

    Raises UnknownRecord.
    """
    return _file(ledger, ledger.backfills.get(number))


def _hours(written: str | None) -> Hours | None:
    if written is None:
        return None
    try:
        return Hours.parse(written)
    except ValueError as fault:
        raise UserError(str(fault)) from None


def _file(ledger: Ledger, order: BackfillRecord) -> BackfillFile:
    progress = ledger.backfills.progress(order.number)
    waiting = progress.fetches.get(FetchState.WAITING, 0) + progress.fetches.get(FetchState.FETCHING, 0)
    fetched = progress.matched - waiting - progress.fetches.get(FetchState.CANCELLED, 0)
    of_a_day = progress.matched / progress.days if progress.days else 0.0
    remaining = waiting + round(of_a_day * (order.days - progress.days))
    pace = progress.begun_lately / progress.seconds_lately if progress.seconds_lately else 0.0
    return BackfillFile(
        order=order,
        progress=progress,
        fetched=fetched,
        remaining=0 if order.state in ENDED else remaining,
        share=_share(order, progress, waiting),
        seconds_left=remaining / pace if pace and order.state is BackfillState.RUNNING else None,
    )


def _share(order: BackfillRecord, progress: BackfillProgress, waiting: int) -> float:
    """Return how much of the days is worked off, 0 to 1; the day in hand counts by its series."""
    if order.state is BackfillState.DONE:
        return 1.0
    behind = waiting / progress.matched * progress.days if progress.matched else 0.0
    return min(1.0, max(0.0, progress.days - behind) / order.days)
