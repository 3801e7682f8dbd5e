"""Destinations: whether each answers, and how many results wait for it or were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.records import DeliveryState, DestinationRecord
from orchestrator.ledger import tables
from orchestrator.ledger.events import write_event
from orchestrator.ledger.repository import Repository, columns, count_by, records, values


class DestinationRepository(Repository):
    """A destination that did not answer several consecutive attempts counts as unreachable."""

    def get(self, name: str) -> DestinationRecord:
        """Return the recent answers of the destination."""
        with self._database.reading() as connection:
            return next(iter(records(connection, DestinationRecord, _named(name))), DestinationRecord(name=name))

    def unreachable(self) -> tuple[DestinationRecord, ...]:
        """Return the unreachable destinations, by name."""
        table = tables.destinations
        query = sa.select(*columns(DestinationRecord, table)).where(table.c.away_since.is_not(None))
        with self._database.reading() as connection:
            return records(connection, DestinationRecord, query.order_by(table.c.name))

    def record_failure(self, name: str, at: datetime, reason: str, *, most: int) -> DestinationRecord:
        """Count an attempt without an answer and return the record; after ``most`` the destination is unreachable."""
        with self._database.writing() as connection:
            before = _lock(connection, name)
            failures = before.failures + 1
            away_since = before.away_since or (at if failures >= most else None)
            after = replace(before, failures=failures, failed_at=at, away_since=away_since)
            _update(connection, after)
            if away_since and not before.away_since:
                write_event(connection, "destination.away", name, f"{failures} attempts without an answer: {reason}")
            return after

    def record_answer(self, name: str) -> None:
        """Record that the destination answers."""
        with self._database.writing() as connection:
            before = _lock(connection, name)
            _update(connection, DestinationRecord(name=name))
            if before.away_since is not None:
                text = f"answers again, away since {before.away_since:%Y-%m-%d %H:%M} UTC"
                write_event(connection, "destination.back", name, text)

    def count_waiting(self) -> Mapping[str, int]:
        """Return how many released results wait for each destination."""
        table = tables.deliveries
        waits = sa.and_(table.c.state == DeliveryState.WAITING, table.c.next_attempt_at.is_not(None))
        with self._database.reading() as connection:
            return count_by(connection, table.c.destination, waits)

    def count_sent(self, name: str, after: datetime, until: datetime) -> int:
        """Return how many results the destination took after one moment and until another."""
        table = tables.deliveries
        sent = sa.and_(table.c.destination == name, table.c.sent_at > after, table.c.sent_at <= until)
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).where(sent)) or 0


def _lock(connection: sa.Connection, name: str) -> DestinationRecord:
    insert_new(connection, tables.destinations, values(DestinationRecord(name=name)))
    return records(connection, DestinationRecord, _named(name).with_for_update())[0]


def _update(connection: sa.Connection, record: DestinationRecord) -> None:
    table = tables.destinations
    connection.execute(sa.update(table).where(table.c.name == record.name).values(**values(record)))


def _named(name: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(*columns(DestinationRecord, tables.destinations)).where(tables.destinations.c.name == name)
