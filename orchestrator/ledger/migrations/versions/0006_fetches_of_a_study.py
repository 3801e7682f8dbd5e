"""What was fetched of a study is found without reading all fetches: the study page asks for it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_fetches_study", "fetches", ["study_uid"])
