"""How often the attempt of a delivery started without an end: a delivery that ends its process is parked."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("deliveries", sa.Column("starts", sa.Integer(), nullable=False, server_default="0"))
