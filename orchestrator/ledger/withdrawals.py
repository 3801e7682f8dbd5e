"""Withdrawals: superseded and retracted results, and the notes that reject them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.job import LEAVING, JobState
from orchestrator.domain.records import (
    ARRIVED,
    SETTLED,
    DeliveryRecord,
    DeliveryState,
    JobRecord,
    Note,
    ObjectKind,
    ObjectRecord,
    RetractionRecord,
    ReviewRecord,
)
from orchestrator.ledger import tables
from orchestrator.ledger.deliveries import (
    deliveries_of,
    is_delivery,
    open_delivery,
    update_delivery,
    write_delivery_event,
)
from orchestrator.ledger.events import moved, write_event
from orchestrator.ledger.jobs import change_state, update_job
from orchestrator.ledger.objects import objects_of, put_object
from orchestrator.ledger.repository import Repository, columns, count_by, job_query, lock_job, now, records, values
from orchestrator.ledger.reviews import is_retracted, retract_review

REPLACED = LEAVING | {JobState.RUNNING, JobState.DONE}
"""The states of jobs that a newer result supersedes; jobs in other states have no result."""


class WithdrawalRepository(Repository):
    """A note is a delivery of its own. A destination gets at most one of each kind for a result."""

    def notes(self, job_key: str) -> tuple[DeliveryRecord, ...]:
        """Return the deliveries of notes that reject the job's result, by destination."""
        with self._database.reading() as connection:
            return deliveries_of(connection, job_key, notes=True)

    def count_notes(self) -> Mapping[DeliveryState, int]:
        """Return how many notes are in each state; every state is there."""
        table = tables.deliveries
        with self._database.reading() as connection:
            return dict.fromkeys(DeliveryState, 0) | count_by(connection, table.c.state, table.c.note != Note.NONE)

    def note_object(self, row: DeliveryRecord) -> ObjectRecord | None:
        """Return the note of a delivery, None where it is not written yet."""
        query = _object_query().where(tables.objects.c.sop_uid == row.note_uid)
        with self._database.reading() as connection:
            return next(iter(records(connection, ObjectRecord, query)), None)

    def put_note(self, row: DeliveryRecord, written: ObjectRecord) -> DeliveryRecord:
        """Record the note of a delivery; it may replace one that was never sent."""
        after = replace(row, note_uid=written.sop_uid)
        with self._database.writing() as connection:
            put_object(connection, values(written) | {"position": 0, "note": row.note})
            where = is_delivery(row.job_key, row.destination, row.note)
            connection.execute(sa.update(tables.deliveries).where(where).values(note_uid=written.sop_uid))
        return after

    def settle_predecessors(self, job_key: str) -> Mapping[str, ObjectRecord]:
        """Return, by form, the earlier report that the job's report follows; the same at each attempt.

        It is the report of the newest result of the same model on the same series that had arrived, in that form, at
        the first call. Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            job = lock_job(connection, job_key)
            if job.predecessors is None:
                job = replace(job, predecessors=_predecessors(connection, job))
                update_job(connection, job)
            uids = job.predecessors or {}
            query = _object_query().where(tables.objects.c.sop_uid.in_(uids.values()))
            reports = {item.sop_uid: item for item in records(connection, ObjectRecord, query)}
        return {form: reports[uid] for form, uid in uids.items()}

    def follow_up(self, job_key: str) -> tuple[str, ...]:
        """Supersede the older results of the same model on the same series; return their keys.

        To be called when this job's result arrived somewhere. A note rejects an older result at each destination
        where a newer one has arrived, or where none will arrive. Repeating it changes nothing.
        """
        with self._database.writing() as connection:
            (job,) = records(connection, JobRecord, job_query(tables.jobs.c.key == job_key))
            siblings = _siblings(connection, job, lock=True)
            ways = {job.key: deliveries_of(connection, job.key) for job in siblings}
            arrived = [job for job in siblings if _places(ways[job.key]) and not is_retracted(connection, job.key)]
            older = siblings[: siblings.index(arrived[-1])] if arrived else []
            for job in older:
                _supersede(connection, job, by=arrived[-1])
                for place in _to_reject(job, siblings, arrived, ways):
                    _open_note(connection, ways[job.key], place, Note.SUPERSEDED)
        return tuple(job.key for job in older)

    def followers(self, job_key: str, destination: str) -> tuple[JobRecord, ...]:
        """Return the newer jobs of the same model on the same series whose results arrived at the destination."""
        with self._database.reading() as connection:
            (job,) = records(connection, JobRecord, job_query(tables.jobs.c.key == job_key))
            siblings = _siblings(connection, job)
            newer = siblings[[each.key for each in siblings].index(job_key) + 1 :]
            return tuple(each for each in newer if destination in _places(deliveries_of(connection, each.key)))

    def results_of(
        self, model: str, version: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[str, ...]:
        """Return the keys of the jobs of a version whose results were written in that time, the oldest first."""
        jobs, reviews = tables.jobs, tables.reviews
        first = sa.select(reviews.c.job_key, sa.func.min(reviews.c.at).label("at")).group_by(reviews.c.job_key)
        written = first.subquery()
        query = sa.select(jobs.c.key).join(written, written.c.job_key == jobs.c.key)
        query = query.where(jobs.c.model == model, jobs.c.model_version == version)
        if since is not None:
            query = query.where(written.c.at >= since)
        if until is not None:
            query = query.where(written.c.at <= until)
        with self._database.reading() as connection:
            return tuple(connection.scalars(query.order_by(written.c.at, jobs.c.key)))

    def versions_of(self, model: str) -> tuple[str, ...]:
        """Return the versions of a model that jobs were made for."""
        query = sa.select(tables.jobs.c.model_version).where(tables.jobs.c.model == model).distinct()
        with self._database.reading() as connection:
            return tuple(sorted(connection.scalars(query)))

    def order(self, order: RetractionRecord) -> bool:
        """Add an order; return False where the same version and time were ordered before.

        An order without an end holds the waiting jobs of the version.
        """
        table = tables.retractions
        same = [table.c[name] == getattr(order, name) for name in ("model", "model_version", "since", "until")]
        with self._database.writing() as connection:
            is_new = not records(connection, RetractionRecord, _retraction_query().where(*same).limit(1))
            if is_new:
                connection.execute(sa.insert(table).values(**values(order)))
                subject = f"{order.model} {order.model_version}"
                write_event(connection, "retraction.ordered", subject, _order_in_words(order), order.by)
            if order.until is None:
                _hold_waiting(connection, order)
        return is_new

    def find_order(self, model: str, version: str) -> RetractionRecord | None:
        """Return the order that stops a version, None where there is none."""
        table = tables.retractions
        query = _retraction_query().where(table.c.model == model, table.c.model_version == version)
        with self._database.reading() as connection:
            orders = records(connection, RetractionRecord, query.where(table.c.until.is_(None)).limit(1))
        return next(iter(orders), None)

    def retract(self, verdict: ReviewRecord) -> bool:
        """Retract a result; return False where it was retracted before.

        Deliveries that did not start are discarded. A note rejects the result at each destination that has it.
        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            job = lock_job(connection, verdict.job_key)
            is_first = retract_review(connection, verdict)
            ways, reason = deliveries_of(connection, job.key), f"retracted by {verdict.by}: {verdict.comment}"
            for row in (*ways, *_milder_notes(connection, job.key)):
                if row.state in {DeliveryState.WAITING, DeliveryState.PARKED}:
                    _discard(connection, row, reason)
            for row in ways:
                if row.attempts or row.state in ARRIVED:
                    _open_note(connection, ways, row.destination, Note.RETRACTED)
            if job.state in LEAVING:
                change_state(connection, job, JobState.SUPERSEDED, reason=reason, by=verdict.by)
            return is_first


