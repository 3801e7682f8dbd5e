"""Deliveries of a job's objects, or of a note that rejects them, to one destination each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import Priority
from orchestrator.domain.records import ARRIVED, DELIVERY_MOVES, DeliveryRecord, DeliveryState, Note, SeriesState
from orchestrator.ledger import tables
from orchestrator.ledger.events import kind_of, moved, write_event
from orchestrator.ledger.repository import SHORT, Repository, columns, lock_job, now, only, records, values
from orchestrator.ledger.series import lock_series_state

FURTHEST = timedelta(days=3)
"""No attempt is ever postponed for so long."""


class DeliveryRepository(Repository):
    """A delivery waits for the release of its series, then for its next attempt. A note waits only for its attempt."""

    def add(self, job_key: str, destination: str) -> bool:
        """Return True where the delivery is new or was discarded; it is due at once where the series is released.

        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            job = lock_job(connection, job_key)
            # the lock on the series makes a release that happens now come before or after this, never between
            state = lock_series_state(connection, job.series_uid, job.revision)
            due = now() if state is SeriesState.RELEASED else None
            record = DeliveryRecord(job_key=job_key, destination=destination, next_attempt_at=due)
            return open_delivery(connection, record)

    def of_job(self, job_key: str) -> tuple[DeliveryRecord, ...]:
        """Return the deliveries of the job's result by destination, without the notes that reject it."""
        with self._database.reading() as connection:
            return deliveries_of(connection, job_key)

    def get(self, job_key: str, destination: str, note: Note = Note.NONE) -> DeliveryRecord:
        """Return the delivery of the job's result, or of a note that rejects it, to one destination.

        Raises UnknownRecord.
        """
        query = delivery_query().where(is_delivery(job_key, destination, note))
        with self._database.reading() as connection:
            return only(records(connection, DeliveryRecord, query), _unknown(job_key, destination))

    def release(self, series_uid: str, revision: int, at: datetime) -> int:
        """Make the waiting deliveries of the revision due at ``at``; return how many were not due before."""
        table, jobs = tables.deliveries, tables.jobs
        of_series = sa.select(jobs.c.key).where(jobs.c.series_uid == series_uid, jobs.c.revision == revision)
        held = sa.and_(table.c.state == DeliveryState.WAITING, table.c.next_attempt_at.is_(None))
        update = sa.update(table).where(held, table.c.job_key.in_(of_series)).values(next_attempt_at=at)
        with self._database.writing() as connection:
            return connection.execute(update).rowcount

    def due(self, now: datetime, limit: int = 50, *, destination: str | None = None) -> tuple[DeliveryRecord, ...]:
        """Return the waiting deliveries whose next attempt is due, by the job's priority, then by its age."""
        jobs = tables.jobs
        query = delivery_query().join(jobs, jobs.c.key == tables.deliveries.c.job_key).where(_is_due(now))
        if destination is not None:
            query = query.where(tables.deliveries.c.destination == destination)
        query = query.order_by(priority_rank(), jobs.c.created_at, jobs.c.key).limit(limit)
        with self._database.reading() as connection:
            return records(connection, DeliveryRecord, query)

    def due_destinations(self, now: datetime) -> frozenset[str]:
        """Return the destinations to which a delivery is due."""
        with self._database.reading() as connection:
            return frozenset(
                connection.scalars(sa.select(tables.deliveries.c.destination).distinct().where(_is_due(now)))
            )

    def claim(self, row: DeliveryRecord) -> DeliveryRecord | None:
        """Return the delivery as its next attempt begins; None where it changed since ``row`` was read.

        Of several processes that claim the same row, one gets it.
        """
        with self._database.writing() as connection:
            before = _lock_delivery(connection, row.job_key, row.destination, row.note)
            if before.state is not DeliveryState.WAITING or before.attempts != row.attempts:
                return None
            after = replace(before, state=DeliveryState.SENDING, attempts=before.attempts + 1)
            update_delivery(connection, after)
            count = sa.update(tables.deliveries).where(is_delivery(row.job_key, row.destination, row.note))
            connection.execute(count.values(starts=tables.deliveries.c.starts + 1))
            write_delivery_event(connection, after, moved(before.state, after.state, before.error))
            return after

    def unfinished(self, destination: str) -> tuple[tuple[DeliveryRecord, int], ...]:
        """Return the deliveries whose attempt began and did not end, and how many such attempts there were in a row.

        An attempt ends with its move to another state; one that arrived ends with ``end_attempt``.
        """
        table = tables.deliveries
        arrived = sa.and_(table.c.state.in_(ARRIVED), table.c.starts > 0)
        query = sa.select(*columns(DeliveryRecord, table), table.c.starts).where(table.c.destination == destination)
        query = query.where(sa.or_(table.c.state == DeliveryState.SENDING, arrived))
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query.order_by(table.c.job_key)).mappings()]
        starts = [row.pop("starts") for row in rows]
        return tuple(zip((DeliveryRecord(**row) for row in rows), starts, strict=True))

    def sending_destinations(self) -> frozenset[str]:
        """Return the destinations to which a delivery is under way."""
        table = tables.deliveries
        query = sa.select(table.c.destination).distinct().where(table.c.state == DeliveryState.SENDING)
        with self._database.reading() as connection:
            return frozenset(connection.scalars(query))

    def end_attempt(self, row: DeliveryRecord) -> None:
        """Record that everything that follows from an arrival is done."""
        self._reset_starts(is_delivery(row.job_key, row.destination, row.note))

    def forgive(self, destination: str) -> None:
        """Count no attempt of those under way: their process ends on request, not because of them."""
        table = tables.deliveries
        self._reset_starts(sa.and_(table.c.destination == destination, table.c.state == DeliveryState.SENDING))

    def _reset_starts(self, which: sa.ColumnElement[bool]) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(tables.deliveries).where(which).values(starts=0))

    def postpone(self, job_key: str, destination: str, until: datetime, reason: str, note: Note = Note.NONE) -> None:
        """Postpone a waiting delivery for a reason that is no failure; one in another state stays as it is.

        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            before = _lock_delivery(connection, job_key, destination, note)
            if before.state is DeliveryState.WAITING:
                update = sa.update(tables.deliveries).where(is_delivery(job_key, destination, note))
                connection.execute(update.values(next_attempt_at=until, error=reason))
                write_delivery_event(connection, before, reason)

    def recall(self, destination: str, at: datetime) -> int:
        """Make the released deliveries that wait for longer due at ``at``; return how many."""
        table = tables.deliveries
        later = sa.and_(table.c.state == DeliveryState.WAITING, table.c.next_attempt_at > at)
        update = sa.update(table).where(table.c.destination == destination, later).values(next_attempt_at=at)
        with self._database.writing() as connection:
            return connection.execute(update).rowcount

    def record_sent(
        self, job_key: str, destination: str, at: datetime, *, sent: Collection[str], note: Note = Note.NONE
    ) -> None:
        """Record that the destination took these objects (SOP Instance UIDs); it may confirm them later."""
        update = sa.update(tables.deliveries).where(is_delivery(job_key, destination, note))
        with self._database.writing() as connection:
            connection.execute(update.values(sent_at=at, sent=tuple(sent)))

    def move(
        self,
        job_key: str,
        destination: str,
        state: DeliveryState,
        *,
        error: str = "",
        next_attempt_at: datetime | None = None,
        confirmed_by: str = "",
        attempts: int | None = None,
        failing_since: datetime | None = None,
        note: Note = Note.NONE,
        ends_attempt: bool = True,
    ) -> DeliveryRecord:
        """Return the delivery in its new state; next_attempt_at, attempts and failing_since stay where None.

        A parked or discarded delivery that waits again has no failures yet.
        ends_attempt: False where the attempt ended without a result, or more follows from its arrival.
        Raises UnknownRecord; ForbiddenTransition where DELIVERY_MOVES lacks the move.
        """
        with self._database.writing() as connection:
            before = _lock_delivery(connection, job_key, destination, note)
            _check_move(before, state)
            after = replace(
                before,
                state=state,
                error=error,
                next_attempt_at=next_attempt_at or before.next_attempt_at,
                attempts=before.attempts if attempts is None else attempts,
                failing_since=failing_since or (None if _is_reopened(before, state) else before.failing_since),
            )
            if state in ARRIVED:
                after = replace(after, confirmed_at=now(), confirmed_by=confirmed_by)
            update_delivery(connection, after, ends_attempt=ends_attempt)
            write_delivery_event(connection, after, moved(before.state, state, error))
            return after


def priority_rank() -> sa.ColumnElement[int]:
    """Return the rank of the job's priority, 1 = first."""
    return sa.case({priority: priority.rank for priority in Priority}, value=tables.jobs.c.priority)


