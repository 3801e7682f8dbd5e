"""Fetches: each series fetched from an archive, and its state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from orchestrator.database import upsert
from orchestrator.domain.fetching import WATCHING, FetchRecord, FetchState
from orchestrator.ledger import tables
from orchestrator.ledger.repository import Repository, columns, count_by, records, values

_AT_ONCE = 1000
_S = FetchState
_GONE = frozenset({_S.FETCHED, _S.UNWANTED, _S.DONE, _S.FAILED, _S.CANCELLED})
"""States in which nothing is to be fetched."""


class FetchRepository(Repository):
    """One process writes here, the watcher; all others read."""

    def put(self, fetches: Iterable[FetchRecord]) -> None:
        """Add or replace the fetches."""
        with self._database.writing() as connection:
            put_fetches(connection, fetches)

    def find(self, archive: str, series_uids: Collection[str], run: int = WATCHING) -> Mapping[str, FetchRecord]:
        """Return the fetches of these series, by UID."""
        table, rest = tables.fetches, iter(series_uids)
        query = _query().where(table.c.archive == archive, table.c.run == run)
        fetches: list[FetchRecord] = []
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                fetches += records(connection, FetchRecord, query.where(table.c.series_uid.in_(some)))
        return {record.series_uid: record for record in fetches}

    def of_study(self, study_uid: str, limit: int = 200) -> tuple[FetchRecord, ...]:
        """Return the fetches of a study from watched archives, the last changed first."""
        table = tables.fetches
        query = _query().where(table.c.study_uid == study_uid, table.c.run == WATCHING)
        with self._database.reading() as connection:
            return records(connection, FetchRecord, query.order_by(table.c.changed_at.desc()).limit(limit))

    def search(
        self, archive: str, run: int, state: FetchState, *, due_by: datetime | None = None, limit: int = 200
    ) -> tuple[FetchRecord, ...]:
        """Return the fetches in that state, those first that are due first; ``due_by``: only those due by then."""
        table = tables.fetches
        query = _query().where(table.c.archive == archive, table.c.run == run, table.c.state == state)
        if due_by is not None:
            query = query.where(table.c.due_at <= due_by)
        with self._database.reading() as connection:
            return records(connection, FetchRecord, query.order_by(table.c.due_at, table.c.series_uid).limit(limit))

    def count(self, archive: str, run: int = WATCHING) -> Mapping[FetchState, int]:
        """Return how many fetches are in each state; every state is there."""
        table = tables.fetches
        with self._database.reading() as connection:
            counts = count_by(connection, table.c.state, table.c.archive == archive, table.c.run == run)
        return dict.fromkeys(FetchState, 0) | counts

    def of_series(self, archive: str, series_uid: str) -> FetchRecord | None:
        """Return the newest fetch that brought images of the series, None where none did."""
        table = tables.fetches
        query = _query().where(table.c.archive == archive, table.c.series_uid == series_uid)
        query = query.where(table.c.begun_at.is_not(None)).order_by(table.c.begun_at.desc()).limit(1)
        with self._database.reading() as connection:
            return next(iter(records(connection, FetchRecord, query)), None)

    def pending(self, series_uids: Collection[str]) -> tuple[FetchRecord, ...]:
        """Return the fetches of the series that are under way or planned.

        A fetch that a backfill planned counts only once it has begun.
        """
        table = tables.fetches
        has_begun = sa.or_(table.c.run == WATCHING, table.c.attempts > 0)
        query = _query().where(table.c.state.not_in(_GONE), has_begun, table.c.series_uid.in_(series_uids))
        with self._database.reading() as connection:
            return records(connection, FetchRecord, query)

    def partial(self) -> Mapping[str, int]:
        """Return for each archive how many series its watch fetched in part."""
        table = tables.fetches
        conditions = (table.c.run == WATCHING, table.c.attempts > 0, table.c.state.not_in(_GONE))
        with self._database.reading() as connection:
            return count_by(connection, table.c.archive, *conditions)

    def interrupted(self) -> tuple[FetchRecord, ...]:
        """Return the fetches that a killed process had begun; for the process that starts to fetch."""
        query = _query().where(tables.fetches.c.state == FetchState.FETCHING)
        with self._database.reading() as connection:
            return records(connection, FetchRecord, query)

    def resume(self) -> None:
        """Make the fetches of a killed process wait again; for the process that starts to fetch."""
        table = tables.fetches
        with self._database.writing() as connection:
            update = sa.update(table).where(table.c.state == FetchState.FETCHING)
            connection.execute(update.values(state=FetchState.WAITING))

    def forget(self, before: datetime) -> int:
        """Delete the fetches that ended before then, except those of backfills; return how many."""
        table = tables.fetches
        old = sa.and_(table.c.run == WATCHING, table.c.state.in_(_GONE), table.c.changed_at < before)
        with self._database.writing() as connection:
            return connection.execute(sa.delete(table).where(old)).rowcount


def put_fetches(connection: sa.Connection, fetches: Iterable[FetchRecord]) -> None:
    """Add or replace the fetches."""
    for fetch in fetches:
        upsert(connection, tables.fetches, values(fetch))


def _query() -> sa.Select[Any]:
    return sa.select(*columns(FetchRecord, tables.fetches))
