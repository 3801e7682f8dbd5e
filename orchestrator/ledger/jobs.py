"""Jobs: one revision of a series and one model each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState, move
from orchestrator.domain.records import JobRecord
from orchestrator.domain.result import Urgency
from orchestrator.ledger import tables
from orchestrator.ledger.events import kind_of, moved, write_event
from orchestrator.ledger.repository import (
    SHORT,
    Repository,
    count_by,
    job_query,
    lock_job,
    now,
    only,
    records,
    values,
)
from orchestrator.ledger.reviews import supersede_review
from orchestrator.ledger.series import lock_series_state

SHORTEST_PREFIX = 6
"""Digits of a job key that a person must give."""


class JobRepository(Repository):
    """Jobs only ever move along orchestrator.domain.job.MOVES."""

    def add(self, record: JobRecord) -> bool:
        """Return True where the job is new; one with the same key stays as it is.

        Raises UnknownRecord where the ledger lacks the revision of the series.
        """
        with self._database.writing() as connection:
            lock_series_state(connection, record.series_uid, record.revision)
            if not insert_new(connection, tables.jobs, values(record)):
                return False
            text = f"{record.model} {record.model_version} by rule {record.rule}, {record.priority}"
            write_event(connection, kind_of("job", record.state), record.key, text)
            return True

    def get(self, key: str) -> JobRecord:
        """Return the job with this key, or the only one whose key begins with it (6 digits at least).

        Raises UnknownRecord.
        """
        column = tables.jobs.c.key
        with self._database.reading() as connection:
            matches = records(connection, JobRecord, job_query(column == key))
            if not matches and len(key) >= SHORTEST_PREFIX:
                query = job_query(column.startswith(key.lower(), autoescape=True)).limit(2)
                matches = records(connection, JobRecord, query)
        if len(matches) > 1:
            raise UnknownRecord(f"several jobs begin with {key}; give more digits of the key")
        return only(matches, f"no job {key} in the ledger; give at least the first {SHORTEST_PREFIX} digits of its key")

    def search(
        self,
        *,
        states: Collection[JobState] = (),
        series_uid: str | None = None,
        study_uid: str | None = None,
        model: str | None = None,
        limit: int = 200,
    ) -> tuple[JobRecord, ...]:
        """Return the jobs that meet all conditions, the newest first."""
        table = tables.jobs
        conditions = {"series_uid": series_uid, "study_uid": study_uid, "model": model}
        query = job_query(*(table.c[name] == value for name, value in conditions.items() if value is not None))
        if states:
            query = query.where(table.c.state.in_(states))
        with self._database.reading() as connection:
            return records(connection, JobRecord, query.order_by(table.c.created_at.desc(), table.c.key).limit(limit))

    def count(self) -> Mapping[JobState, int]:
        """Return how many jobs are in each state; every state is there."""
        with self._database.reading() as connection:
            return dict.fromkeys(JobState, 0) | count_by(connection, tables.jobs.c.state)

    def move(self, key: str, state: JobState, *, reason: str = "", by: str = "host") -> JobRecord:
        """Move the job to a state and return it; the event is written in the same transaction.

        The review of a superseded job is closed.

        Raises UnknownRecord; ForbiddenTransition where the job is in another state by now.
        """
        with self._database.writing() as connection:
            return change_state(connection, lock_job(connection, key), state, reason=reason, by=by)

    def annotate(
        self,
        key: str,
        *,
        device: str | None = None,
        urgency: Urgency | None = None,
        seconds: Mapping[str, float] | None = None,
        findings: Sequence[Mapping[str, object]] | None = None,
        measurements: Sequence[Mapping[str, object]] | None = None,
        attempts: int | None = None,
        images: Mapping[str, object] | None = None,
    ) -> JobRecord:
        """Set facts of the job and return it; None leaves a field as it is, seconds are merged by name.

        Raises UnknownRecord.
        """
        facts: dict[str, Any] = {"device": device, "urgency": urgency, "attempts": attempts, "images": images}
        facts |= {"findings": _entries(findings), "measurements": _entries(measurements)}
        with self._database.writing() as connection:
            before = lock_job(connection, key)
            changes = {name: value for name, value in facts.items() if value is not None}
            after = replace(before, **changes, seconds={**before.seconds, **(seconds or {})}, updated_at=now())
            update_job(connection, after)
            return after


def change_state(
    connection: sa.Connection, before: JobRecord, state: JobState, *, reason: str = "", by: str = "host"
) -> JobRecord:
    """Return the locked job in its new state; part of the transaction that moves it.

    Raises ForbiddenTransition.
    """
    try:
        move(before.state, state)
    except ForbiddenTransition as forbidden:
        raise ForbiddenTransition(f"job {before.key[:SHORT]}: {forbidden}") from None
    after = replace(before, state=state, reason=reason, updated_at=now())
    update_job(connection, after)
    write_event(connection, kind_of("job", state), after.key, moved(before.state, state, reason), by)
    if state is JobState.SUPERSEDED:
        supersede_review(connection, after.key, after.updated_at)
    return after


def update_job(connection: sa.Connection, record: JobRecord) -> None:
    """Replace the row of the job."""
    connection.execute(sa.update(tables.jobs).where(tables.jobs.c.key == record.key).values(**values(record)))


def _entries(given: Sequence[Mapping[str, object]] | None) -> tuple[Mapping[str, object], ...] | None:
    return None if given is None else tuple(given)