def open_delivery(connection: sa.Connection, record: DeliveryRecord) -> bool:
    """Add the delivery, or reopen a discarded one; return False where it is open already."""
    if not insert_new(connection, tables.deliveries, values(record)):
        before = _lock_delivery(connection, record.job_key, record.destination, record.note)
        if before.state is not DeliveryState.DISCARDED:
            return False
        update_delivery(connection, replace(record, attempts=before.attempts), ends_attempt=True)
    write_delivery_event(connection, record)
    return True


def deliveries_of(connection: sa.Connection, job_key: str, *, notes: bool = False) -> tuple[DeliveryRecord, ...]:
    """Return the deliveries of a job's result, or those of notes that reject it, by destination."""
    table = tables.deliveries
    kind = table.c.note != Note.NONE if notes else table.c.note == Note.NONE
    query = delivery_query().where(table.c.job_key == job_key, kind)
    return records(connection, DeliveryRecord, query.order_by(table.c.destination, table.c.note))


def update_delivery(connection: sa.Connection, record: DeliveryRecord, *, ends_attempt: bool = False) -> None:
    """Replace the row of the delivery; ends_attempt: no attempt of it is under way any more."""
    where = is_delivery(record.job_key, record.destination, record.note)
    row = values(record) | ({"starts": 0} if ends_attempt else {})
    connection.execute(sa.update(tables.deliveries).where(where).values(**row))


