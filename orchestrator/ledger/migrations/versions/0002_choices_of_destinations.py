"""What is chosen for each destination: the form of its objects, and how it answered lately."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and the table; what was written before counts as in the usual form."""
    op.add_column("objects", sa.Column("form", sa.Text(), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("deliveries", sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_deliveries_of_destination", "deliveries", ["destination", "state", "next_attempt_at"])
    op.create_index("ix_deliveries_sent", "deliveries", ["destination", "sent_at"])
    op.create_table(
        "destinations",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("away_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