def _siblings(connection: sa.Connection, job: JobRecord, *, lock: bool = False) -> list[JobRecord]:
    """Return the jobs of the same model on the same series for the same purpose, the oldest first.

    lock: nobody else changes them before this transaction ends; all in one order, so that two never block each other.
    """
    table = tables.jobs
    same = (table.c[name] == getattr(job, name) for name in ("series_uid", "model", "purpose"))
    query = job_query(*same).order_by(table.c.revision, table.c.created_at, table.c.key)
    return list(records(connection, JobRecord, query.with_for_update(key_share=True) if lock else query))


def _places(ways: Collection[DeliveryRecord]) -> frozenset[str]:
    """Return the destinations at which a result arrived."""
    return frozenset(row.destination for row in ways if row.state in ARRIVED)


def _supersede(connection: sa.Connection, older: JobRecord, *, by: JobRecord) -> None:
    if older.state not in REPLACED:
        return
    what = f"revision {by.revision} of the series"
    if by.revision == older.revision:
        what = f"version {by.model_version} of the model"
    change_state(connection, older, JobState.SUPERSEDED, reason=f"the result of {what} superseded it")


def _to_reject(
    job: JobRecord,
    siblings: Sequence[JobRecord],
    arrived: Sequence[JobRecord],
    ways: Mapping[str, Sequence[DeliveryRecord]],
) -> list[str]:
    """Return where to reject the older result now: where it was sent, and a newer one arrived or never will."""
    newer = {each.key for each in siblings[siblings.index(job) + 1 :]}
    there = frozenset[str]().union(*(_places(ways[each.key]) for each in arrived if each.key in newer))
    is_settled = all(row.state in SETTLED for row in ways[arrived[-1].key])
    sent = [row.destination for row in ways[job.key] if row.attempts or row.state in ARRIVED]
    return [place for place in sent if is_settled or place in there]


