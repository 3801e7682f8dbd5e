"""Series as they arrived: one row for each revision, and its instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from orchestrator.database import insert_all, insert_new
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.images import LeftOut
from orchestrator.domain.records import SERIES_MOVES, SeriesRecord, SeriesState
from orchestrator.domain.series import HeaderValue, Instance
from orchestrator.ledger import tables
from orchestrator.ledger.events import kind_of, moved, write_event
from orchestrator.ledger.repository import Repository, columns, now, only, records, values

_AT_ONCE = 1000
"""UIDs in one query; both databases bound the number of parameters."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance of a revision and its file.

    left_out: why no model reads it, None for an image that is read.
    sender: AE title, or name of the source, that brought it; None where an earlier version stored it.
    """

    sop_uid: str
    sop_class: str
    digest: str
    path: Path
    left_out: LeftOut | None = None
    sender: str | None = None

    @property
    def is_read(self) -> bool:
        """Whether models read the image."""
        return self.left_out is None


@dataclass(frozen=True, slots=True)
class RoutedSeries:
    """A series with the facts that the rules matched.

    explanation: JSON of rules.Explanation. facts: by keyword, None where the values are not kept; the whole is None
    for a series of an earlier version of this program.
    """

    series_uid: str
    explanation: str
    facts: Mapping[str, Sequence[HeaderValue] | None] | None


class SeriesRepository(Repository):
    """Revisions of series, their instances, and the explanations of the rules."""

    def put(self, record: SeriesRecord, instances: Sequence[Instance]) -> bool:
        """Return True where the revision is new; one that is there stays as it is."""
        with self._database.writing() as connection:
            if not insert_new(connection, tables.series, values(record)):
                return False
            insert_all(connection, tables.instances, [_instance_row(record, instance) for instance in instances])
            count = "1 instance" if record.instance_count == 1 else f"{record.instance_count} instances"
            text = f"revision {record.revision}: {count} from {record.source or 'unknown'}"
            write_event(connection, kind_of("series", record.state), record.series_uid, text)
            return True

    def find(self, series_uid: str, revision: int | None = None) -> SeriesRecord | None:
        """Return a revision of the series, the newest unless one is named; None where there is none."""
        query = _series_query().where(tables.series.c.series_uid == series_uid)
        if revision is not None:
            query = query.where(tables.series.c.revision == revision)
        with self._database.reading() as connection:
            newest = query.order_by(tables.series.c.revision.desc()).limit(1)
            return next(iter(records(connection, SeriesRecord, newest)), None)

    def instances(self, series_uid: str, revision: int) -> tuple[StoredInstance, ...]:
        """Return the instances of a revision, by SOP Instance UID; none where there is no such revision."""
        table = tables.instances
        query = sa.select(*columns(StoredInstance, table)).order_by(table.c.sop_uid)
        query = query.where(table.c.series_uid == series_uid, table.c.revision == revision)
        with self._database.reading() as connection:
            return records(connection, StoredInstance, query)

    def leave_out(self, series_uid: str, revision: int, sop_uids: Sequence[str], reason: LeftOut) -> int:
        """Leave out images that turned out to be unreadable when a model read them; return how many were not before."""
        table = tables.instances
        update = sa.update(table).where(table.c.series_uid == series_uid, table.c.revision == revision)
        update = update.where(table.c.sop_uid.in_(sop_uids), table.c.left_out.is_(None)).values(left_out=reason)
        with self._database.writing() as connection:
            count = connection.execute(update).rowcount
            if count:
                images = "1 image" if count == 1 else f"{count} images"
                text = f"revision {revision}: the pixels of {images} cannot be decoded; first {sop_uids[0]}"
                write_event(connection, "images-left-out", series_uid, text)
            return count

    def newest(
        self,
        *,
        study_uid: str | None = None,
        since: datetime | None = None,
        state: SeriesState | None = None,
        limit: int = 200,
    ) -> tuple[SeriesRecord, ...]:
        """Return revisions of series, the newest first; ``since``: first seen then or later."""
        table = tables.series
        query = _series_query().order_by(table.c.first_seen.desc(), table.c.series_uid, table.c.revision.desc())
        if study_uid is not None:
            query = query.where(table.c.study_uid == study_uid)
        if since is not None:
            query = query.where(table.c.first_seen >= since)
        if state is not None:
            query = query.where(table.c.state == state)
        with self._database.reading() as connection:
            return records(connection, SeriesRecord, query.limit(limit))

    def move(
        self, series_uid: str, revision: int, state: SeriesState, *, complete_by: str = "", at: datetime | None = None
    ) -> SeriesRecord:
        """Return the revision in its new state; the first release sets ``released_at``.

        complete_by: how completeness was decided; empty leaves the earlier text.
        at: when it happened; default: now.
        Raises UnknownRecord; ForbiddenTransition where SERIES_MOVES lacks the move.
        """
        with self._database.writing() as connection:
            before = _lock_series(connection, series_uid, revision)
            if state not in SERIES_MOVES[before.state]:
                message = f"series {series_uid} revision {revision} is {before.state} and cannot become {state}"
                raise ForbiddenTransition(message)
            after = replace(before, state=state, complete_by=complete_by or before.complete_by)
            if state is SeriesState.RELEASED and before.released_at is None:
                after = replace(after, released_at=at or now())
            _update_series(connection, after)
            text = f"revision {revision}: {moved(before.state, state, complete_by)}"
            write_event(connection, kind_of("series", state), series_uid, text)
            return after

    def explain(
        self,
        series_uid: str,
        revision: int,
        *,
        matched: bool,
        explanation: str,
        facts: Mapping[str, Sequence[HeaderValue] | None] | None = None,
    ) -> None:
        """Record why the rules matched the revision or not.

        facts: what the rules were asked about, so that other rules can be asked later; None for a keyword
            whose values are not kept.
        Raises UnknownRecord.
        """
        with self._database.writing() as connection:
            before = _lock_series(connection, series_uid, revision)
            _update_series(connection, replace(before, matched=matched, explanation=explanation))
            if facts is not None:
                update = sa.update(tables.series).where(_is(series_uid, revision))
                connection.execute(update.values(facts=dict(facts)))

    def facts(self, series_uid: str, revision: int) -> Mapping[str, Sequence[HeaderValue] | None] | None:
        """Return what the rules were asked about, None where nothing was kept; see ``explain``."""
        query = sa.select(tables.series.c.facts).where(_is(series_uid, revision))
        with self._database.reading() as connection:
            found: Mapping[str, Sequence[HeaderValue] | None] | None = connection.execute(query).scalar()
            return found

    def routed(self, since: datetime, source: str | None = None) -> Iterator[RoutedSeries]:
        """Yield the newest revision of each series that rules were asked about since then, the oldest first."""
        table = tables.series
        newer = table.alias()
        query = sa.select(*columns(RoutedSeries, table)).where(table.c.first_seen >= since, table.c.explanation != "")
        later = sa.exists().where(newer.c.series_uid == table.c.series_uid, newer.c.revision > table.c.revision)
        query = query.where(~later).order_by(table.c.first_seen, table.c.series_uid)
        if source is not None:
            query = query.where(table.c.source == source)
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=_AT_ONCE).execute(query).mappings():
                yield RoutedSeries(**row)


def lock_series_state(connection: sa.Connection, series_uid: str, revision: int) -> SeriesState:
    """Return the revision's state, which nobody changes before this transaction ends.

    Raises UnknownRecord.
    """
    return _lock_series(connection, series_uid, revision).state


def _lock_series(connection: sa.Connection, series_uid: str, revision: int) -> SeriesRecord:
    query = _series_query().where(_is(series_uid, revision)).with_for_update(key_share=True)
    return only(records(connection, SeriesRecord, query), f"no series {series_uid} revision {revision} in the ledger")


def _update_series(connection: sa.Connection, record: SeriesRecord) -> None:
    where = _is(record.series_uid, record.revision)
    connection.execute(sa.update(tables.series).where(where).values(**values(record)))


def _is(series_uid: str, revision: int) -> sa.ColumnElement[bool]:
    return sa.and_(tables.series.c.series_uid == series_uid, tables.series.c.revision == revision)


def _series_query() -> sa.Select[Any]:
    return sa.select(*columns(SeriesRecord, tables.series))


def _instance_row(record: SeriesRecord, instance: Instance) -> dict[str, object]:
    return {
        "series_uid": record.series_uid,
        "revision": record.revision,
        "sop_uid": instance.sop_uid,
        "sop_class": instance.sop_class,
        "digest": instance.digest,
        "path": instance.path,
        "left_out": instance.left_out,
        "sender": instance.sender,
    }
