"""The ledger's tables; a row has the fields of its record in orchestrator.domain.records, by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from orchestrator.domain.fetching import BackfillState, FetchState
from orchestrator.domain.hours import Hours
from orchestrator.domain.images import LeftOut
from orchestrator.domain.job import JobState, Priority, Purpose
from orchestrator.domain.quarantine import Conflict, QuarantineState
from orchestrator.domain.records import DeliveryState, Note, ObjectKind, SeriesState
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState


class Instant(sa.TypeDecorator[datetime]):
    """A point in time: stored as UTC, returned in UTC with its zone; a time without a zone is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the time in UTC; SQLite keeps no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the ledger needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the time with its zone, UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class FilePath(sa.TypeDecorator[Path]):
    """A path of this machine, as text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Path | None, _dialect: sa.Dialect) -> str | None:
        """Return the path's text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, _dialect: sa.Dialect) -> Path | None:
        """Return the path."""
        return None if value is None else Path(value)


class PartOfDay(sa.TypeDecorator[Hours]):
    """The hours of a day, as text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Hours | None, _dialect: sa.Dialect) -> str | None:
        """Return the hours as people write them."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, _dialect: sa.Dialect) -> Hours | None:
        """Return the hours."""
        return None if value is None else Hours.parse(value)


class Numbers(sa.TypeDecorator[Mapping[str, float]]):
    """Named numbers, as JSON."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, float] | None, _dialect: sa.Dialect) -> dict[str, float]:
        """Return a plain dict."""
        return dict(value or {})


class Entries(sa.TypeDecorator[tuple[Mapping[str, object], ...]]):
    """A tuple of JSON objects."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(
        self, value: tuple[Mapping[str, object], ...] | None, _dialect: sa.Dialect
    ) -> list[dict[str, object]]:
        """Return a plain list of dicts."""
        return [dict(entry) for entry in value or ()]

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> tuple[Mapping[str, object], ...]:
        """Return the entries as a tuple."""
        return tuple(value)


class Uids(sa.TypeDecorator[tuple[str, ...]]):
    """A tuple of UIDs, as JSON."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, _dialect: sa.Dialect) -> list[str] | None:
        """Return a plain list."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> tuple[str, ...] | None:
        """Return the UIDs as a tuple."""
        return None if value is None else tuple(value)


def _word(kind: type[StrEnum]) -> sa.Enum:
    """Return a column type that stores the words of an enumeration as text."""
    return sa.Enum(kind, native_enum=False, length=32, values_callable=_values)


def _values(kind: type[StrEnum]) -> list[str]:
    return [word.value for word in kind]


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


metadata = sa.MetaData()

