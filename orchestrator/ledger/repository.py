"""What all repositories share: the database, rows as records, and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement

from orchestrator.database import Database
from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.records import JobRecord
from orchestrator.ledger import tables

Record = TypeVar("Record")
SHORT = 12
"""Digits of a job key that messages show."""


class Repository:
    """A part of the ledger; each public method is one short transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def columns(kind: type[Any], table: sa.Table) -> list[sa.Column[Any]]:
    """Return the table's columns that are fields of the record, in its order."""
    return [table.c[field.name] for field in fields(kind)]


def records(connection: sa.Connection, kind: type[Record], query: sa.Executable) -> tuple[Record, ...]:
    """Return the rows of the query as records."""
    return tuple(kind(**row) for row in connection.execute(query).mappings())


def values(record: Any) -> dict[str, Any]:
    """Return the record's fields as a row."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def count_by(connection: sa.Connection, state: sa.Column[Any], *conditions: ColumnElement[bool]) -> dict[Any, int]:
    """Return how many rows that meet the conditions have each value of the column."""
    query = sa.select(state, sa.func.count()).where(*conditions).group_by(state)
    return {row[0]: row[1] for row in connection.execute(query)}


def job_query(*conditions: ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query for jobs that meet all conditions."""
    return sa.select(*columns(JobRecord, tables.jobs)).where(*conditions)


def lock_job(connection: sa.Connection, key: str) -> JobRecord:
    """Return the job, locked: nobody else changes it, its deliveries or its reviews before this transaction ends.

    Raises UnknownRecord.
    """
    # key_share: rows that only refer to the job may be inserted meanwhile
    query = job_query(tables.jobs.c.key == key).with_for_update(key_share=True)
    return only(records(connection, JobRecord, query), f"no job {key[:SHORT]} in the ledger")


def only(rows: Sequence[Record], message: str) -> Record:
    """Return the first of the rows.

    Raises UnknownRecord with the message where there is none.
    """
    if not rows:
        raise UnknownRecord(message)
    return rows[0]
