"""What a verdict corrected, where it came from, and how far an edited segmentation agrees."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; verdicts until now corrected nothing and were given here."""
    op.add_column("reviews", sa.Column("changes", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("reviews", sa.Column("source", sa.Text(), nullable=False, server_default=""))
    op.add_column("reviews", sa.Column("evidence", sa.Text(), nullable=False, server_default=""))
    op.add_column("reviews", sa.Column("agreement", sa.JSON(), nullable=False, server_default="{}"))
