"""The migrations of the ledger; alembic runs them, several processes may start them at once."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa

from orchestrator.database import Database
from orchestrator.domain.errors import SettingsError

HEAD = "0009"
"""The newest step; a database that stands there needs no alembic, which takes half a second to import."""
_MIGRATION_LOCK = 7_240_000
"""Advisory lock of PostgreSQL (the number means nothing)."""
_one_at_a_time = threading.Lock()  # alembic keeps its environment in globals


def migrate(database: Database) -> None:
    """Create or migrate the ledger's tables to this version.

    Raises SettingsError where a newer version of this program has changed them.
    """
    with database.reading() as connection:
        if _version(connection) == HEAD:
            return
    with _one_at_a_time, database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        _upgrade(connection)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: sa.Connection) -> None:
    """Run every step that is missing within the connection's transaction: all of them, or none."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        version = _version(connection)
        raise SettingsError(
            f"the database stands at version {version}, which this program ({HEAD}) cannot bring up to date; "
            "run the newer version of orchestrator"
        ) from error