def write_delivery_event(connection: sa.Connection, record: DeliveryRecord, detail: str = "") -> None:
    """Write the event of a delivery; that of a note is called ``note.confirmed`` and so on."""
    what = f"{record.note} to" if record.note else "to"
    text = f"{what} {record.destination}" + (f": {detail}" if detail else "")
    write_event(connection, kind_of("note" if record.note else "delivery", record.state), record.job_key, text)


def _lock_delivery(connection: sa.Connection, job_key: str, destination: str, note: Note) -> DeliveryRecord:
    query = delivery_query().where(is_delivery(job_key, destination, note)).with_for_update()
    return only(records(connection, DeliveryRecord, query), _unknown(job_key, destination))


def _unknown(job_key: str, destination: str) -> str:
    return f"job {job_key[:SHORT]} has no delivery to {destination}"


def _check_move(before: DeliveryRecord, state: DeliveryState) -> None:
    if state not in DELIVERY_MOVES[before.state]:
        way = f"the delivery of job {before.job_key[:SHORT]} to {before.destination}"
        raise ForbiddenTransition(f"{way} is {before.state} and cannot become {state}")


def _is_reopened(before: DeliveryRecord, state: DeliveryState) -> bool:
    closed = {DeliveryState.PARKED, DeliveryState.DISCARDED}
    return before.state in closed and state is DeliveryState.WAITING


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition; an attempt further away than FURTHEST was scheduled by a wrong clock."""
    at = tables.deliveries.c.next_attempt_at
    return sa.and_(tables.deliveries.c.state == DeliveryState.WAITING, sa.or_(at <= now, at > now + FURTHEST))


def is_delivery(job_key: str, destination: str, note: Note) -> sa.ColumnElement[bool]:
    """Return the condition that names one delivery."""
    table = tables.deliveries
    return sa.and_(table.c.job_key == job_key, table.c.destination == destination, table.c.note == note)


def delivery_query() -> sa.Select[Any]:
    """Return the query for all deliveries."""
    return sa.select(*columns(DeliveryRecord, tables.deliveries))
