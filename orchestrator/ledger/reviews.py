"""Reviews: what people said about a result; every verdict is kept and the newest counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchestrator.domain.correction import corrected
from orchestrator.domain.reading import WAITS_FOR, SecondReader, after_verdict, check_second_reader, check_seen
from orchestrator.domain.records import JobRecord, ReviewRecord
from orchestrator.domain.review import CLOSED, VERDICTS, ReviewState, check_takes_verdict, review_move
from orchestrator.domain.urgency import urgency_of
from orchestrator.ledger import tables
from orchestrator.ledger.events import kind_of, moved, write_event
from orchestrator.ledger.repository import SHORT, Repository, columns, lock_job, only, records, values


class ReviewRepository(Repository):
    """Verdicts only ever move along orchestrator.domain.review.REVIEW_MOVES."""

    def open(self, job_key: str, at: datetime) -> None:
        """Make the job a result that waits for a verdict; one that has a review already stays as it is.

        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            lock_job(connection, job_key)
            if not _newest(connection, job_key):
                review = ReviewRecord(job_key=job_key, state=ReviewState.PENDING, at=at)
                _insert(connection, review)
                write_event(connection, kind_of("review", review.state), job_key, "waits for a verdict")

    def newest(self, job_key: str) -> ReviewRecord | None:
        """Return the newest verdict on the job's result, None where the job has no result."""
        with self._database.reading() as connection:
            return next(iter(_newest(connection, job_key)), None)

    def of_job(self, job_key: str) -> tuple[ReviewRecord, ...]:
        """Return every verdict on the job's result, oldest first."""
        query = _review_query().where(tables.reviews.c.job_key == job_key).order_by(tables.reviews.c.sequence)
        with self._database.reading() as connection:
            return records(connection, ReviewRecord, query)

    def add(
        self,
        record: ReviewRecord,
        *,
        seen: ReviewState,
        seen_at: datetime | None = None,
        second_reader: SecondReader = SecondReader.NONE,
    ) -> ReviewRecord:
        """Return the result's newest review: the verdict, or that it waits for another one after it.

        seen, seen_at: state and time of the review that the reviewer saw; without a time only the state counts.
        ``pipeline.review.give_verdict`` checks all other rules first.
        Raises UnknownRecord; ForbiddenTransition where somebody was faster, with who and when, where REVIEW_MOVES
        lacks the move, where the result takes no verdict, or where the second reader is the first.
        """
        with self._database.writing() as connection:
            job = lock_job(connection, record.job_key)
            missing = f"job {record.job_key[:SHORT]} has no result to review"
            newest = only(_newest(connection, record.job_key), missing)
            check_seen(newest, record.state, seen, seen_at)
            review_move(newest.state, record.state)
            if record.state in VERDICTS:
                check_takes_verdict(job.state, newest.state)
            first = _first_reading(connection, newest)
            if first is not None and record.state in VERDICTS:
                check_second_reader(first, record)
            _insert(connection, record)
            text = moved(newest.state, record.state, record.reason)
            write_event(connection, kind_of("review", record.state), record.job_key, text, record.by or "host")
            waits = after_verdict(newest, first, record, second_reader)
            if waits is not None:
                return _wait(connection, record, waits)
            _note_urgency(connection, job, record)
            return record


def supersede_review(connection: sa.Connection, job_key: str, at: datetime) -> None:
    """Close the review of a result that another one replaced; part of the transaction that supersedes the job."""
    for newest in _newest(connection, job_key):
        if newest.state not in CLOSED:
            _insert(connection, ReviewRecord(job_key=job_key, state=ReviewState.SUPERSEDED, at=at))
            text = moved(newest.state, ReviewState.SUPERSEDED)
            write_event(connection, kind_of("review", ReviewState.SUPERSEDED), job_key, text)


def retract_review(connection: sa.Connection, verdict: ReviewRecord) -> bool:
    """Return True where the result is retracted by this; False where it was before, and where there is none."""
    newest = next(iter(_newest(connection, verdict.job_key)), None)
    if newest is None or newest.state is ReviewState.RETRACTED:
        return False
    review_move(newest.state, verdict.state)
    _insert(connection, verdict)
    text = moved(newest.state, verdict.state, verdict.comment)
    write_event(connection, kind_of("review", verdict.state), verdict.job_key, text, verdict.by)
    return True


def is_retracted(connection: sa.Connection, job_key: str) -> bool:
    """Return whether the job's result was retracted."""
    return any(newest.state is ReviewState.RETRACTED for newest in _newest(connection, job_key))


def _first_reading(connection: sa.Connection, newest: ReviewRecord) -> ReviewRecord | None:
    """Return the verdict after which the result waits for a second reader, None where it does not wait for one."""
    if newest.state is not ReviewState.SECOND_READER:
        return None
    table = tables.reviews
    given = sa.and_(table.c.job_key == newest.job_key, table.c.state.in_(VERDICTS))
    query = _review_query().where(given).order_by(table.c.sequence.desc()).limit(1)
    return next(iter(records(connection, ReviewRecord, query)), None)


def _note_urgency(connection: sa.Connection, job: JobRecord, verdict: ReviewRecord) -> None:
    """Let the job be as urgent as what stands now says: the model's findings with what a person corrected."""
    urgency = urgency_of(corrected("findings", job.findings, verdict.changes))
    if verdict.state in VERDICTS and urgency is not job.urgency:
        connection.execute(sa.update(tables.jobs).where(tables.jobs.c.key == job.key).values(urgency=urgency))


def _wait(connection: sa.Connection, verdict: ReviewRecord, state: ReviewState) -> ReviewRecord:
    """Return the review that says for whom the result waits now; its event does not tell the verdict."""
    review_move(verdict.state, state)
    waits = ReviewRecord(job_key=verdict.job_key, state=state, at=verdict.at)
    _insert(connection, waits)
    write_event(connection, kind_of("review", state), verdict.job_key, WAITS_FOR[state])
    return waits


_REVIEW = columns(ReviewRecord, tables.reviews)


def _newest(connection: sa.Connection, job_key: str) -> tuple[ReviewRecord, ...]:
    query = _review_query().where(tables.reviews.c.job_key == job_key, tables.reviews.c.newest)
    return records(connection, ReviewRecord, query)


def _insert(connection: sa.Connection, record: ReviewRecord) -> None:
    mine = tables.reviews.c.job_key == record.job_key
    connection.execute(sa.update(tables.reviews).where(mine, tables.reviews.c.newest).values(newest=False))
    connection.execute(sa.insert(tables.reviews).values(**values(record), newest=True))


def _review_query() -> sa.Select[Any]:
    return sa.select(*_REVIEW)
