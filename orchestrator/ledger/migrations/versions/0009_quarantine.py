"""Who sent each image, and images that conflict with those of another sender."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the sender of each instance, unknown for earlier ones, and the quarantine."""
    op.add_column("instances", sa.Column("sender", sa.Text(), nullable=True))
    op.create_table(
        "quarantine",
        sa.Column("series_uid", sa.Text(), primary_key=True),
        sa.Column("sop_uid", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("against", sa.Text(), nullable=False),
        sa.Column("conflict", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("taken_up", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_quarantine_state", "quarantine", ["state", "taken_up"])
