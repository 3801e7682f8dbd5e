"""Results: jobs with their newest verdict, filtered, in order and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from orchestrator.domain.job import JobState
from orchestrator.domain.records import JobRecord, ReviewRecord
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from orchestrator.domain.worklist import EVERY_RESULT, Order, ResultFilter
from orchestrator.ledger import tables
from orchestrator.ledger.deliveries import priority_rank
from orchestrator.ledger.repository import Repository, columns, count_by


class ResultRepository(Repository):
    """A job that was cancelled after it had written its objects has no result."""

    def search(
        self, wanted: ResultFilter = EVERY_RESULT, *, order: Order = Order.URGENCY, limit: int = 200, offset: int = 0
    ) -> tuple[tuple[JobRecord, ReviewRecord], ...]:
        """Return jobs with their newest verdict, in order, from the one at ``offset`` on."""
        query = _result_query().where(*_conditions(wanted)).order_by(*_ranks(order)).limit(limit).offset(offset)
        with self._database.reading() as connection:
            return tuple(_result(row) for row in connection.execute(query))

    def count(self, wanted: ResultFilter = EVERY_RESULT) -> Mapping[ReviewState, int]:
        """Return how many of the results are in each state, those that are wanted or not; every state is there."""
        counts = self._count(tables.reviews.c.state, replace(wanted, states=frozenset()))
        return dict.fromkeys(ReviewState, 0) | counts

    def count_urgencies(self, wanted: ResultFilter = EVERY_RESULT) -> Mapping[Urgency | None, int]:
        """Return how many of the results have each urgency, wanted or not; every urgency is there."""
        counts = self._count(tables.jobs.c.urgency, replace(wanted, urgencies=frozenset()))
        return dict.fromkeys((*Urgency, None), 0) | counts

    def count_models(self, wanted: ResultFilter = EVERY_RESULT) -> Mapping[str, int]:
        """Return how many of the results each model made, the wanted one and the others."""
        return self._count(tables.jobs.c.model, replace(wanted, model=""))

    def _count(self, column: sa.Column[Any], wanted: ResultFilter) -> dict[Any, int]:
        together = tables.jobs.c.key == tables.reviews.c.job_key
        with self._database.reading() as connection:
            return count_by(connection, column, together, *_is_result(), *_conditions(wanted))


_JOB = columns(JobRecord, tables.jobs)
_REVIEW = columns(ReviewRecord, tables.reviews)


def _result_query() -> sa.Select[Any]:
    """Return the query for all results; job and review share names of columns, so rows are read by position."""
    both = tables.jobs.join(tables.reviews, tables.reviews.c.job_key == tables.jobs.c.key)
    return sa.select(*_JOB, *_REVIEW).select_from(both).where(*_is_result())


def _result(row: sa.Row[Any]) -> tuple[JobRecord, ReviewRecord]:
    job = dict(zip((column.name for column in _JOB), row[: len(_JOB)], strict=True))
    review = dict(zip((column.name for column in _REVIEW), row[len(_JOB) :], strict=True))
    return JobRecord(**job), ReviewRecord(**review)


def _is_result() -> tuple[sa.ColumnElement[bool], ...]:
    return (tables.reviews.c.newest, tables.jobs.c.state != JobState.FAILED)


def _conditions(wanted: ResultFilter) -> Iterator[sa.ColumnElement[bool]]:
    jobs = tables.jobs.c
    if wanted.states:
        yield tables.reviews.c.state.in_(wanted.states)
    if wanted.model:
        yield jobs.model == wanted.model
    if wanted.urgencies:
        stated = jobs.urgency.in_(wanted.urgencies - {None})
        yield sa.or_(stated, jobs.urgency.is_(None)) if None in wanted.urgencies else stated
    if wanted.since is not None:
        yield jobs.created_at >= wanted.since


def _ranks(order: Order) -> tuple[sa.ColumnElement[Any], ...]:
    jobs = tables.jobs.c
    usual = (_rank(list(Urgency), jobs.urgency), priority_rank(), jobs.created_at, jobs.key)
    first: Mapping[Order, tuple[sa.ColumnElement[Any], ...]] = {
        Order.URGENCY: (),
        Order.OLDEST: (jobs.created_at,),
        Order.NEWEST: (jobs.created_at.desc(),),
        Order.MODEL: (jobs.model,),
        Order.STATE: (_rank(list(ReviewState), tables.reviews.c.state),),
    }
    return (*first[order], *usual)


def _rank(words: list[Any], column: sa.Column[Any]) -> sa.ColumnElement[int]:
    """Return the place of the column's word among these, the last where it is none of them."""
    return sa.case({word: rank for rank, word in enumerate(words)}, value=column, else_=len(words))
