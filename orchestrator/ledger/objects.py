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
    """The objects of each job, in all forms; replaced objects stay known."""

    def put(self, job_key: str, objects: Sequence[ObjectRecord], *, replace: bool = False) -> None:
        """Add the objects that the job wrote; adding the same ones again changes nothing.

        replace: they replace the job's earlier objects, which stay known as written by the host; none was sent yet.
        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            lock_job(connection, job_key)
            if replace:
                connection.execute(sa.update(tables.objects).where(_of_result(job_key)).values(replaced=True))
                of_result = sa.and_(tables.deliveries.c.job_key == job_key, tables.deliveries.c.note == Note.NONE)
                connection.execute(sa.update(tables.deliveries).where(of_result).values(sent_at=None, sent=None))
            for position, item in enumerate(objects):
                put_object(connection, values(item) | {"job_key": job_key, "position": position})

    def of_job(self, job_key: str, form: str = "") -> tuple[ObjectRecord, ...]:
        """Return the job's objects of one form, in order; of its first form where it has none of that one."""
        objects = self.of_all_forms(job_key)
        forms = [item.form for item in objects]
        shown = form if form in forms else next(iter(forms), form)
        return tuple(item for item in objects if item.form == shown)

    def of_all_forms(self, job_key: str) -> tuple[ObjectRecord, ...]:
        """Return all objects of the job, the result once for each form, in order."""
        with self._database.reading() as connection:
            return objects_of(connection, job_key)

    def known_series(self, series_uids: Collection[str]) -> frozenset[str]:
        """Return those of the series that this host ever wrote."""
        return self._among(tables.objects.c.series_uid, series_uids)

    def known(self, sop_uids: Collection[str]) -> frozenset[str]:
        """Return those of the SOP Instance UIDs that this host ever wrote, replaced ones too."""
        return self._among(tables.objects.c.sop_uid, sop_uids)

    def find(self, sop_uids: Collection[str]) -> tuple[ObjectRecord, ...]:
        """Return the records of those SOP Instance UIDs that this host ever wrote, replaced ones too."""
        table, rest, objects = tables.objects, iter(sorted(sop_uids)), list[ObjectRecord]()
        query = sa.select(*columns(ObjectRecord, table)).order_by(table.c.job_key, table.c.position)
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                objects += records(connection, ObjectRecord, query.where(table.c.sop_uid.in_(some)))
        return tuple(objects)

    def known_in_studies(self, study_uids: Collection[str]) -> frozenset[str]:
        """Return those of the studies in which this host ever wrote a result."""
        jobs, rest, studies = tables.jobs, iter(study_uids), set[str]()
        query = sa.select(jobs.c.study_uid).join(tables.objects, tables.objects.c.job_key == jobs.c.key).distinct()
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                studies.update(connection.scalars(query.where(jobs.c.study_uid.in_(some))))
        return frozenset(studies)

    def _among(self, column: sa.Column[str], uids: Collection[str]) -> frozenset[str]:
        rest, known = iter(uids), set[str]()
        with self._database.reading() as connection:
            while some := list(islice(rest, _AT_ONCE)):
                known.update(connection.scalars(sa.select(column).where(column.in_(some))))
        return frozenset(known)


def objects_of(connection: sa.Connection, job_key: str) -> tuple[ObjectRecord, ...]:
    """Return all objects of a job's result in order, without the notes that reject it."""
    table = tables.objects
    query = sa.select(*columns(ObjectRecord, table)).order_by(table.c.position)
    return records(connection, ObjectRecord, query.where(_of_result(job_key), table.c.replaced.is_(False)))


def _of_result(job_key: str) -> sa.ColumnElement[bool]:
    return sa.and_(tables.objects.c.job_key == job_key, tables.objects.c.note == Note.NONE)


def put_object(connection: sa.Connection, row: dict[str, Any]) -> None:
    """Add an object; one that was replaced before is current again."""
    if not insert_new(connection, tables.objects, row | {"replaced": False}):
        same = sa.and_(tables.objects.c.sop_uid == row["sop_uid"], tables.objects.c.job_key == row["job_key"])
        connection.execute(sa.update(tables.objects).where(same).values(**row, replaced=False))
