"""Objects that jobs wrote, and the question whether this host wrote a UID."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from orchestrator.database import insert_new
from orchestrator.domain.records import Note, ObjectRecord
from orchestrator.ledger import tables
from orchestrator.ledger.repository import Repository, columns, lock_job, records, values

_AT_ONCE = 1000
"""UIDs in one query; both databases bound the number of parameters."""


class ObjectRepository(Repository):
    """The objects of each job, in all forms; objects that were replaced stay known."""

    def put(self, job_key: str, objects: Sequence[ObjectRecord], *, replace: bool = False) -> None:
        """Keep the objects that the job wrote; the same ones again change nothing.

        replace: these take the place of the job's objects until now, and were sent nowhere yet; that the
            host wrote the others stays known.
        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            lock_job(connection, job_key)
            if replace:
                connection.execute(sa.update(tables.objects).where(_of_result(job_key)).values(replaced=True))
                theirs = sa.and_(tables.deliveries.c.job_key == job_key, tables.deliveries.c.note == Note.NONE)
                connection.execute(sa.update(tables.deliveries).where(theirs).values(sent_at=None, sent=None))
            for position, written in enumerate(objects):
                put_object(connection, values(written) | {"job_key": job_key, "position": position})

    def of_job(self, job_key: str, form: str = "") -> tuple[ObjectRecord, ...]:
        """Return the job's objects of one form in the order they were put: of the first where it has none of that."""
        found = self.of_all_forms(job_key)
        forms = [written.form for written in found]
        shown = form if form in forms else next(iter(forms), form)
        return tuple(written for written in found if written.form == shown)

    def of_all_forms(self, job_key: str) -> tuple[ObjectRecord, ...]:
        """Return all that the job wrote, the result once for each form, in the order it was put."""
        with self._database.reading() as connection:
            return objects_of(connection, job_key)

    def known_series(self, series_uids: Collection[str]) -> frozenset[str]:
        """Return those of the series that this host ever wrote."""
        return self._among(tables.objects.c.series_uid, series_uids)

    def known(self, sop_uids: Collection[str]) -> frozenset[str]:
        """Return those of the SOP Instance UIDs that this host ever wrote, replaced ones too."""
        return self._among(tables.objects.c.sop_uid, sop_uids)

    def find(self, sop_uids: Collection[str]) -> tuple[ObjectRecord, ...]:
        """Return what this host knows of those of the SOP Instance UIDs that it ever wrote, replaced ones too."""
        table, rest, found = tables.objects, iter(sorted(sop_uids)), list[ObjectRecord]()
        query = sa.select(*columns(ObjectRecord, table)).order_by(table.c.job_key, table.c.position)
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                found += records(connection, ObjectRecord, query.where(table.c.sop_uid.in_(some)))
        return tuple(found)

    def known_in_studies(self, study_uids: Collection[str]) -> frozenset[str]:
        """Return those of the studies in which this host ever wrote a result."""
        jobs, rest, found = tables.jobs, iter(study_uids), set[str]()
        query = sa.select(jobs.c.study_uid).join(tables.objects, tables.objects.c.job_key == jobs.c.key).distinct()
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                found.update(connection.scalars(query.where(jobs.c.study_uid.in_(some))))
        return frozenset(found)

    def _among(self, column: sa.Column[str], uids: Collection[str]) -> frozenset[str]:
        rest, found = iter(uids), set[str]()
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                found.update(connection.scalars(sa.select(column).where(column.in_(some))))
        return frozenset(found)


def objects_of(connection: sa.Connection, job_key: str) -> tuple[ObjectRecord, ...]:
    """Return all objects of a job's result in the order they were put; notes that reject it are none of them."""
    table = tables.objects
    query = sa.select(*columns(ObjectRecord, table)).order_by(table.c.position)
    return records(connection, ObjectRecord, query.where(_of_result(job_key), table.c.replaced.is_(False)))


def _of_result(job_key: str) -> sa.ColumnElement[bool]:
    return sa.and_(tables.objects.c.job_key == job_key, tables.objects.c.note == Note.NONE)


def put_object(connection: sa.Connection, row: dict[str, Any]) -> None:
    """Keep an object; one that was put before counts again."""
    if not insert_new(connection, tables.objects, row | {"replaced": False}):
        mine = sa.and_(tables.objects.c.sop_uid == row["sop_uid"], tables.objects.c.job_key == row["job_key"])
        connection.execute(sa.update(tables.objects).where(mine).values(**row, replaced=False))