series = sa.Table(
    "series",
    metadata,
    sa.Column("series_uid", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("study_uid", sa.Text, nullable=False, index=True),
    sa.Column("state", _word(SeriesState), nullable=False, index=True),
    sa.Column("instance_count", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    _text("source"),
    _text("modality"),
    _text("complete_by"),
    sa.Column("matched", sa.Boolean, nullable=False),
    _text("explanation"),
    sa.Column("facts", sa.JSON),
    sa.Column("first_seen", Instant, nullable=False, index=True),
    sa.Column("released_at", Instant),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("series_uid", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("sop_uid", sa.Text, primary_key=True),
    sa.Column("sop_class", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("path", FilePath, nullable=False),
    sa.Column("left_out", _word(LeftOut)),
    # who sent it; NULL for an instance of an earlier version
    sa.Column("sender", sa.Text),
    sa.ForeignKeyConstraint(["series_uid", "revision"], ["series.series_uid", "series.revision"]),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("series_uid", sa.Text, primary_key=True),
    sa.Column("sop_uid", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    _text("study_uid"),
    sa.Column("path", FilePath, nullable=False),
    _text("sender"),
    _text("against"),
    sa.Column("conflict", _word(Conflict), nullable=False),
    sa.Column("state", _word(QuarantineState), nullable=False),
    sa.Column("taken_up", sa.Boolean, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Index("ix_quarantine_state", "state", "taken_up"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("series_uid", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("study_uid", sa.Text, nullable=False, index=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("model_digest", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("priority", _word(Priority), nullable=False),
    sa.Column("purpose", _word(Purpose), nullable=False),
    sa.Column("state", _word(JobState), nullable=False, index=True),
    _text("reason"),
    _text("device"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("urgency", _word(Urgency)),
    sa.Column("seconds", Numbers, nullable=False),
    sa.Column("findings", Entries, nullable=False),
    sa.Column("measurements", Entries, nullable=False),
    sa.Column("predecessors", sa.JSON(none_as_null=True)),
    # what the job read of its series; NULL until it has read it
    sa.Column("images", sa.JSON(none_as_null=True)),
    sa.Column("created_at", Instant, nullable=False, index=True),
    sa.Column("updated_at", Instant, nullable=False),
    sa.ForeignKeyConstraint(["series_uid", "revision"], ["series.series_uid", "series.revision"]),
    sa.Index("ix_jobs_series", "series_uid", "revision"),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("sop_uid", sa.Text, primary_key=True),
    sa.Column("job_key", sa.Text, sa.ForeignKey("jobs.key"), nullable=False, index=True),
    sa.Column("kind", _word(ObjectKind), nullable=False),
    sa.Column("sop_class", sa.Text, nullable=False),
    sa.Column("series_uid", sa.Text, nullable=False),
    sa.Column("study_uid", sa.Text, nullable=False),
    sa.Column("path", FilePath, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    _text("form"),
    # a replaced object is no longer delivered, but the host must know for ever that it wrote it
    sa.Column("replaced", sa.Boolean, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # a note that rejects the result is no part of it
    sa.Column("note", _word(Note), nullable=False, default=Note.NONE),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("job_key", sa.Text, sa.ForeignKey("jobs.key"), primary_key=True),
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("note", _word(Note), primary_key=True),  # so each destination gets at most one of each
    sa.Column("state", _word(DeliveryState), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # how many attempts in a row started and did not end, because their process did
    sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", Instant),
    _text("error"),
    sa.Column("confirmed_at", Instant),
    _text("confirmed_by"),
    sa.Column("sent_at", Instant),
    sa.Column("failing_since", Instant),
    sa.Column("sent", Uids),
    _text("note_uid"),
    sa.Index("ix_deliveries_due", "state", "next_attempt_at"),
    sa.Index("ix_deliveries_of_destination", "destination", "state", "next_attempt_at"),
    sa.Index("ix_deliveries_sent", "destination", "sent_at"),
)

retractions = sa.Table(
    "retractions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    _text("model"),
    _text("model_version"),
    sa.Column("since", Instant),
    sa.Column("until", Instant),
    _text("reason"),
    _text("by"),
    _text("organization"),
    sa.Column("at", Instant, nullable=False),
    sa.Index("ix_retractions_model", "model", "model_version"),
)

destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failed_at", Instant),
    sa.Column("away_since", Instant),
)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_key", sa.Text, sa.ForeignKey("jobs.key"), nullable=False, index=True),
    sa.Column("state", _word(ReviewState), nullable=False),
    _text("by"),
    _text("organization"),
    _text("reason"),
    _text("comment"),
    sa.Column("at", Instant, nullable=False),
    sa.Column("changes", Entries, nullable=False),
    _text("source"),
    _text("evidence"),
    sa.Column("agreement", Numbers, nullable=False),
    sa.Column("newest", sa.Boolean, nullable=False),
)
# SQLite uses a partial index only where a query says the same words, and SQLAlchemy writes "newest = 1" there
_NEWEST: dict[str, Any] = {"sqlite_where": sa.text("newest = 1"), "postgresql_where": reviews.c.newest}
# one verdict of a job counts: the database itself refuses a second one
sa.Index("ix_reviews_newest", reviews.c.job_key, unique=True, **_NEWEST)
sa.Index("ix_reviews_state", reviews.c.state, **_NEWEST)

events = sa.Table(
    "events",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sqlite_autoincrement=True,  # a number is never given twice
)

watches = sa.Table(
    "watches",
    metadata,
    sa.Column("archive", sa.Text, primary_key=True),
    _text("cursor"),
    sa.Column("looked_at", Instant),
    sa.Column("waits_since", Instant),
    _text("error"),
)

fetches = sa.Table(
    "fetches",
    metadata,
    sa.Column("archive", sa.Text, primary_key=True),
    sa.Column("series_uid", sa.Text, primary_key=True),
    sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
    _text("study_uid"),
    _text("rule"),
    sa.Column("state", _word(FetchState), nullable=False),
    sa.Column("count", sa.Integer),
    sa.Column("fetched", sa.Integer, nullable=False),
    _text("complete"),
    sa.Column("fetches", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("begun_at", Instant),
    sa.Column("changed_at", Instant, nullable=False),
    _text("error"),
    sa.Index("ix_fetches_due", "archive", "run", "state", "due_at"),
    sa.Index("ix_fetches_run", "run", "state"),
    sa.Index("ix_fetches_series", "series_uid"),
    sa.Index("ix_fetches_study", "study_uid"),
)

backfills = sa.Table(
    "backfills",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    _text("rule"),
    _text("archive"),
    sa.Column("first", sa.Date, nullable=False),
    sa.Column("last", sa.Date, nullable=False),
    sa.Column("newest_first", sa.Boolean, nullable=False),
    sa.Column("per_hour", sa.Integer),
    sa.Column("hours", PartOfDay),
    sa.Column("state", _word(BackfillState), nullable=False),
    _text("by"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    _text("error"),
    sqlite_autoincrement=True,  # a number is never given twice
)

backfill_days = sa.Table(
    "backfill_days",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("backfills.number"), primary_key=True, autoincrement=False),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("found", sa.Integer, nullable=False),
    sa.Column("skipped", sa.Integer, nullable=False),
    sa.Column("listed_at", Instant, nullable=False),
)
