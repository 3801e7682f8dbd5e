"""Which images no model reads, and why; and how many of the received images a job read."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; of earlier series and jobs they are unknown."""
    op.add_column("instances", sa.Column("left_out", sa.String(32), nullable=True))
    op.add_column("jobs", sa.Column("images", sa.JSON(), nullable=True))
