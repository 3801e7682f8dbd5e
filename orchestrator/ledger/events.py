"""The audit trail: what happened to which series or job, when and by whom. The database refuses changes of it."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from orchestrator.domain.records import EventRecord
from orchestrator.ledger import tables
from orchestrator.ledger.repository import Repository, columns, now, records

_EVENTS_LOCK = 7_240_001
"""Advisory lock of PostgreSQL (the number means nothing)."""


class EventRepository(Repository):
    """Events are only ever added."""

    def record(self, kind: str, subject: str, text: str, *, by: str = "host") -> EventRecord:
        """Add an event and return it; subject is a UID or job key, text contains no patient data."""
        with self._database.writing() as connection:
            return write_event(connection, kind, subject, text, by)

    def after(self, *, after: int = 0, subject: str | None = None, limit: int = 500) -> tuple[EventRecord, ...]:
        """Return the events with a higher sequence than ``after``, oldest first."""
        query = _events_query().where(tables.events.c.sequence > after).order_by(tables.events.c.sequence).limit(limit)
        if subject is not None:
            query = query.where(tables.events.c.subject == subject)
        with self._database.reading() as connection:
            return records(connection, EventRecord, query)

    def newest(
        self, *, beginning: str = "", subjects: Collection[str] = (), kind: str = "", limit: int = 50
    ) -> tuple[EventRecord, ...]:
        """Return the newest events, the oldest of them first.

        beginning: how their subject begins; subjects: of these only, of all where there are none; kind: of this only.
        """
        table = tables.events
        query = _events_query().order_by(table.c.sequence.desc()).limit(limit)
        if beginning:
            query = query.where(table.c.subject.startswith(beginning, autoescape=True))
        if subjects:
            query = query.where(table.c.subject.in_(subjects))
        if kind:
            query = query.where(table.c.kind == kind)
        with self._database.reading() as connection:
            return records(connection, EventRecord, query)[::-1]

    def last_sequence(self) -> int:
        """Return the sequence of the newest event, 0 where there is none."""
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.max(tables.events.c.sequence))) or 0


def write_event(connection: sa.Connection, kind: str, subject: str, text: str, by: str = "host") -> EventRecord:
    """Add an event as the last statement of a transaction that changed something, and return it.

    A reader that asks for events after a sequence number must miss none. So on PostgreSQL one transaction at a time
    writes events, and the numbers appear in their order.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_EVENTS_LOCK)))
    insert = sa.insert(tables.events).values(at=now(), kind=kind, subject=subject, text=text, by=by)
    return records(connection, EventRecord, insert.returning(*columns(EventRecord, tables.events)))[0]


def moved(before: StrEnum, after: StrEnum, reason: str = "") -> str:
    """Return the text of an event about a change of state."""
    return f"{before} -> {after}" + (f": {reason}" if reason else "")


def kind_of(what: str, state: StrEnum) -> str:
    """Return the kind of an event about a change of state: ``job.not-applicable``, ``delivery.unconfirmed``."""
    return f"{what}.{state.name.lower().replace('_', '-')}"


def _events_query() -> sa.Select[Any]:
    return sa.select(*columns(EventRecord, tables.events))
