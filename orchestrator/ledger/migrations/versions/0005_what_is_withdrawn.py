"""What is withdrawn: notes that reject delivered results, predecessors of reports, orders to retract a model."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NAMES = {"pk": "%(table_name)s_pkey"}  # as PostgreSQL names it; SQLite has none


def upgrade() -> None:
    """Add the columns and the table; all that was delivered until now were results."""
    op.add_column("jobs", sa.Column("predecessors", sa.JSON(), nullable=True))
    op.add_column("objects", sa.Column("note", sa.String(32), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("note", sa.String(32), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("sent", sa.JSON(), nullable=True))
    op.add_column("deliveries", sa.Column("note_uid", sa.Text(), nullable=False, server_default=""))
    _widen_key()
    op.create_table(
        "retractions",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_retractions_model", "retractions", ["model", "model_version"])


def _widen_key() -> None:
    """Let a job have more than one delivery to a destination; SQLite can do that only by copying the table."""
    with op.batch_alter_table("deliveries", naming_convention=_NAMES) as table:
        table.drop_constraint("deliveries_pkey", type_="primary")
        table.create_primary_key("deliveries_pkey", ["job_key", "destination", "note"])
