"""What is taken from archives: watches, fetches, backfills and their days; the facts that rules were asked about."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables and the column."""
    op.add_column("series", sa.Column("facts", sa.JSON(), nullable=True))
    _watches()
    _fetches()
    _backfills()


def _watches() -> None:
    op.create_table(
        "watches",
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waits_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("archive"),
    )


def _fetches() -> None:
    op.create_table(
        "fetches",
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("series_uid", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Text(), nullable=False),
        sa.Column("fetches", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("archive", "series_uid", "run"),
    )
    op.create_index("ix_fetches_due", "fetches", ["archive", "run", "state", "due_at"])
    op.create_index("ix_fetches_run", "fetches", ["run", "state"])
    op.create_index("ix_fetches_series", "fetches", ["series_uid"])


def _backfills() -> None:
    op.create_table(
        "backfills",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("newest_first", sa.Boolean(), nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.Column("hours", sa.Text(), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "backfill_days",
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["backfills.number"]),
        sa.PrimaryKeyConstraint("run", "day"),
    )