def _open_note(connection: sa.Connection, ways: Collection[DeliveryRecord], place: str, note: Note) -> None:
    """Open a note at a destination; a discarded one is reopened only where the result arrived after all."""
    job_key = next(iter(ways)).job_key
    record = DeliveryRecord(job_key=job_key, destination=place, note=note, next_attempt_at=now())
    if place in _places(ways):
        if note is Note.RETRACTED or not is_retracted(connection, job_key):
            open_delivery(connection, record)
    elif insert_new(connection, tables.deliveries, values(record)):
        write_delivery_event(connection, record)


def _milder_notes(connection: sa.Connection, job_key: str) -> list[DeliveryRecord]:
    """Return the notes of superseded results that no destination took yet; a retraction replaces them."""
    notes = deliveries_of(connection, job_key, notes=True)
    return [row for row in notes if row.note is Note.SUPERSEDED and row.sent_at is None]


def _discard(connection: sa.Connection, row: DeliveryRecord, reason: str) -> None:
    after = replace(row, state=DeliveryState.DISCARDED, error=reason)
    update_delivery(connection, after)
    write_delivery_event(connection, after, moved(row.state, after.state, reason))


def _predecessors(connection: sa.Connection, job: JobRecord) -> dict[str, str]:
    siblings = _siblings(connection, job)
    for older in reversed(siblings[: [each.key for each in siblings].index(job.key)]):
        arrived = [row for row in deliveries_of(connection, older.key) if row.state in ARRIVED]
        if arrived and not is_retracted(connection, older.key):
            reports = [item for item in objects_of(connection, older.key) if item.kind is ObjectKind.SR]
            # an earlier version did not record what it sent: then all counts as sent
            sent = {uid for row in arrived for uid in row.sent or [item.sop_uid for item in reports]}
            return {item.form: item.sop_uid for item in reports if item.sop_uid in sent}
    return {}


def _hold_waiting(connection: sa.Connection, order: RetractionRecord) -> None:
    table = tables.jobs
    theirs = (table.c.model == order.model, table.c.model_version == order.model_version)
    query = job_query(*theirs, table.c.state == JobState.WAITING).with_for_update(key_share=True)
    for job in records(connection, JobRecord, query):
        change_state(connection, job, JobState.HELD, reason=order.why_held, by=order.by)


def _order_in_words(order: RetractionRecord) -> str:
    since = f" since {order.since:%Y-%m-%d %H:%M} UTC" if order.since else ""
    until = f" until {order.until:%Y-%m-%d %H:%M} UTC" if order.until else ""
    return f"{order.in_words}{since}{until} ({order.organization})"


def _object_query() -> sa.Select[Any]:
    return sa.select(*columns(ObjectRecord, tables.objects))


def _retraction_query() -> sa.Select[Any]:
    return sa.select(*columns(RetractionRecord, tables.retractions)).order_by(tables.retractions.c.number)
