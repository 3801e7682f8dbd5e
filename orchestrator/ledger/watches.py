"""Watches: how far each watched archive was scanned, and why one waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from orchestrator.database import upsert
from orchestrator.domain.fetching import FetchRecord, WatchRecord
from orchestrator.ledger import tables
from orchestrator.ledger.events import write_event
from orchestrator.ledger.fetches import put_fetches
from orchestrator.ledger.repository import Repository, columns, records, values


class WatchRepository(Repository):
    """One process writes here, the watcher; all others read."""

    def get(self, archive: str) -> WatchRecord:
        """Return the state of the watch of an archive; an archive never polled has an empty cursor."""
        query = sa.select(*columns(WatchRecord, tables.watches)).where(tables.watches.c.archive == archive)
        with self._database.reading() as connection:
            rows = records(connection, WatchRecord, query)
        return rows[0] if rows else WatchRecord(archive=archive)

    def record_scan(self, archive: str, cursor: str, fetches: Iterable[FetchRecord], at: datetime) -> None:
        """Record the fetches of one poll and the cursor of the next, in one transaction."""
        with self._database.writing() as connection:
            put_fetches(connection, fetches)
            before = _lock_watch(connection, archive)
            upsert(connection, tables.watches, values(replace(before, cursor=cursor, looked_at=at)))

    def record_wait(self, archive: str, error: str, at: datetime) -> None:
        """Record why an archive cannot be watched; the first failure after a success is an event."""
        with self._database.writing() as connection:
            before = _lock_watch(connection, archive)
            after = replace(before, waits_since=before.waits_since or at, error=error)
            upsert(connection, tables.watches, values(after))
            if before.waits_since is None:
                write_event(connection, "watch-waits", archive, error)

    def resume(self, archive: str) -> None:
        """Record that the watch works; an event follows where it did not before."""
        with self._database.writing() as connection:
            before = _lock_watch(connection, archive)
            if before.waits_since is not None:
                upsert(connection, tables.watches, values(replace(before, waits_since=None, error="")))
                text = f"it waited since {before.waits_since:%Y-%m-%d %H:%M:%S} UTC"
                write_event(connection, "watch-goes-on", archive, text)


def _lock_watch(connection: sa.Connection, archive: str) -> WatchRecord:
    query = sa.select(*columns(WatchRecord, tables.watches)).where(tables.watches.c.archive == archive)
    rows: Sequence[WatchRecord] = records(connection, WatchRecord, query.with_for_update())
    return rows[0] if rows else WatchRecord(archive=archive)
