"""Backfills: the orders, their days and their progress."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.fetching import (
    BackfillDay,
    BackfillProgress,
    BackfillRecord,
    BackfillState,
    FetchRecord,
    FetchState,
    backfill_move,
)
from orchestrator.domain.job import JobState
from orchestrator.ledger import tables
from orchestrator.ledger.events import kind_of, moved, write_event
from orchestrator.ledger.fetches import put_fetches
from orchestrator.ledger.repository import Repository, columns, count_by, now, only, records, values

LATELY = timedelta(hours=1)
_AT_ONCE = 1000


class BackfillRepository(Repository):
    """Backfills only ever move along orchestrator.domain.fetching.BACKFILL_MOVES."""

    def add(self, order: BackfillRecord) -> BackfillRecord:
        """Return the order with the number that it has from now on."""
        row = values(order)
        del row["number"]
        with self._database.writing() as connection:
            insert = sa.insert(tables.backfills).values(**row).returning(tables.backfills.c.number)
            number: int = connection.execute(insert).scalar_one()
            text = f"rule {order.rule} on archive {order.archive}, studies of {order.first} to {order.last}"
            write_event(connection, kind_of("backfill", order.state), subject_of(number), text, order.by or "host")
        return replace(order, number=number)

    def get(self, number: int) -> BackfillRecord:
        """Return the backfill with this number.

        Raises UnknownRecord.
        """
        with self._database.reading() as connection:
            return _one(connection, _query().where(tables.backfills.c.number == number), number)

    def all(self, state: BackfillState | None = None) -> tuple[BackfillRecord, ...]:
        """Return all backfills, or those in a state, the oldest first."""
        query = _query().order_by(tables.backfills.c.number)
        if state is not None:
            query = query.where(tables.backfills.c.state == state)
        with self._database.reading() as connection:
            return records(connection, BackfillRecord, query)

    def move(self, number: int, state: BackfillState, *, by: str = "host") -> BackfillRecord:
        """Return the backfill in its new state; a cancelled one fetches nothing more.

        Raises UnknownRecord, ForbiddenTransition.
        """
        table = tables.backfills
        with self._database.writing() as connection:
            before = _one(connection, _query().where(table.c.number == number).with_for_update(), number)
            try:
                backfill_move(before.state, state)
            except ForbiddenTransition as forbidden:
                raise ForbiddenTransition(f"backfill {number}: {forbidden}") from None
            ended = now() if state in {BackfillState.DONE, BackfillState.CANCELLED} else None
            change = {"state": state, "ended_at": ended, "error": ""}
            connection.execute(sa.update(table).where(table.c.number == number).values(**change))
            if state is BackfillState.CANCELLED:
                _cancel_fetches(connection, number)
            text = moved(before.state, state)
            write_event(connection, kind_of("backfill", state), subject_of(number), text, by)
            return replace(before, state=state, ended_at=ended, error="")

    def record_wait(self, number: int, error: str) -> None:
        """Record why a backfill is stuck, empty where it is not; the first reason is an event."""
        table = tables.backfills
        with self._database.writing() as connection:
            before = _one(connection, _query().where(table.c.number == number).with_for_update(), number)
            connection.execute(sa.update(table).where(table.c.number == number).values(error=error))
            if error and not before.error:
                write_event(connection, "backfill-waits", subject_of(number), error)

    def put_day(self, day: BackfillDay, fetches: Iterable[FetchRecord]) -> bool:
        """Add a day with its fetches in one transaction; return False where the day is known."""
        with self._database.writing() as connection:
            if not insert_new(connection, tables.backfill_days, values(day)):
                return False
            put_fetches(connection, fetches)
            return True

    def days(self, number: int) -> tuple[BackfillDay, ...]:
        """Return the days that were searched."""
        table = tables.backfill_days
        query = sa.select(*columns(BackfillDay, table)).where(table.c.run == number).order_by(table.c.day)
        with self._database.reading() as connection:
            return records(connection, BackfillDay, query)

    def last_start(self, number: int) -> datetime | None:
        """Return when the newest fetch of a backfill began, None where none did."""
        fetches = tables.fetches.c
        with self._database.reading() as connection:
            last: datetime | None = connection.scalar(
                sa.select(sa.func.max(fetches.begun_at)).where(fetches.run == number)
            )
            return last

    def ruled_series(self, rule: str, series_uids: Collection[str]) -> frozenset[str]:
        """Return those of the series that the rule sent to a model before."""
        jobs, rest, matches = tables.jobs.c, iter(series_uids), set[str]()
        query = sa.select(jobs.series_uid).where(jobs.rule == rule, jobs.state != JobState.SUPERSEDED)
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                matches.update(connection.scalars(query.where(jobs.series_uid.in_(some))))
        return frozenset(matches)

    def progress(self, number: int) -> BackfillProgress:
        """Return the progress of the backfill.

        Raises UnknownRecord.
        """
        days, fetches = tables.backfill_days.c, tables.fetches.c
        sums = sa.select(sa.func.count(), sa.func.sum(days.found), sa.func.sum(days.skipped)).where(days.run == number)
        moment = now()
        begun = sa.select(sa.func.count()).where(fetches.run == number, fetches.begun_at >= moment - LATELY)
        with self._database.reading() as connection:
            order = _one(connection, _query().where(tables.backfills.c.number == number), number)
            days_count, series_count, skipped_count = connection.execute(sums).one()
            return BackfillProgress(
                days=days_count,
                found=int(series_count or 0),
                skipped=int(skipped_count or 0),
                fetches=count_by(connection, fetches.state, fetches.run == number),
                begun_lately=connection.scalar(begun) or 0,
                seconds_lately=min(LATELY, moment - order.created_at).total_seconds(),
            )


def subject_of(number: int) -> str:
    """Return how events name a backfill."""
    return f"backfill-{number}"


def _cancel_fetches(connection: sa.Connection, number: int) -> None:
    table = tables.fetches
    waiting = sa.and_(table.c.run == number, table.c.state == FetchState.WAITING)
    connection.execute(sa.update(table).where(waiting).values(state=FetchState.CANCELLED))


def _one(connection: sa.Connection, query: sa.Select[Any], number: int) -> BackfillRecord:
    return only(
        records(connection, BackfillRecord, query),
        f"no backfill {number} in the ledger; see: orchestrator backfill list",
    )


def _query() -> sa.Select[Any]:
    return sa.select(*columns(BackfillRecord, tables.backfills))
